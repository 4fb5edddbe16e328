// MappedResource: each block a mapping of its own, which goes back to the system when it is freed.
//
// For large blocks where what the process has is to be what is counted: malloc keeps what is freed
// to it, and nobody can say how much. Not for small ones, nor where blocks come and go quickly: an
// allocation is a system call and a page fault for each 4 KiB that is touched, a free another call.
//
// Blocks are of whole system pages, zeroed. Any thread may call it.
#ifndef GRANARY_MEMORY_MAPPED_RESOURCE_H_
#define GRANARY_MEMORY_MAPPED_RESOURCE_H_

#include <atomic>
#include <cstddef>

#include "memory/memory_resource.h"
#include "memory/system_calls.h"

namespace granary {

class MappedResource final : public MemoryResource {
 public:
  static constexpr size_t kPageBytes = 4096;
  static constexpr size_t kMaxAlignment = size_t{1} << 30;

  // `calls` outlives it.
  explicit MappedResource(SystemCalls& calls = SystemCalls::Real()) noexcept
      : MemoryResource(Deallocation::kFrees, kMaxAlignment), calls_(calls) {}

  // The process's own, never destroyed: safe to use from static destructors.
  static MappedResource& Default() noexcept;

  // What a block of `bytes` takes.
  static size_t BlockBytes(size_t bytes) noexcept {
    return bytes > SIZE_MAX - kPageBytes ? SIZE_MAX : AlignUp(bytes + (bytes == 0), kPageBytes);
  }

  using MemoryResource::TryAllocate;
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;

  // Shrinks by giving pages back, and grows if the addresses behind the block are free.
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;

  // asked_bytes: exactly what callers asked for; used_bytes and held_bytes: whole pages of it.
  MemoryStats Stats() const noexcept override;

 private:
  void do_deallocate(void* p, size_t bytes, size_t alignment) override;
  void Count(size_t asked_bytes, size_t held_bytes) noexcept {
    asked_bytes_.fetch_add(asked_bytes, std::memory_order_relaxed);
    held_bytes_.fetch_add(held_bytes, std::memory_order_relaxed);
  }

  SystemCalls& calls_;
  // A system call hides what it costs to count.
  std::atomic<size_t> asked_bytes_{0};
  std::atomic<size_t> held_bytes_{0};
};

}  // namespace granary

#endif  // GRANARY_MEMORY_MAPPED_RESOURCE_H_
