// MallocResource: the process's malloc as a MemoryResource. The upstream of everything that is not
// given another one.
//
// Choose it as the bottom of a stack of resources where no page pool is at hand. Any thread may
// call it. Cost: malloc's, plus three relaxed additions to counters of the calling thread's shard.
// Allocations up to kDefaultAlignment come from malloc, others from aligned_alloc; all go back with
// free, so that whatever malloc the program links is the one that is used.
#ifndef GRANARY_MEMORY_MALLOC_RESOURCE_H_
#define GRANARY_MEMORY_MALLOC_RESOURCE_H_

#include <array>
#include <atomic>
#include <cstddef>

#include "memory/memory_resource.h"

namespace granary {

class MallocResource final : public MemoryResource {
 public:
  static constexpr size_t kMaxAlignment = size_t{1} << 30;

  MallocResource() noexcept : MemoryResource(Deallocation::kFrees, kMaxAlignment) {}

  // The process's own, never destroyed: safe to use from static destructors.
  static MallocResource& Default() noexcept;

  using MemoryResource::TryAllocate;
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;

  // True when the allocation's malloc chunk has the room already, or keeps it.
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;

  // asked_bytes: exactly what callers asked for. used_bytes and held_bytes: what malloc says is
  // usable of it. Counts only what went through this object. While other threads allocate, a figure
  // is one that held at some moment of the call for each thread.
  MemoryStats Stats() const noexcept override;

  // How many allocations callers hold.
  size_t live_count() const noexcept;

 private:
  // Threads are spread over shards, each with a cache line of its own, so that counting shares
  // nothing between cores. A block may be freed on another thread than its own: one shard alone can
  // be negative, and only the sum means something (modulo 2^64).
  struct alignas(64) Shard {
    std::atomic<size_t> asked_bytes{0};
    std::atomic<size_t> usable_bytes{0};
    std::atomic<size_t> count{0};
  };
  static constexpr size_t kShards = 16;

  void do_deallocate(void* p, size_t bytes, size_t alignment) override;
  void Count(size_t asked_bytes, size_t usable_bytes, size_t count) noexcept;
  size_t Sum(std::atomic<size_t> Shard::*member) const noexcept;

  std::array<Shard, kShards> shards_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_MALLOC_RESOURCE_H_
