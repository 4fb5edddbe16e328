// RegionHeap: a RegionAllocator over memory that is there by the chunk. Internal to memory/region.
//
// All of the region may be handed out; a chunk is charged for when the first block that reaches
// into it comes, and given back when somebody asks and nothing of it is used, wherever it lies.
// Charging is the owner's, and comes between two calls: so it can be done without a lock.
//
//   auto taken = heap.Take(bytes, alignment);
//   if (taken.missing_bytes != 0) charge them, or heap.Undo(taken);
//   surplus = taken.missing_bytes - heap.NoteThere(taken.range);
//
// Threading. One thread at a time. While a range is taken its chunks stay there, whoever trims.
#ifndef GRANARY_MEMORY_REGION_REGION_HEAP_H_
#define GRANARY_MEMORY_REGION_REGION_HEAP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "memory/error.h"
#include "memory/region/region_allocator.h"

namespace granary::region {

class RegionHeap {
 public:
  struct Taken {
    // Empty if there is no room.
    Range range;
    // Of the chunks that it reaches into and that are not there.
    size_t missing_bytes = 0;
    RegionAllocator::Marks before;
  };

  // kInvalidArgument for a grain that no memory can have.
  static Expected<void> CheckGrain(uint64_t grain);
  // And for chunks that are no whole grains and system pages.
  static Expected<void> CheckChunk(size_t chunk_bytes, uint64_t grain);

  // Over all of `region`, whose size is a multiple of `chunk_bytes`.
  RegionHeap(RegionAllocator region, size_t chunk_bytes);
  // All of it is there, and stays so.
  explicit RegionHeap(RegionAllocator region);

  [[nodiscard]] Taken Take(size_t bytes, size_t alignment) noexcept;
  // Makes a block that was taken larger or smaller, at its end. An empty range if it cannot be.
  [[nodiscard]] Taken Resize(Range range, size_t bytes) noexcept;
  // As if Take had not been called.
  void Undo(const Taken& taken) noexcept;
  // As if Resize of `range` had not been called.
  void UndoResize(Range range, const Taken& taken) noexcept;
  // The chunks of a range that was taken are there; returns how many bytes of them were not.
  size_t NoteThere(Range range) noexcept;

  FreeStatus Free(Range range) noexcept { return region_.Free(range); }

  // Calls `give_back(offset, bytes)` for runs of whole chunks that are there and have nothing used,
  // until it was `bytes_max` or there are no more, and forgets them; returns how many bytes.
  size_t Trim(size_t bytes_max,
              const std::function<void(uint64_t offset, size_t bytes)>& give_back) noexcept;

  const RegionAllocator& region() const noexcept { return region_; }
  size_t there_bytes() const noexcept { return there_bytes_; }

 private:
  bool IsThere(size_t chunk) const noexcept {
    return (there_[chunk / 64] >> (chunk % 64) & 1) != 0;
  }
  size_t MissingBytes(Range range) const noexcept;

  RegionAllocator region_;
  // 0 where all is there.
  size_t chunk_bytes_ = 0;
  size_t there_bytes_;
  // Bit i: chunk i is there.
  std::vector<uint64_t> there_;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_REGION_HEAP_H_
