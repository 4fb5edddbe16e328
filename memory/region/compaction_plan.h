// CompactionPlan: moves that a CompactingHeap proposes, for those who move the data themselves:
// device memory, extents of a file.
//
//   auto plan = heap.Plan({.bytes = 64 << 20});
//   for (size_t i = 0; i < plan.size(); ++i) {
//     const BlockMove& move = plan[i];
//     device.Copy(move.from.offset, move.to.offset, move.from.size);
//     if (auto done = plan.Commit(i); !done) ...   // It was pinned meanwhile, or freed.
//   }
//
// The place that a block is to go to is reserved, and where it is stays its own, until its move is
// committed, ignored or destroyed; so moves may be copied in any order, at the same time, and
// resolved one by one. What was written to a block after it was copied and before Commit is lost:
// that is the caller's to prevent. A plan that is destroyed ignores the rest.
//
// Threading: as its heap. It ends before the heap does.
#ifndef GRANARY_MEMORY_REGION_COMPACTION_PLAN_H_
#define GRANARY_MEMORY_REGION_COMPACTION_PLAN_H_

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "memory/error.h"
#include "memory/region/compaction_run.h"
#include "memory/region/heap_types.h"

namespace granary {

class CompactingHeap;

class CompactionPlan {
 public:
  CompactionPlan(CompactionPlan&& other) noexcept
      : heap_(other.heap_),
        mutex_(other.mutex_),
        moves_(std::exchange(other.moves_, {})),
        stop_(other.stop_) {}
  CompactionPlan& operator=(CompactionPlan&&) = delete;
  ~CompactionPlan();

  bool empty() const noexcept { return moves_.empty(); }
  size_t size() const noexcept { return moves_.size(); }
  const BlockMove& operator[](size_t i) const noexcept { return moves_[i].move; }
  // Why there are no more.
  DefragStop stop() const noexcept { return stop_; }

  // The block is at `to`, and where it was is free. kBusy if the block is pinned: the move is still
  // there then. kInvalidArgument if there is no such move, or no more. If the block was freed
  // meanwhile, all its space is free now, and the answer is kAborted.
  Expected<void> Commit(size_t i);
  // The block stays where it is.
  Expected<void> Ignore(size_t i);
  // The block is freed. kBusy if it is pinned.
  Expected<void> Destroy(size_t i);

 private:
  friend class CompactingHeap;
  friend class SharedCompactingHeap;

  struct Entry {
    BlockMove move;
    region::StartedMove started;
    bool is_open = true;
  };

  explicit CompactionPlan(CompactingHeap& heap) noexcept : heap_(&heap) {}

  std::unique_lock<std::mutex> Lock() const;
  // The move, if it is open.
  Expected<Entry*> Open(size_t i, const char* where);
  // Ignores it.
  void Drop(Entry& entry) noexcept;

  CompactingHeap* heap_;
  // A SharedCompactingHeap's.
  std::mutex* mutex_ = nullptr;
  std::vector<Entry> moves_;
  DefragStop stop_ = DefragStop::kNoProgress;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_COMPACTION_PLAN_H_
