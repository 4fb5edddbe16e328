// RegionResource: memory in blocks of any size, exact best fit.
//
//   auto memory = granary::RegionResource::Create({.reserve_bytes = size_t{8} << 30});
//   std::pmr::vector<Row> rows(memory->get());
//
// For objects that die one by one and are neither pages nor small: large values, buffers, extents
// of a shared mapping. It is a RegionAllocator over memory: a range that it reserves and grows
// into, or one that the caller gives.
//
// When not: for objects that die together (Arena), for pages (PagePool); for many threads at once
// (SharedRegionResource).
//
// Costs. RegionAllocator's, and nothing beside the blocks: they are adjacent, to the grain. Memory
// is charged by the chunk when a block first reaches into it, comes from the system when it is
// written, and goes back at Trim(), from wherever a whole chunk is free.
//
// Threading. One thread at a time.
//
// Errors. A bad free is misuse: a report and std::abort, or a status from Free().
#ifndef GRANARY_MEMORY_REGION_REGION_RESOURCE_H_
#define GRANARY_MEMORY_REGION_REGION_RESOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "memory/error.h"
#include "memory/memory_budget.h"
#include "memory/memory_resource.h"
#include "memory/region/region_allocator.h"
#include "memory/region/region_heap.h"
#include "memory/system_memory.h"

namespace granary {

struct RegionResourceOptions {
  // For reports. A string literal, or one that outlives the resource.
  const char* name = "region";
  // The most that it may ever have.
  size_t reserve_bytes = 0;
  // What is charged and given back at once, a multiple of the grain and of 4 KiB.
  size_t chunk_bytes = size_t{1} << 20;
  // Charged for the chunks that are there; outlives it. nullptr for none.
  MemoryBudget* budget = nullptr;
  // The grain is a power of two, of 8 bytes at least. Tracked, a block may be freed by its address.
  RegionOptions region = {};
  // Null for the real ones.
  SystemCalls* system_calls = nullptr;
};

class RegionResource final : public MemoryResource {
 public:
  static constexpr size_t kMaxAlignment = size_t{2} << 20;

  // Over a range that it reserves. kInvalidArgument, kOutOfMemory.
  static Expected<std::unique_ptr<RegionResource>> Create(const RegionResourceOptions& options);
  // Over memory that the caller has, whose begin is aligned to the grain, and that outlives it. Of
  // the options name and region count, and the budget is not charged. The largest alignment is that
  // of its begin.
  static Expected<std::unique_ptr<RegionResource>> CreateOver(
      std::span<std::byte> memory, const RegionResourceOptions& options = {});

  ~RegionResource() override;

  using MemoryResource::TryAllocate;
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;
  // Shrinks, and grows into what is free behind the block.
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;

  // What deallocate does, with a status instead of a report.
  FreeStatus Free(void* p, size_t bytes) noexcept;
  // Tracked: of a block that begins at `p`.
  FreeStatus Free(void* p) noexcept;
  // Tracked: the size of the block that begins at `p`, rounded up to the grain; 0 if there is none.
  size_t UsableSize(const void* p) const noexcept;
  bool Contains(const void* p) const noexcept;

  // Gives back all chunks that have nothing used; returns bytes.
  size_t Trim() noexcept override;

  // asked_bytes: exactly what callers asked for, or, tracked, the grains of it, as a free need not
  // say its size; used_bytes: the grains; held_bytes: the chunks that are there.
  MemoryStats Stats() const noexcept override;
  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override;

  const char* name() const noexcept { return name_; }
  // For its statistics, its validation, and what is free and used.
  const RegionAllocator& region() const noexcept { return heap_.region(); }

 private:
  RegionResource(const RegionResourceOptions& options, SystemMemory memory, std::byte* base,
                 size_t size, size_t max_alignment, region::RegionHeap heap) noexcept;

  Range RangeOf(const void* p, size_t bytes) const noexcept;
  // As Stats() counts it.
  size_t Asked(size_t bytes) const noexcept;
  void do_deallocate(void* p, size_t bytes, size_t alignment) override;

  const char* const name_;
  MemoryBudget* const budget_;
  SystemMemory memory_;
  std::byte* const base_;
  const size_t size_;
  region::RegionHeap heap_;
  size_t asked_bytes_ = 0;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_REGION_RESOURCE_H_
