// Who reads pages of a file past the operating system's cache, many at a time.
#ifndef GRANARY_BENCH_BUFFER_DIRECT_READERS_H_
#define GRANARY_BENCH_BUFFER_DIRECT_READERS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "bench/buffer/page_file_on_disk.h"
#include "bench/buffer/pages.h"
#include "bench/buffer/resident_limit.h"
#include "bench/compaction/checked.h"
#include "bench/program.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/open_page_store.h"
#include "pool/page_pool.h"

namespace granary::bench {

// Requests in flight, of all threads together.
inline constexpr unsigned kDirectDepth = 32;
constexpr unsigned DirectDepthOf(size_t threads) {
  return kDirectDepth / static_cast<unsigned>(threads);
}

// granary's pool, which is asked for some pages ahead of need: as many as it sends for in one
// batch, so that the next request follows when one comes back, and not when the last one does.
class DirectPool {
 public:
  static constexpr const char* kName = "granary";

  // For so many threads, each of which has a ring.
  DirectPool(size_t pages, size_t frames, size_t threads)
      : file_(pages),
        frames_(Surely(PagePool::Create({.page_bytes = kPageBytes, .max_pages = frames}))),
        pool_(Surely(
            BufferPool::Create({.pages = frames_.get(), .frames = frames, .record_pins = false}))),
        why_skipped_(ResidentLimit::WhyNot(file_.path())) {
    if (!why_skipped_.empty()) return;
    file_.Sync();
    auto store = OpenPageStore({.file = {.path = file_.path(),
                                         .page_bytes = kPageBytes,
                                         .read_only = true,
                                         .direct = true},
                                .engine = IoEngine::kUring,
                                .uring = {.queue_depth = DirectDepthOf(threads),
                                          .rings = static_cast<unsigned>(threads)}});
    if (!store) {
      why_skipped_ = store.error().message;
      return;
    }
    AttachOptions attach;
    attach.store = std::move(store->store);
    attach.pages_max = pages;
    id_ = Surely(pool_->Attach(std::move(attach)));
  }

  const std::string& why_skipped() const { return why_skipped_; }
  const std::string& path() const { return file_.path(); }

  // Reads the word of each; returns their sum.
  uint64_t ReadAll(std::span<const uint32_t> pages) {
    uint64_t words = 0;
    while (!pages.empty()) {
      const auto some = pages.first(std::min(kAhead, pages.size()));
      pages = pages.subspan(some.size());
      std::array<PageId, kAhead> ids;
      std::ranges::transform(some, ids.begin(), [&](uint32_t page) { return PageId{id_, page}; });
      pool_->Prefetch(std::span(ids).first(some.size()));
      for (const uint32_t page : some) {
        const auto fixed = pool_->FixShared({id_, page});
        if (!fixed) Die(fixed.error().message);
        words += ReadWord(fixed->data(), page);
      }
    }
    return words;
  }

  // Pages that it took from the file, since it is there.
  uint64_t brought() const {
    const BufferPoolStats stats = pool_->Stats();
    return stats.misses + stats.prefetched;
  }

 private:
  static constexpr size_t kAhead = 128;

  const PageFileOnDisk file_;
  std::unique_ptr<PagePool> frames_;
  std::unique_ptr<BufferPool> pool_;
  FileId id_ = 0;
  std::string why_skipped_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_DIRECT_READERS_H_
