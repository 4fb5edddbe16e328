// BufferPoolCore: what a buffer pool does that is no hit, whatever its translation. See
// buffer_pool.h, which this is a part of; options and statistics are in buffer_pool_options.h.
#ifndef GRANARY_POOL_BUFFER_BUFFER_POOL_CORE_H_
#define GRANARY_POOL_BUFFER_BUFFER_POOL_CORE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "memory/error.h"
#include "memory/memory_budget.h"
#include "pool/buffer/buffer_pool_options.h"
#include "pool/buffer/eviction.h"
#include "pool/buffer/evictor.h"
#include "pool/buffer/frame_supply.h"
#include "pool/buffer/page_guard.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/pool_parts.h"
#include "pool/buffer/prefetcher.h"
#include "pool/buffer/write_back.h"

namespace granary {

// Frames set aside, for a place where a page must not fail to come: within a latch, say. Given back
// at its end. One thread at a time; the pool outlives it.
class [[nodiscard]] PageReservation {
 public:
  PageReservation() noexcept = default;
  PageReservation(PageReservation&& other) noexcept
      : supply_(std::exchange(other.supply_, nullptr)), frames_(std::move(other.frames_)) {}
  PageReservation& operator=(PageReservation&& other) noexcept {
    std::swap(supply_, other.supply_);
    std::swap(frames_, other.frames_);
    return *this;
  }
  ~PageReservation();

  // How many are left.
  size_t pages() const noexcept { return frames_.size(); }

 private:
  friend class BufferPoolCore;

  buffer::FrameSupply* supply_ = nullptr;
  std::vector<FrameIndex> frames_;
};

class BufferPoolCore : private Reclaimer {
 public:
  using Clock = std::chrono::steady_clock;

  BufferPoolCore(const BufferPoolCore&) = delete;
  BufferPoolCore& operator=(const BufferPoolCore&) = delete;

  // --- Files ------------------------------------------------------------------------------------

  // From now on the file's pages may be fixed. Repairs torn pages first where the pool keeps
  // images. kInvalidArgument: a store of pages of another size, or an id that is taken;
  // kOutOfMemory; the store's errors.
  Expected<FileId> Attach(AttachOptions options);

  // Writes what is dirty, makes it durable, and lets the file go. Nobody has or asks for one of its
  // pages meanwhile: kBusy if somebody does, and then the file is attached as before; so it is
  // after an error of the store or the log.
  Expected<void> Detach(FileId file);

  // --- New pages, and pages that are no more
  // -------------------------------------------------------

  // `pages` frames, taken now, so that Allocate or CreatePage cannot fail for want of one. Evicts
  // and waits as a fix does: to be had before the first latch.
  Expected<PageReservation> Reserve(size_t pages);

  // The file's next page, one that it never had: zeros, dirty at `lsn`, exclusively. Takes a frame
  // of the reservation. kOutOfMemory: the reservation is used up, the file has pages_max pages, or
  // the budget has no memory for the entry's leaf.
  Expected<ExclusivePage> Allocate(FileId file, PageReservation& reservation, Lsn lsn = 0,
                                   CallSite site = CallSite::Current());
  // The same of a page that the caller names and has no use for as it is, which is not read: one
  // that was discarded, or of a file that is written from scratch. Waits while somebody has it.
  Expected<ExclusivePage> CreatePage(PageId id, PageReservation& reservation, Lsn lsn = 0,
                                     CallSite site = CallSite::Current());
  // Forgets the page, which nobody is to read again: its changes are not written. What it is in its
  // file stays as it was. The frame is free for other pages at once, or as soon as the scan or the
  // evictor comes by that has it.
  void Discard(ExclusivePage page) noexcept;

  // --- Ahead of need
  // ---------------------------------------------------------------------------------

  // Brings those of the pages that are not there, in few calls of their stores, as long as there
  // are free frames or clean pages to evict; returns how many it brought. Waits for the reads; an
  // error of a page is not told before the page is fixed.
  size_t Prefetch(std::span<const PageId> pages, Access access = Access::kWillNeed) noexcept;

  // The same without waiting: one of the pool's threads brings them, in about this order, while the
  // caller goes on. A fix of one that is on its way waits for that read; of one that is not yet, it
  // reads. Returns how many from the front were taken: thousands wait at most, and of pages for
  // which there are no frames nothing is heard again. Costs a lock, and now and then a wake-up.
  size_t StartPrefetch(std::span<const PageId> pages, Access access = Access::kWillNeed) noexcept;

  // --- Writing
  // ------------------------------------------------------------------------------------

  // Writes every page that has changes at or before `up_to`, once; what is changed meanwhile stays
  // dirty. The first error; the others were tried. A page that somebody has exclusively is waited
  // for: no latch is the caller's.
  Expected<void> Flush(Lsn up_to = UINT64_MAX);

  // Flushes without stopping anybody, at `pages_per_second` at most, and makes durable what was
  // written. What the log has before the LSN that is returned is not needed for recovery any more,
  // if every change is marked (MarkDirty) before the log is durable up to it.
  Expected<Lsn> Checkpoint(size_t pages_per_second = SIZE_MAX);

  // --- Memory
  // -------------------------------------------------------------------------------------

  // Sets how many frames there may be, while pages are in use; at least kFramesMin, at most what
  // the PagePool has reserved. For fewer, pages are written and evicted: kOutOfMemory or the
  // store's error, and as before, if that is not done in the pool's frame_wait.
  Expected<void> Resize(size_t frames);

  // The pages that are there, for a warm start: Prefetch them. In no order.
  std::vector<PageId> ResidentPages() const;

  // Gives memory of entries that no resident page needs back to the system; returns bytes. Done by
  // itself when it is a megabyte.
  size_t TrimEntries() noexcept {
    return parts_.parts->translation.GiveBackEmpty(parts().sections);
  }

  // --- Questions
  // ----------------------------------------------------------------------------------

  size_t page_bytes() const noexcept { return parts_.parts->frames.page_bytes(); }
  BufferPoolStats Stats() const noexcept;
  // Who has what; empty where pins are not recorded.
  std::vector<PinRecord> Pins() const;

 protected:
  // In the order in which each needs those before it.
  struct Parts {
    std::unique_ptr<buffer::PoolParts> parts;
    std::unique_ptr<buffer::DoubleWrite> double_write;
    std::unique_ptr<buffer::WriteBack> write_back;
    std::unique_ptr<buffer::FrameSupply> supply;
  };

  static Expected<Parts> MakeParts(const BufferPoolOptions& options,
                                   buffer::Translation& translation);
  // Throws std::bad_alloc.
  BufferPoolCore(const BufferPoolOptions& options, Parts parts);
  ~BufferPoolCore() override;

  // The evictor, and answering the budget. Stop() writes nothing.
  void Start();
  void Stop() noexcept;

  buffer::PoolParts& parts() const noexcept { return *all_; }
  uint64_t Record(PageId id, bool is_exclusive, CallSite site) const noexcept {
    if (records_pins_) [[unlikely]]
      return parts().ledger->Add(id, is_exclusive, site);
    return 0;
  }
  [[gnu::always_inline]] void CountHit(FrameIndex frame, Access access) noexcept {
    if (access == Access::kScan || access == Access::kOnce) return;
    if (hits_ == nullptr) [[unlikely]] {
      parts_.supply->TellHit(frame);
    } else {
      granary::CountHit(hits_[frame], hits_max_);
    }
  }
  buffer::FrameSupply& supply() const noexcept { return *parts_.supply; }

  Parts parts_;
  // What the hit path reads, together.
  buffer::PoolParts* const all_;
  const buffer::FrameAddresses addresses_;
  std::atomic<uint8_t>* const hits_;
  const uint8_t hits_max_;
  const bool records_pins_;

  [[gnu::cold, gnu::noinline]] Expected<SharedPage> FixSharedSlow(PageId id, Access access,
                                                                  buffer::ScanRing* ring,
                                                                  CallSite site) noexcept;
  [[gnu::cold, gnu::noinline]] Expected<ExclusivePage> FixExclusiveSlow(PageId id, Access access,
                                                                        buffer::ScanRing* ring,
                                                                        CallSite site) noexcept;
  [[gnu::cold, gnu::noinline]] Expected<OptimisticPage> PeekSlow(PageId id, Access access) noexcept;
  // TryPeek where optimistic reads pin.
  std::optional<OptimisticPage> TryPeekPinned(PageId id) noexcept;
  [[gnu::cold]] static Error NoSuchFile(FileId file);

 private:
  using Loaded = buffer::PageEntry::Loaded;

  template <class Asked>
  class PrefetchReads;

  // Whether others that have memory under the budget may have to give some up for an entry. They
  // may wait for pages that the caller brings, if he brings several.
  enum class Asks : uint8_t { kNobody, kOthers };

  // A page that was brought, or that somebody else was faster with: then there is no entry.
  struct Brought {
    buffer::PageEntry* entry = nullptr;
    FrameIndex frame = 0;
  };
  Expected<Brought> Bring(PageId id, Access access, buffer::ScanRing* ring, Loaded as);
  // Reads the page into the frame and looks whether it is right.
  Expected<Lsn> ReadPage(PageId id, FrameIndex frame);
  Expected<Lsn> Judge(PageId id, FrameIndex frame, int error_number);
  [[gnu::cold]] Error WhyUnread(PageId id, FrameIndex frame, int error_number);
  // An entry that the caller brings the page of; nothing if it is there or somebody else brings it.
  Expected<buffer::PageEntry*> BeginBringing(PageId id, Asks asks);
  struct Ahead {
    size_t brought = 0;
    // Otherwise it stopped for want of one.
    bool has_frames = true;
  };
  // The pages that Asked.Take() names.
  template <class Asked>
  Ahead BringAhead(Asked& asked, FileId file, Access access) noexcept;
  void BringInBackground(buffer::Prefetcher::Some& some) noexcept;
  // True if there may be memory now that there was not.
  [[gnu::cold]] bool MakeRoomForEntries(Asks asks) noexcept;
  void EndBringing(buffer::PageEntry& entry, PageId id, FrameIndex frame, Lsn lsn, Access access,
                   buffer::ScanRing* ring, Loaded as) noexcept;
  void GiveUpBringing(buffer::PageEntry& entry, PageId id) noexcept;
  // Returns when the entry may have changed; false if there is none, or the page is absent.
  bool AwaitChange(PageId id) noexcept;
  void AwaitNoPins(buffer::PageEntry& entry) noexcept;
  Expected<ExclusivePage> CreateAt(PageId id, PageReservation& reservation, Lsn lsn, CallSite site);

  // Calls write(frames) for dirty frames with changes at or before `up_to`, a batch at a time.
  template <class Write>
  void ForDirty(Lsn up_to, const Write& write);
  Expected<void> FlushPaced(Lsn up_to, std::optional<FileId> file, size_t pages_per_second);
  size_t Reclaim(size_t bytes, Reclaimer::Clock::time_point deadline) noexcept override;

  PagePool& pages_;
  MemoryBudget* const budget_;
  const int reclaim_priority_;
  WalGate* const gate_;
  const std::chrono::milliseconds frame_wait_;
  const size_t evictor_high_frames_;
  // The scan of those who have no PageScope.
  buffer::ScanRing ring_;
  std::unique_ptr<buffer::Evictor> evictor_;
  std::mutex attach_mutex_;

  std::atomic<uint64_t> version_seed_ = 1;
  std::atomic<uint64_t> prefetched_ = 0;
  std::atomic<uint64_t> read_errors_ = 0;
  std::atomic<uint64_t> waits_ = 0;

  // Uses the rest.
  std::optional<buffer::Prefetcher> prefetcher_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_BUFFER_POOL_CORE_H_
