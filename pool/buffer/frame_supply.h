// FrameSupply: where a buffer pool has its frames from, and takes them back. Internal to
// pool/buffer.
//
// Frames come from the PagePool until the pool has as many as it may, or nobody has memory to spare
// for more; then from pages that the eviction policy gives up. Clean ones go at once: who misses
// evicts a batch of them, which costs less than to have another thread do it. Dirty ones have to be
// written first (WriteBack), and that is the evictor's: they are laid aside for it, and as long as
// there are such it keeps frames free ahead of need. Where there is no evictor, or it is behind,
// who misses writes a batch.
//
// The frames of a scan. Once the pool is full, pages that are read for a scan are in a ring of few
// frames and no queue of the policy's: the scan takes its own oldest frame for its next page, and
// drives nothing else out. A page of the ring that others have asked for goes to the policy.
//
// Order of locks: that of the list of rings, a ring's, the policy's. No page is waited for with
// any.
//
// Threading. Any thread.
//
// Sources: free frames ahead of need, the page provider of LeanStore; rings, PostgreSQL's buffer
// access strategies.
#ifndef GRANARY_POOL_BUFFER_FRAME_SUPPLY_H_
#define GRANARY_POOL_BUFFER_FRAME_SUPPLY_H_

#include <array>
#include <atomic>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "memory/error.h"
#include "pool/buffer/eviction.h"
#include "pool/buffer/frame_lane.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/patience.h"
#include "pool/buffer/pool_parts.h"
#include "pool/buffer/spin_mutex.h"
#include "pool/buffer/write_back.h"
#include "pool/index_stack.h"
#include "pool/page_pool.h"

namespace granary::buffer {

class FrameSupply;

// The frames of one scan, the oldest first. All scans' together are an eighth of the pool's at
// most.
struct ScanRing : boost::intrusive::list_base_hook<> {
  ScanRing(FrameSupply& from, size_t most);
  // What is left goes to the policy.
  ~ScanRing();

  FrameSupply& supply;
  const size_t frames_max;
  std::mutex mutex;
  std::deque<FrameIndex> frames;
};

class FrameSupply {
 public:
  using Clock = std::chrono::steady_clock;

  FrameSupply(PoolParts& parts, PagePool& pages, std::unique_ptr<Eviction> eviction,
              WriteBack& write_back, size_t capacity) noexcept;
  // No page is resident.
  ~FrameSupply();

  FrameSupply(const FrameSupply&) = delete;
  FrameSupply& operator=(const FrameSupply&) = delete;

  // --- Frames -----------------------------------------------------------------------------------

  // A frame, for the caller to bring a page into. kOutOfMemory with the pins that stood against it
  // when no page can be evicted until `patience` is over; the error of the store or the log if
  // dirty pages cannot be written.
  Expected<FrameIndex> Obtain(Patience& patience);
  // The same for a page of a scan: the ring's oldest one where it is to be.
  Expected<FrameIndex> ObtainFor(ScanRing& ring, Patience& patience);
  // Without evicting; nothing if there is none free.
  std::optional<FrameIndex> TryObtain() noexcept;
  // Which has no page.
  void Return(FrameIndex frame) noexcept;

  // A page comes into a frame: to the policy, or to the ring if there is one and the pool is full.
  // Before it is resident.
  void Insert(FrameIndex frame, PageKey key, Access access, ScanRing* ring) noexcept;
  // The page has left its frame for good, and was not evicted.
  void Discarded(FrameIndex frame) noexcept;
  // What is in the rings, laid aside, or known to lanes alone goes to the policy; free frames of
  // lanes are free for all.
  void ReturnAll() noexcept;

  // The hit path's: where they are not null hits are counted here, up to hits_max().
  std::atomic<uint8_t>* hits() const noexcept { return hits_; }
  uint8_t hits_max() const noexcept { return hits_max_; }
  // A hit where they are null.
  void TellHit(FrameIndex frame) noexcept;

  // --- Making room ------------------------------------------------------------------------------

  struct Evicted {
    size_t frames = 0;
    // Could not go: dirty, and in somebody's hands.
    size_t dirty = 0;
    size_t busy = 0;
    size_t picked() const noexcept { return frames + dirty + busy; }
    // Of writing dirty ones.
    std::optional<Error> error;
  };
  enum class Writes : uint8_t {
    kNone,   // Dirty pages are laid aside for the evictor, if there is one.
    kInLog,  // The same, but for those whose changes the log has: they are written.
    kAll,    // Those that are laid aside come first, and dirty ones are written.
  };
  // Evicts up to `wanted` pages, one batch at most; their frames are free.
  Evicted EvictSome(size_t wanted, Writes writes) { return EvictFor(nullptr, wanted, writes); }
  // The same, for the calling thread to have first.
  Evicted EvictForThread(size_t wanted, Writes writes) {
    return EvictFor(LaneOfThread(), wanted, writes);
  }
  // The evictor's: what is laid aside goes, and `high_frames` are to be free. Returns whether that
  // is so, or how many went.
  struct Ahead {
    bool is_done = false;
    size_t frames = 0;
  };
  Ahead EvictAhead(size_t high_frames);

  // Free frames, those included that the PagePool still has for us, and those of lanes.
  size_t FreeFrames() const noexcept { return FreeForAll() + FreeInLanes(); }
  size_t capacity() const noexcept { return capacity_.load(std::memory_order_relaxed); }
  // Frames that the pool has of the PagePool's.
  size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  uint64_t evictions() const noexcept { return evictions_.load(std::memory_order_relaxed); }
  uint64_t foreground_batches() const noexcept {
    return foreground_batches_.load(std::memory_order_relaxed);
  }
  // Counts one of the calling thread.
  void CountMiss() noexcept {
    lanes_[FrameLane::OfThread()].misses.fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t misses() const noexcept;
  uint64_t ring_reuses() const noexcept { return ring_reuses_.load(std::memory_order_relaxed); }

  // Sets how many frames there may be. For fewer, evicts and writes what is in the way;
  // kOutOfMemory, and as before, if that is not done before `patience` is over.
  Expected<void> Resize(size_t frames, Patience& patience);

  // Gives up to `bytes` of free frames, and of clean pages, to the system; returns how many.
  size_t Release(size_t bytes, Clock::time_point deadline) noexcept;

  // Who evicts ahead; called, possibly often, when dirty pages are in the way and free frames are
  // few. Before any other call.
  void SetEvictor(size_t low_frames, std::function<void()> call) {
    evictor_low_ = low_frames;
    call_evictor_ = std::move(call);
  }

  // Why no frame is to be had.
  Error AllPinned() const;

 private:
  friend ScanRing;

  static constexpr size_t kBatchMax = 64;
  static constexpr size_t kAsideMax = 4 * kBatchMax;
  // The evictor's batch, before whose end nobody sees its frames.
  static constexpr size_t kAheadFrames = 16;
  static constexpr uint32_t kRefusedWants = 64;
  // Of entries that nobody holds; what is given back is mostly wanted again.
  static constexpr size_t kEmptyBytesMax = size_t{1} << 20;

  struct Links {
    const FrameTable& frames;
    PageIndex Load(PageIndex index) const noexcept {
      return static_cast<PageIndex>(frames[index].lsn.load(std::memory_order_relaxed));
    }
    void Store(PageIndex index, PageIndex next) const noexcept {
      frames[index].lsn.store(next, std::memory_order_relaxed);
    }
  };
  enum class Fate : uint8_t { kEvicted, kDirty, kBusy };

  // How many frames of either kind a lane may have, 0 if there are no lanes.
  size_t LaneFrames() const noexcept { return lane_frames_.load(std::memory_order_relaxed); }
  // nullptr if there are no lanes.
  FrameLane* LaneOfThread() noexcept {
    return LaneFrames() != 0 ? &lanes_[FrameLane::OfThread()] : nullptr;
  }
  // With the lane's lock, and the policy's.
  void TellOfFresh(FrameLane& lane) noexcept;
  // The lane's part of those that are free.
  std::span<const FrameIndex> PutFree(FrameLane& lane, std::span<const FrameIndex> frames) noexcept;
  size_t FreeForAll() const noexcept;
  size_t FreeInLanes() const noexcept;
  void Empty(FrameLane& lane) noexcept;

  Evicted EvictFor(FrameLane* lane, size_t wanted, Writes writes);
  size_t Pick(FrameLane* lane, std::span<FrameIndex> out, Writes writes) noexcept;
  // The first error.
  std::optional<Error> WriteDirty(std::span<FrameIndex> frames, Writes writes);
  void PrefetchEntries(std::span<const FrameIndex> frames) const noexcept;
  Fate TryEvict(FrameIndex frame) noexcept;
  // Of frames that were picked; those that went are the caller's.
  void Settle(std::span<const FrameIndex> gone, std::span<const FrameIndex> dirty,
              std::span<const FrameIndex> kept) noexcept;
  // With the policy's lock.
  void Keep(FrameIndex frame) noexcept;
  void LayAside(FrameIndex frame) noexcept;
  // There is one.
  FrameIndex TakeAside() noexcept;
  void ReturnEvicted(FrameLane* lane, std::span<const FrameIndex> frames) noexcept;
  static size_t BatchFrames(size_t capacity) noexcept;
  void SetLaneFrames(size_t capacity) noexcept;
  bool IsEvictorBehind() const noexcept;
  std::optional<FrameIndex> AwaitEvictor() noexcept;
  // With its lock.
  bool HasRoom(const ScanRing& ring) const noexcept;
  void Dissolve(ScanRing& ring) noexcept;
  // One more of the PagePool's. `asks`: others may have to release memory for it.
  std::optional<FrameIndex> Grow(bool asks) noexcept;
  bool GiveToPagePool() noexcept;
  void PushFree(FrameIndex frame) noexcept;
  void CallEvictor() noexcept;
  bool IsFull() const noexcept;

  PoolParts& parts_;
  PagePool& pages_;
  const std::unique_ptr<Eviction> eviction_;
  std::atomic<uint8_t>* const hits_;
  const uint8_t hits_max_;
  WriteBack& write_back_;
  size_t evictor_low_ = 0;
  std::function<void()> call_evictor_;

  // The first of the three in order.
  std::mutex rings_mutex_;
  boost::intrusive::list<ScanRing, boost::intrusive::constant_time_size<false>> rings_;
  std::atomic<size_t> ring_frames_ = 0;

  // Guards the policy, Frame::use once a page is resident, and what is laid aside: picked, and to
  // be written. Who has a lane's lock may take it.
  SpinMutex policy_mutex_;
  // A ring, from aside_first_ on.
  std::array<FrameIndex, kAsideMax> aside_;
  size_t aside_first_ = 0;
  std::atomic<size_t> aside_count_ = 0;
  // Dirty pages were in the way lately.
  std::atomic<bool> meets_dirty_ = false;

  std::array<FrameLane, FrameLane::kLanes> lanes_;
  std::atomic<size_t> lane_frames_ = 0;

  alignas(64) IndexStack<> free_;
  std::atomic<size_t> free_count_ = 0;
  std::atomic<size_t> used_ = 0;
  // The PagePool had none when it was asked last, and is asked again when so many were wanted.
  std::atomic<bool> is_refused_ = false;
  std::atomic<uint32_t> refused_wants_ = 0;
  std::atomic<size_t> capacity_;

  std::mutex resize_mutex_;
  std::atomic<uint64_t> evictions_ = 0;
  std::atomic<uint64_t> foreground_batches_ = 0;
  std::atomic<uint64_t> ring_reuses_ = 0;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_FRAME_SUPPLY_H_
