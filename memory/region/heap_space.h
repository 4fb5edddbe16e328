// HeapSpace: which bytes of a CompactingHeap are used. Internal to memory/region.
//
// A RegionAllocator that ends where the last used byte does: what is free above is no part of it.
// So its best fit is the best of the holes, its size the heap's end, and the highest range that is
// used touches the end. The memory beneath grows and shrinks with it.
//
// Threading. One thread at a time.
#ifndef GRANARY_MEMORY_REGION_HEAP_SPACE_H_
#define GRANARY_MEMORY_REGION_HEAP_SPACE_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "memory/error.h"
#include "memory/region/heap_memory.h"
#include "memory/region/heap_types.h"
#include "memory/region/region_allocator.h"
#include "memory/region/region_types.h"
#include "memory/region/segment_map.h"

namespace granary::region {

class HeapSpace {
 public:
  static Expected<HeapSpace> Create(HeapMemory memory, const HeapOptions& options);

  HeapMemory& memory() noexcept { return memory_; }
  const HeapMemory& memory() const noexcept { return memory_; }
  std::byte* data() const noexcept { return memory_.data(); }
  SegmentMap& segments() noexcept { return segments_; }
  const RegionAllocator& region() const noexcept { return region_; }

  uint64_t grain() const noexcept { return grain_; }
  uint64_t RoundUp(uint64_t bytes) const noexcept { return (bytes + grain_ - 1) & ~(grain_ - 1); }
  uint64_t limit_bytes() const noexcept { return limit_bytes_; }
  uint64_t end_bytes() const noexcept { return end_; }
  uint64_t used_bytes() const noexcept { return used_; }
  uint64_t free_bytes() const noexcept { return limit_bytes_ - used_; }
  uint64_t largest_hole_bytes() const noexcept { return region_.Stats().largest_free_bytes; }

  // The lowest of the smallest holes that hold `bytes`; with an alignment above the grain, the
  // smallest with room however it lies, unless the former happens to be aligned. O(log F).
  std::optional<uint64_t> TakeHole(uint64_t bytes, uint64_t alignment) noexcept;
  // The same, and nothing unless it lies below `limit`: looks at four holes at most.
  std::optional<uint64_t> TakeHoleBelow(uint64_t limit, uint64_t bytes,
                                        uint64_t alignment) noexcept;
  // At the end. kOutOfMemory: the limit, the budget or the system.
  Expected<uint64_t> TakeAtEnd(uint64_t bytes, uint64_t alignment);
  // Whether TakeAtEnd has room below the limit.
  bool HasRoomAtEnd(uint64_t bytes, uint64_t alignment) const noexcept;
  // All of it is free, and below the end.
  [[nodiscard]] bool TakeExactly(Range range) noexcept;
  // What was taken, or a part. Memory above the end may go back to the system, as much as `range`
  // and a chunk.
  void GiveBack(Range range) noexcept;
  // The same, and all memory stays: for moves, which are to take no longer than copying does.
  void Leave(Range range) noexcept;

  // Memory beyond what is kept above the end, and how much of it, `bytes_max` at most, goes back.
  uint64_t surplus_bytes() const noexcept { return memory_.surplus_bytes(end_); }
  uint64_t Shrink(uint64_t bytes_max) noexcept { return memory_.ShrinkTo(end_, bytes_max); }

 private:
  HeapSpace(HeapMemory memory, RegionAllocator region, const HeapOptions& options) noexcept;

  void Count(Range taken) noexcept {
    used_ += taken.size;
    segments_.Add(taken);
  }

  HeapMemory memory_;
  RegionAllocator region_;
  SegmentMap segments_;
  uint64_t grain_;
  uint64_t limit_bytes_;
  uint64_t chunk_bytes_;
  uint64_t end_ = 0;
  uint64_t used_ = 0;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_HEAP_SPACE_H_
