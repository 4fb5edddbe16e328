// SharedRegionResource: RegionResource for many threads, in shards.
//
//   auto memory = granary::SharedRegionResource::Create({.shard_bytes = size_t{8} << 30});
//   std::pmr::vector<Row> rows(memory->get());
//
// Each shard is a region of its own behind a lock, in its part of one range of addresses: so whose
// a block is follows from its address. A thread begins at the shard that its number says, goes on
// to others while that one is locked, and looks into all of them before it takes more memory from
// the system.
//
// When not: for one thread, RegionResource; for small objects, an arena or a malloc with caches for
// each thread.
//
// Costs. RegionAllocator's and an uncontended lock. Each shard keeps its own free ranges: blocks of
// several shards do not become one.
//
// Threading. Any thread, frees of what others allocated too. The budget, and so reclaimers, are
// asked with no lock held.
//
// Errors. A bad free is misuse: a report and std::abort, or a status from Free().
#ifndef GRANARY_MEMORY_REGION_SHARED_REGION_RESOURCE_H_
#define GRANARY_MEMORY_REGION_SHARED_REGION_RESOURCE_H_

#include <cstddef>
#include <memory>

#include "memory/error.h"
#include "memory/memory_budget.h"
#include "memory/memory_resource.h"
#include "memory/region/region_allocator.h"
#include "memory/region/region_heap.h"
#include "memory/system_memory.h"

namespace granary {

struct SharedRegionOptions {
  // For reports. A string literal, or one that outlives the resource.
  const char* name = "region";
  // The addresses of each shard, and so the largest block. A multiple of chunk_bytes.
  size_t shard_bytes = 0;
  // 0 for as many as the machine has processors, at most 8.
  size_t shards = 0;
  // What is charged and given back at once, a multiple of the grain and of 4 KiB.
  size_t chunk_bytes = size_t{1} << 20;
  // Charged for the chunks that are there; outlives it. nullptr for none.
  MemoryBudget* budget = nullptr;
  // The grain is a power of two, of 8 bytes at least.
  RegionOptions region = {};
  // Null for the real ones.
  SystemCalls* system_calls = nullptr;
};

class SharedRegionResource final : public MemoryResource {
 public:
  static constexpr size_t kMaxAlignment = size_t{2} << 20;

  // kInvalidArgument, kOutOfMemory.
  static Expected<std::unique_ptr<SharedRegionResource>> Create(const SharedRegionOptions& options);

  ~SharedRegionResource() override;

  using MemoryResource::TryAllocate;
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;
  // Shrinks, and grows into what is free behind the block.
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;

  // What deallocate does, with a status instead of a report.
  FreeStatus Free(void* p, size_t bytes) noexcept;
  bool Contains(const void* p) const noexcept;

  // Gives back chunks that have nothing used, until `bytes` are or there are none; returns how many
  // bytes that were.
  size_t Trim(size_t bytes) noexcept;
  size_t Trim() noexcept override { return Trim(SIZE_MAX); }

  // asked_bytes and used_bytes: the grains of what is live; held_bytes: the chunks that are there.
  MemoryStats Stats() const noexcept override;
  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override;

  const char* name() const noexcept { return name_; }
  size_t shard_count() const noexcept { return shard_count_; }
  // A copy, as others change it. Of its failures, other shards may have served some.
  RegionStats ShardStats(size_t shard) const noexcept;
  // Validates every shard.
  Expected<void> Validate() const;
  MemoryBudget* budget() const noexcept { return budget_; }

 private:
  struct Shard;

  SharedRegionResource(const SharedRegionOptions& options, SystemMemory memory,
                       std::unique_ptr<Shard[]> shards, size_t shard_count) noexcept;

  // The number of the calling thread's shard.
  size_t Home() const noexcept;
  size_t ShardOf(const void* p) const noexcept;
  std::byte* BaseOf(size_t shard) const noexcept;
  // In any shard, first in those that nobody has locked.
  void* AllocateThere(size_t bytes, size_t alignment) noexcept;
  void* AllocateIn(size_t shard, size_t bytes, size_t alignment) noexcept;
  void do_deallocate(void* p, size_t bytes, size_t alignment) override;

  const char* const name_;
  const size_t shard_bytes_;
  const uint64_t grain_;
  MemoryBudget* const budget_;
  SystemMemory memory_;
  const std::unique_ptr<Shard[]> shards_;
  const size_t shard_count_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_SHARED_REGION_RESOURCE_H_
