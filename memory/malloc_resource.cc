#include "memory/malloc_resource.h"

#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace granary {

MallocResource& MallocResource::Default() noexcept {
  alignas(MallocResource) static std::byte storage[sizeof(MallocResource)];
  static MallocResource* const resource = new (storage) MallocResource;
  return *resource;
}

void* MallocResource::TryAllocate(size_t bytes, size_t alignment) noexcept {
  if (!IsPowerOfTwo(alignment) || alignment > kMaxAlignment) return nullptr;
  if (bytes == 0) bytes = 1;
  // Malloc's own limit; asking for more is an error that sanitizers report rather than a refusal.
  if (bytes > size_t{PTRDIFF_MAX} - alignment) return nullptr;
  void* const p = alignment <= kDefaultAlignment
                      ? std::malloc(bytes)
                      : std::aligned_alloc(alignment, AlignUp(bytes, alignment));
  if (p != nullptr) Count(bytes, malloc_usable_size(p), 1);
  return p;
}

bool MallocResource::TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t) noexcept {
  if (old_bytes == 0) old_bytes = 1;
  if (new_bytes == 0) new_bytes = 1;
  const size_t usable = malloc_usable_size(p);
  // A shrink that would strand more than half of the chunk is the caller's to do by copying.
  if (new_bytes > usable || new_bytes < usable / 2) return false;
  Count(new_bytes - old_bytes, 0, 0);
  return true;
}

void MallocResource::do_deallocate(void* p, size_t bytes, size_t) {
  if (p == nullptr) return;
  if (bytes == 0) bytes = 1;
  Count(-bytes, -malloc_usable_size(p), size_t{0} - 1);
  std::free(p);
}

void MallocResource::Count(size_t asked_bytes, size_t usable_bytes, size_t count) noexcept {
  static std::atomic<size_t> next_shard{0};
  thread_local const size_t mine = next_shard.fetch_add(1, std::memory_order_relaxed) % kShards;
  Shard& shard = shards_[mine];
  // Relaxed: the figures order nothing, and only their sum is read.
  shard.asked_bytes.fetch_add(asked_bytes, std::memory_order_relaxed);
  shard.usable_bytes.fetch_add(usable_bytes, std::memory_order_relaxed);
  shard.count.fetch_add(count, std::memory_order_relaxed);
}

size_t MallocResource::Sum(std::atomic<size_t> Shard::*member) const noexcept {
  size_t sum = 0;
  for (const Shard& shard : shards_) sum += (shard.*member).load(std::memory_order_relaxed);
  // The shards are read one after the other: a block that comes and goes in between may have been
  // seen to go only. Less than nothing is held by nobody.
  return sum > size_t{PTRDIFF_MAX} ? 0 : sum;
}

MemoryStats MallocResource::Stats() const noexcept {
  const size_t asked = Sum(&Shard::asked_bytes);
  // The two sums are of different moments; what is promised of them holds all the same.
  const size_t usable = std::max(asked, Sum(&Shard::usable_bytes));
  return {.asked_bytes = asked, .used_bytes = usable, .held_bytes = usable};
}

size_t MallocResource::live_count() const noexcept { return Sum(&Shard::count); }

}  // namespace granary
