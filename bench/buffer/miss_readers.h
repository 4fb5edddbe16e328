// Who reads pages of a file of which a quarter has room in memory of its own; the file is in the
// operating system's cache.
#ifndef GRANARY_BENCH_BUFFER_MISS_READERS_H_
#define GRANARY_BENCH_BUFFER_MISS_READERS_H_

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "bench/buffer/page_file_on_disk.h"
#include "bench/buffer/pages.h"
#include "bench/compaction/checked.h"
#include "bench/program.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/open_page_store.h"
#include "pool/page_pool.h"

namespace granary::bench {

// Pages that are brought ahead of need at once.
inline constexpr size_t kAheadPages = 32;

// granary's pool over a file, as it is by default.
template <IoEngine kEngine, bool kAhead>
class FilePool {
 public:
  static constexpr const char* kName = kEngine == IoEngine::kUring ? "granary_uring" : "granary";

  FilePool(size_t pages, size_t frames)
      : file_(pages),
        frames_(Surely(PagePool::Create({.page_bytes = kPageBytes, .max_pages = frames}))),
        pool_(Surely(
            BufferPool::Create({.pages = frames_.get(), .frames = frames, .record_pins = false}))) {
    auto store =
        OpenPageStore({.file = {.path = file_.path(), .page_bytes = kPageBytes, .read_only = true},
                       .engine = kEngine});
    if (!store) {
      why_skipped_ = store.error().message;
      return;
    }
    AttachOptions attach;
    attach.store = std::move(store->store);
    attach.pages_max = pages;
    id_ = Surely(pool_->Attach(std::move(attach)));
  }

  // Why it cannot be measured here, or nothing.
  const std::string& why_skipped() const { return why_skipped_; }

  // Reads the word of each; returns their sum.
  uint64_t ReadAll(std::span<const uint32_t> pages) {
    uint64_t words = 0;
    if constexpr (kAhead) {
      while (!pages.empty()) {
        const auto some = pages.first(std::min(kAheadPages, pages.size()));
        pages = pages.subspan(some.size());
        std::array<PageId, kAheadPages> ids;
        std::ranges::transform(some, ids.begin(), [&](uint32_t page) { return PageId{id_, page}; });
        pool_->Prefetch(std::span(ids).first(some.size()));
        for (const uint32_t page : some) words += Read(page);
      }
    } else {
      for (const uint32_t page : pages) words += Read(page);
    }
    return words;
  }

  // Pages that it took from the file, since it is there.
  uint64_t brought() const {
    const BufferPoolStats stats = pool_->Stats();
    return stats.misses + stats.prefetched;
  }

 private:
  uint64_t Read(uint64_t page) {
    const auto fixed = pool_->FixShared({id_, page});
    if (!fixed) Die(fixed.error().message);
    return ReadWord(fixed->data(), page);
  }

  const PageFileOnDisk file_;
  std::unique_ptr<PagePool> frames_;
  std::unique_ptr<BufferPool> pool_;
  FileId id_ = 0;
  std::string why_skipped_;
};

// The system call that brings a page, and nothing else: always into the same memory of the thread.
class BarePreadv {
 public:
  static constexpr const char* kName = "raw";

  BarePreadv(size_t pages, size_t /*frames*/) : file_(pages) {}

  std::string why_skipped() const { return {}; }

  uint64_t ReadAll(std::span<const uint32_t> pages) {
    alignas(kPageBytes) std::array<std::byte, kPageBytes> buffer;
    uint64_t words = 0;
    for (const uint32_t page : pages) {
      const iovec piece = {buffer.data(), buffer.size()};
      const auto offset = static_cast<off_t>(page * kPageBytes);
      if (::preadv(file_.descriptor(), &piece, 1, offset) != static_cast<ssize_t>(kPageBytes)) {
        Die("page " + std::to_string(page) + " cannot be read");
      }
      words += ReadWord(buffer.data(), page);
    }
    brought_.fetch_add(pages.size(), std::memory_order_relaxed);
    return words;
  }

  uint64_t brought() const { return brought_.load(std::memory_order_relaxed); }

 private:
  const PageFileOnDisk file_;
  std::atomic<uint64_t> brought_ = 0;
};

using FilePoolPosix = FilePool<IoEngine::kPosix, false>;
using FilePoolPosixAhead = FilePool<IoEngine::kPosix, true>;
using FilePoolUringAhead = FilePool<IoEngine::kUring, true>;

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_MISS_READERS_H_
