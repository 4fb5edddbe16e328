// HeapMemory: the bytes under a CompactingHeap: memory of the system that grows and shrinks, the
// caller's memory, or none, behind one interface. Internal to memory/region.
//
// Memory of the system comes by the chunk and is there when GrowTo has returned: a system or a
// budget that has none left is an error and not a signal. What is above the end goes back when
// somebody asks, as much at a time as he allows: taking pages back costs the system as long as
// copying them. Two chunks are left there, so that an end which rises and falls by a block costs
// nothing.
//
// Threading. One thread at a time.
#ifndef GRANARY_MEMORY_REGION_HEAP_MEMORY_H_
#define GRANARY_MEMORY_REGION_HEAP_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/error.h"
#include "memory/memory_budget.h"
#include "memory/region/heap_types.h"
#include "memory/system_memory.h"

namespace granary::region {

class HeapMemory {
 public:
  // Offsets of blocks are aligned as addresses are up to this.
  static constexpr uint64_t kMaxAlignment = 4096;

  // Reserves options.limit_bytes. kInvalidArgument, kOutOfMemory.
  static Expected<HeapMemory> Reserve(const HeapOptions& options);
  static HeapMemory Over(std::span<std::byte> memory) noexcept;
  // Offsets up to `limit_bytes` alone.
  static HeapMemory None(uint64_t limit_bytes) noexcept;

  HeapMemory(HeapMemory&& other) noexcept;
  HeapMemory& operator=(HeapMemory&&) = delete;
  ~HeapMemory();

  // nullptr if there is none.
  std::byte* data() const noexcept { return data_; }
  uint64_t limit_bytes() const noexcept { return limit_bytes_; }
  // Of the system.
  uint64_t held_bytes() const noexcept { return held_bytes_; }

  // The bytes below `end`, which is at most the limit, are there. kOutOfMemory, and nothing has
  // changed.
  Expected<void> GrowTo(uint64_t end);
  // What is above `end`, where nothing is used, and the two chunks behind it.
  uint64_t surplus_bytes(uint64_t end) const noexcept {
    const uint64_t above = held_bytes_ - (end < held_bytes_ ? end : held_bytes_);
    return chunk_bytes_ != 0 && above / 2 >= chunk_bytes_ ? above - 2 * chunk_bytes_ : 0;
  }
  // Nothing above `end` is used any more: whole chunks go back once there are two of them, but for
  // one. At most `bytes_max`, in whole pages; returns bytes.
  uint64_t ShrinkTo(uint64_t end, uint64_t bytes_max) noexcept;
  // All whole chunks; returns bytes.
  uint64_t TrimTo(uint64_t end) noexcept;

 private:
  // From there on, to the system.
  uint64_t GiveBackFrom(uint64_t kept) noexcept;
  HeapMemory(SystemMemory system, std::byte* data, uint64_t limit_bytes, uint64_t chunk_bytes,
             MemoryBudget* budget) noexcept;

  SystemMemory system_;
  std::byte* data_;
  uint64_t limit_bytes_;
  // 0 unless the memory is the system's.
  uint64_t chunk_bytes_;
  MemoryBudget* budget_;
  uint64_t held_bytes_ = 0;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_HEAP_MEMORY_H_
