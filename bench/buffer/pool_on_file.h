// granary's pool over a file of pages, for whoever measures what it does.
#ifndef GRANARY_BENCH_BUFFER_POOL_ON_FILE_H_
#define GRANARY_BENCH_BUFFER_POOL_ON_FILE_H_

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
#include "bench/compaction/checked.h"
#include "bench/program.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/open_page_store.h"
#include "pool/page_pool.h"

namespace granary::bench {

class PoolOnFile {
 public:
  // Why it cannot be measured here, or nothing.
  const std::string& why_skipped() const { return why_skipped_; }

  // Pages that it took from the file, since it is there.
  uint64_t brought() const {
    const BufferPoolStats stats = pool_->Stats();
    return stats.misses + stats.prefetched;
  }

 protected:
  // Of a new file of so many pages.
  PoolOnFile(size_t pages, size_t frames)
      : pages_(pages),
        file_(pages),
        frames_(Surely(PagePool::Create({.page_bytes = kPageBytes, .max_pages = frames}))),
        pool_(Surely(
            BufferPool::Create({.pages = frames_.get(), .frames = frames, .record_pins = false}))) {
  }
  ~PoolOnFile() = default;

  // Opens it as the options say, or knows why that cannot be.
  void Open(OpenPageStoreOptions options) {
    options.file.path = file_.path();
    options.file.page_bytes = kPageBytes;
    auto store = OpenPageStore(options);
    if (!store) return Skip(store.error().message);
    AttachOptions attach;
    attach.store = std::move(store->store);
    attach.pages_max = pages_;
    id_ = Surely(pool_->Attach(std::move(attach)));
  }
  void Skip(std::string why) { why_skipped_ = std::move(why); }

  // The page's word.
  uint64_t ReadOne(uint64_t page) {
    const auto fixed = pool_->FixShared(IdOf(page));
    if (!fixed) [[unlikely]]
      Die(fixed.error().message);
    return ReadWord(fixed->data(), page);
  }
  // The sum of all words; `kAhead` pages are prefetched at a time, and then read.
  template <size_t kAhead>
  uint64_t ReadAhead(std::span<const uint32_t> pages) {
    uint64_t words = 0;
    while (!pages.empty()) {
      const auto some = pages.first(std::min(kAhead, pages.size()));
      pages = pages.subspan(some.size());
      std::array<PageId, kAhead> ids;
      std::ranges::transform(some, ids.begin(), [&](uint32_t page) { return IdOf(page); });
      pool_->Prefetch(std::span(ids).first(some.size()));
      for (const uint32_t page : some) words += ReadOne(page);
    }
    return words;
  }

  // The same; pages are asked for so many ahead of their turn, a few at a time.
  template <size_t kAhead, size_t kAtOnce>
  uint64_t ReadWhileOthersCome(std::span<const uint32_t> pages) {
    std::array<PageId, kAtOnce> ids;
    uint64_t words = 0;
    size_t asked = 0;
    for (size_t i = 0; i < pages.size(); ++i) {
      while (asked < pages.size() && asked < i + kAhead) {
        const auto some = pages.subspan(asked, std::min(kAtOnce, pages.size() - asked));
        std::ranges::transform(some, ids.begin(), [&](uint32_t page) { return IdOf(page); });
        (void)pool_->StartPrefetch(std::span(ids).first(some.size()));
        asked += some.size();
      }
      words += ReadOne(pages[i]);
    }
    return words;
  }

  BufferPool& pool() { return *pool_; }
  const PageFileOnDisk& file() const { return file_; }
  PageId IdOf(uint64_t page) const { return {id_, page}; }

 private:
  const size_t pages_;
  const PageFileOnDisk file_;
  std::unique_ptr<PagePool> frames_;
  std::unique_ptr<BufferPool> pool_;
  FileId id_ = 0;
  std::string why_skipped_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_POOL_ON_FILE_H_
