// BufferPool: the database buffer pool. Pages of files, cached in frames of a PagePool.
//
//   auto pool = granary::BufferPool::Create({.pages = &pages, .frames = 100'000});
//   auto store = granary::OpenPageStore({.file = {.path = "data"}});
//   auto file = (*pool)->Attach({.store = std::move(store->store), .pages_max = 1 << 30});
//   {
//     auto page = (*pool)->FixShared({*file, 7});
//     if (!page) return tl::unexpected(page.error());
//     Read(page->bytes());
//   }                                               // unfixed
//
// Choose it for pages that are read and written again and again, by many threads, and do not all
// fit into memory. For files that do, or that are read once, the operating system's cache does as
// well.
//
// What a fix costs. Of a page that is there: the entry is found with a few loads, and pinned with
// one atomic read-modify-write; unfixing is another one. What the eviction policy wants to know of
// hits is a byte that is stored to at most three times. Peek() reads without telling anybody, and
// validates afterwards: no store that others could see, no atomic read-modify-write. Of a page that
// is not there: one thread brings it, and all others that want it wait for that one.
//
// What cannot happen. A dirty page does not reach its file before the log is durable up to its last
// change (WalGate). A page that was torn, went astray or was never written is not handed out
// (PageCodec): the fix is an error that says so. A pool whose frames are all latched is an error
// that says by whom, and no wait without end. Threads that latch pages in an order that they agree
// on do not wait for each other in a circle: within the pool, a thread that holds a lock or brings
// a page waits for no latch.
//
// Frames. They come from a PagePool, and with them the memory is counted by its budget. The pool is
// a Reclaimer: when others need memory it gives clean pages up.
//
// Threading. Everything from any thread, but for construction, destruction and Detach.
//
// Fork. Not for children: a thread may have been bringing a page.
//
// Sources: translation arrays (X. Zhou et al., Calico, 2026); the page state of vmcache (V. Leis et
// al., SIGMOD 2023); S3-FIFO (J. Yang et al., SOSP 2023); reservations before latches, OrioleDB.
#ifndef GRANARY_POOL_BUFFER_BUFFER_POOL_H_
#define GRANARY_POOL_BUFFER_BUFFER_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "memory/error.h"
#include "pool/buffer/array_translation.h"
#include "pool/buffer/buffer_pool_core.h"
#include "pool/buffer/hash_translation.h"
#include "pool/buffer/page_guard.h"
#include "pool/buffer/page_types.h"
#include "pool/call_site.h"

namespace granary {

template <class Translation>
class BasicBufferPool final : public BufferPoolCore {
 public:
  // kInvalidArgument for options that contradict each other; kOutOfMemory.
  static Expected<std::unique_ptr<BasicBufferPool>> Create(const BufferPoolOptions& options);
  ~BasicBufferPool() override { Stop(); }

  // --- Pages ------------------------------------------------------------------------------------

  // The pages of one file, for who asks for many of them: see below.
  class FileView;
  // kInvalidArgument: no such file. Good until the file is detached; then each of its calls fails,
  // or sees the next file that has this id.
  Expected<FileView> ViewOf(FileId file) noexcept;

  // A page, latched shared. kInvalidArgument: no such file, or a page beyond its pages_max. kIo,
  // kCorrupt: it could not be read, or is not what was written. kOutOfMemory: no frame.
  [[nodiscard, gnu::always_inline]] Expected<SharedPage> FixShared(
      PageId id, Access access = Access::kNormal, CallSite site = CallSite::Current()) noexcept {
    return FixSharedFor(nullptr, id, access, site);
  }
  // The same, exclusively.
  [[nodiscard, gnu::always_inline]] Expected<ExclusivePage> FixExclusive(
      PageId id, Access access = Access::kNormal, CallSite site = CallSite::Current()) noexcept {
    return FixExclusiveFor(nullptr, id, access, site);
  }
  // The page for a look, not latched. It is brought if it is not there. Waits while somebody has
  // it exclusively.
  [[nodiscard, gnu::always_inline]] Expected<OptimisticPage> Peek(
      PageId id, Access access = Access::kNormal) noexcept;
  // The same if it is there and nobody has it exclusively, otherwise nothing: two loads of the
  // entry's way, and one of the entry.
  [[nodiscard, gnu::always_inline]] std::optional<OptimisticPage> TryPeek(PageId id) noexcept;

 private:
  template <class>
  friend class BasicPageScope;

  using FileEntries = typename Translation::FileView;

  // `entries` is a view of the translation, or of the file's part of it.
  template <class Entries>
  [[gnu::always_inline]] Expected<SharedPage> FixSharedIn(const Entries& entries,
                                                          buffer::ScanRing* ring, PageId id,
                                                          Access access, CallSite site) noexcept;
  template <class Entries>
  [[gnu::always_inline]] Expected<ExclusivePage> FixExclusiveIn(const Entries& entries,
                                                                buffer::ScanRing* ring, PageId id,
                                                                Access access,
                                                                CallSite site) noexcept;
  template <class Entries>
  [[gnu::always_inline]] static std::optional<OptimisticPage> TryPeekIn(
      const Entries& entries, const buffer::FrameAddresses& addresses, buffer::PoolParts& parts,
      PageId id) noexcept;

  // For who has a ring of his own for scans; nullptr for the pool's.
  [[gnu::always_inline]] Expected<SharedPage> FixSharedFor(buffer::ScanRing* ring, PageId id,
                                                           Access access, CallSite site) noexcept {
    return FixSharedIn(view_, ring, id, access, site);
  }
  [[gnu::always_inline]] Expected<ExclusivePage> FixExclusiveFor(buffer::ScanRing* ring, PageId id,
                                                                 Access access,
                                                                 CallSite site) noexcept {
    return FixExclusiveIn(view_, ring, id, access, site);
  }

  BasicBufferPool(std::unique_ptr<Translation> translation, const BufferPoolOptions& options,
                  Parts parts)
      : BufferPoolCore(options, std::move(parts)),
        view_(translation->MakeView()),
        translation_(std::move(translation)) {}

  const typename Translation::View view_;
  std::unique_ptr<Translation> translation_;
};

// The pages of one file, with what every page of it has in common looked up once, beside what the
// pool keeps of where frames are: a TryPeek() of a page that is there is two thirds of the
// instructions of the pool's. What it does is what the pool does. A value of seven words, which a
// thread best has a copy of.
template <class Translation>
class BasicBufferPool<Translation>::FileView {
 public:
  FileId file() const noexcept { return file_; }
  BasicBufferPool& pool() const noexcept { return *pool_; }

  [[nodiscard, gnu::always_inline]] Expected<SharedPage> FixShared(
      uint64_t page, Access access = Access::kNormal,
      CallSite site = CallSite::Current()) const noexcept {
    return pool_->FixSharedIn(entries_, nullptr, {file_, page}, access, site);
  }
  [[nodiscard, gnu::always_inline]] Expected<ExclusivePage> FixExclusive(
      uint64_t page, Access access = Access::kNormal,
      CallSite site = CallSite::Current()) const noexcept {
    return pool_->FixExclusiveIn(entries_, nullptr, {file_, page}, access, site);
  }
  [[nodiscard, gnu::always_inline]] Expected<OptimisticPage> Peek(
      uint64_t page, Access access = Access::kNormal) const noexcept;
  [[nodiscard, gnu::always_inline]] std::optional<OptimisticPage> TryPeek(
      uint64_t page) const noexcept;

 private:
  friend class BasicBufferPool;

  FileView(BasicBufferPool& pool, FileId file) noexcept
      : pool_(&pool), file_(file), entries_(pool.view_.OfFile(file)), addresses_(pool.addresses_) {}

  BasicBufferPool* pool_;
  FileId file_;
  FileEntries entries_;
  buffer::FrameAddresses addresses_;
};

// Choose it for files whose pages are numbered from 0 on without large gaps, as those of most
// engines are, the holes of sparse files included: an entry is found with two loads. A page alone
// in its neighbourhood of 512 numbers costs 4 KiB of entries.
using BufferPool = BasicBufferPool<buffer::ArrayTranslation>;

// Choose it where page numbers are anything up to 2^40 (hashes, keys, a huge address space), or
// where there are many thousands of small files: memory for entries is as the frames, 29 bytes
// each, and none is set aside for a file. A hit hashes the page's name, and looks at the entry's
// slot once more.
using HashBufferPool = BasicBufferPool<buffer::HashTranslation>;

// --- Implementation -----------------------------------------------------------------------------

template <class Translation>
template <class Entries>
inline Expected<SharedPage> BasicBufferPool<Translation>::FixSharedIn(const Entries& entries,
                                                                      buffer::ScanRing* ring,
                                                                      PageId id, Access access,
                                                                      CallSite site) noexcept {
  buffer::PoolParts& parts = this->parts();
  {
    const buffer::FixSections::Inside inside(parts.sections);
    if (buffer::PageEntry* const entry = entries.Find(id)) [[likely]] {
      const buffer::EntryState before = entry->Pin();
      if (before.was_pinned() && entries.Has(*entry, id)) [[likely]] {
        CountHit(before.frame(), access);
        buffer::Latched latched(parts, *entry, addresses_.At(before.frame()),
                                Record(id, false, site));
        return SharedPage(std::move(latched));
      }
      parts.Unpin(*entry);
    }
  }
  return FixSharedSlow(id, access, ring, site);
}

template <class Translation>
template <class Entries>
inline Expected<ExclusivePage> BasicBufferPool<Translation>::FixExclusiveIn(
    const Entries& entries, buffer::ScanRing* ring, PageId id, Access access,
    CallSite site) noexcept {
  buffer::PoolParts& parts = this->parts();
  {
    const buffer::FixSections::Inside inside(parts.sections);
    if (buffer::PageEntry* const entry = entries.Find(id)) [[likely]] {
      const buffer::EntryState seen = entry->Load();
      if (seen.is_readable() && entries.Has(*entry, id) && entry->TryExclusive(seen)) [[likely]] {
        CountHit(seen.frame(), access);
        buffer::Latched latched(parts, *entry, addresses_.At(seen.frame()), Record(id, true, site));
        return ExclusivePage(std::move(latched));
      }
    }
  }
  return FixExclusiveSlow(id, access, ring, site);
}

template <class Translation>
template <class Entries>
inline std::optional<OptimisticPage> BasicBufferPool<Translation>::TryPeekIn(
    const Entries& entries, const buffer::FrameAddresses& addresses, buffer::PoolParts& parts,
    PageId id) noexcept {
  const buffer::PageEntry* const entry = entries.Look(id);
  if (entry == nullptr) [[unlikely]]
    return std::nullopt;
  const buffer::EntryState seen = entry->Load();
  if (!seen.is_readable() || !entries.Has(*entry, id)) [[unlikely]]
    return std::nullopt;
  return OptimisticPage(parts, *entry, addresses.At(seen.frame()), seen, id);
}

template <class Translation>
inline std::optional<OptimisticPage> BasicBufferPool<Translation>::TryPeek(PageId id) noexcept {
  if constexpr (buffer::kOptimisticReadsPin) {
    return TryPeekPinned(id);
  } else {
    return TryPeekIn(view_, addresses_, parts(), id);
  }
}

template <class Translation>
inline Expected<OptimisticPage> BasicBufferPool<Translation>::Peek(PageId id,
                                                                   Access access) noexcept {
  if constexpr (!buffer::kOptimisticReadsPin) {
    if (auto page = TryPeek(id)) [[likely]] {
      CountHit(page->seen_.frame(), access);
      return *std::move(page);
    }
  }
  return PeekSlow(id, access);
}

template <class Translation>
inline auto BasicBufferPool<Translation>::ViewOf(FileId file) noexcept -> Expected<FileView> {
  if (translation_->PagesOf(file) == 0) return tl::unexpected(NoSuchFile(file));
  return FileView(*this, file);
}

template <class Translation>
inline std::optional<OptimisticPage> BasicBufferPool<Translation>::FileView::TryPeek(
    uint64_t page) const noexcept {
  if constexpr (buffer::kOptimisticReadsPin) {
    return pool_->TryPeekPinned({file_, page});
  } else {
    return TryPeekIn(entries_, addresses_, pool_->parts(), {file_, page});
  }
}

template <class Translation>
inline Expected<OptimisticPage> BasicBufferPool<Translation>::FileView::Peek(
    uint64_t page, Access access) const noexcept {
  if constexpr (!buffer::kOptimisticReadsPin) {
    if (auto peeked = TryPeek(page)) [[likely]] {
      pool_->CountHit(peeked->seen_.frame(), access);
      return *std::move(peeked);
    }
  }
  return pool_->PeekSlow({file_, page}, access);
}

template <class Translation>
Expected<std::unique_ptr<BasicBufferPool<Translation>>> BasicBufferPool<Translation>::Create(
    const BufferPoolOptions& options) {
  auto valid = options.Validate();
  if (!valid) return tl::unexpected(std::move(valid.error()));
  auto translation = Translation::Create(
      {.files_max = options.files_max, .frames = options.frames, .budget = options.budget});
  if (!translation) return tl::unexpected(std::move(translation.error()));
  auto parts = MakeParts(options, **translation);
  if (!parts) return tl::unexpected(std::move(parts.error()));
  std::unique_ptr<BasicBufferPool> pool(
      new BasicBufferPool(std::move(*translation), options, std::move(*parts)));
  pool->Start();
  return pool;
}

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_BUFFER_POOL_H_
