// granary's buffer pool, with every page in a frame.
#ifndef GRANARY_BENCH_BUFFER_GRANARY_POOLS_H_
#define GRANARY_BENCH_BUFFER_GRANARY_POOLS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "bench/buffer/pages.h"
#include "bench/compaction/checked.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

namespace granary::bench {

class ResidentPool {
 public:
  static constexpr size_t kThreadsMax = SIZE_MAX;

  explicit ResidentPool(size_t pages)
      : frames_(Surely(PagePool::Create({.page_bytes = kPageBytes, .max_pages = pages}))),
        pool_(Surely(BufferPool::Create({.pages = frames_.get(),
                                         .frames = pages,
                                         .has_evictor = false,
                                         .record_pins = false}))) {
    AttachOptions attach;
    attach.store = Surely(MemoryPageStore::Create(
        {.page_bytes = kPageBytes, .pages = pages, .contents = MemoryPages::kDiscard}));
    attach.pages_max = pages;
    file_ = Surely(pool_->Attach(std::move(attach)));
    view_.emplace(Surely(pool_->ViewOf(file_)));
    for (size_t page = 0; page < pages; ++page) {
      ExclusivePage fixed = Surely(pool_->FixExclusive({file_, page}));
      WriteWord(fixed.data(), page);
      fixed.MarkDirty(1);
    }
  }

 protected:
  BufferPool& pool() { return *pool_; }
  const BufferPool::FileView& view() const { return *view_; }
  PageId IdOf(uint64_t page) const { return {file_, page}; }

  [[gnu::always_inline]] uint64_t ReadFixed(uint64_t page) {
    const auto fixed = pool_->FixShared(IdOf(page));
    if (!fixed) [[unlikely]]
      Die(fixed.error().message);
    return ReadWord(fixed->data(), page);
  }

  // Where an optimistic read came to nothing; here no page ever moves.
  [[gnu::noinline, gnu::cold]] uint64_t ReadAgain(uint64_t page) { return ReadFixed(page); }

 private:
  std::unique_ptr<PagePool> frames_;
  std::unique_ptr<BufferPool> pool_;
  FileId file_ = 0;
  std::optional<BufferPool::FileView> view_;
};

class GranaryFix : public ResidentPool {
 public:
  static constexpr const char* kName = "granary";
  using ResidentPool::ResidentPool;

  [[gnu::always_inline]] uint64_t Read(uint64_t page) { return ReadFixed(page); }
};

// The same by a view of the file.
class GranaryViewFix : public ResidentPool {
 public:
  static constexpr const char* kName = "granary_view";
  using ResidentPool::ResidentPool;

  [[gnu::always_inline]] uint64_t Read(uint64_t page) {
    const auto fixed = view().FixShared(page);
    if (!fixed) [[unlikely]]
      Die(fixed.error().message);
    return ReadWord(fixed->data(), page);
  }
};

// The eviction policy hears nothing of the read.
class GranaryTryPeek : public ResidentPool {
 public:
  static constexpr const char* kName = "granary";
  using ResidentPool::ResidentPool;

  [[gnu::always_inline]] uint64_t Read(uint64_t page) {
    if (const auto peeked = pool().TryPeek(IdOf(page))) [[likely]] {
      const auto word = peeked->Read<uint64_t>(WordOffset(page));
      if (peeked->Validate()) [[likely]]
        return word;
    }
    return ReadAgain(page);
  }
};

// The same by a view of the file.
class GranaryViewPeek : public ResidentPool {
 public:
  static constexpr const char* kName = "granary_view";
  using ResidentPool::ResidentPool;

  [[gnu::always_inline]] uint64_t Read(uint64_t page) {
    if (const auto peeked = view().TryPeek(page)) [[likely]] {
      const auto word = peeked->Read<uint64_t>(WordOffset(page));
      if (peeked->Validate()) [[likely]]
        return word;
    }
    return ReadAgain(page);
  }
};

// The eviction policy counts the read.
class GranaryPeek : public ResidentPool {
 public:
  static constexpr const char* kName = "granary_counted";
  using ResidentPool::ResidentPool;

  [[gnu::always_inline]] uint64_t Read(uint64_t page) {
    if (const auto peeked = pool().Peek(IdOf(page))) [[likely]] {
      const auto word = peeked->Read<uint64_t>(WordOffset(page));
      if (peeked->Validate()) [[likely]]
        return word;
    }
    return ReadAgain(page);
  }
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_GRANARY_POOLS_H_
