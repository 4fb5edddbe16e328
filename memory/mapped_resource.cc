#include "memory/mapped_resource.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <new>

namespace granary {

namespace {

constexpr int kProtection = PROT_READ | PROT_WRITE;
constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;

}  // namespace

MappedResource& MappedResource::Default() noexcept {
  alignas(MappedResource) static std::byte storage[sizeof(MappedResource)];
  static MappedResource* const resource = new (storage) MappedResource;
  return *resource;
}

void* MappedResource::TryAllocate(size_t bytes, size_t alignment) noexcept {
  if (!IsPowerOfTwo(alignment) || alignment > kMaxAlignment) return nullptr;
  if (bytes > size_t{PTRDIFF_MAX} - alignment) return nullptr;
  const size_t held = BlockBytes(bytes);
  // Above a page's, room to move in, whose ends are given back.
  const size_t slack = alignment > kPageBytes ? alignment - kPageBytes : 0;
  void* const mapped = calls_.Map(nullptr, held + slack, kProtection, kFlags);
  if (mapped == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(mapped);
  const size_t before =
      AlignUp(reinterpret_cast<uintptr_t>(begin), alignment) - reinterpret_cast<uintptr_t>(begin);
  // A kernel that has no room to split a mapping leaves it whole: then there is too much of it.
  if (slack != 0) {
    if (before != 0 && calls_.Unmap(begin, before) != 0) {
      (void)calls_.Unmap(begin, held + slack);
      return nullptr;
    }
    if (before != slack && calls_.Unmap(begin + before + held, slack - before) != 0) {
      (void)calls_.Unmap(begin + before, held + slack - before);
      return nullptr;
    }
  }
  Count(bytes, held);
  return begin + before;
}

bool MappedResource::TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t) noexcept {
  if (new_bytes > size_t{PTRDIFF_MAX}) return false;
  const size_t before = BlockBytes(old_bytes);
  const size_t after = BlockBytes(new_bytes);
  auto* const begin = static_cast<std::byte*>(p);
  if (after < before) {
    if (calls_.Unmap(begin + after, before - after) != 0) return false;
  } else if (after > before) {
    void* const end = begin + before;
    void* const more = calls_.Map(end, after - before, kProtection, kFlags | MAP_FIXED_NOREPLACE);
    if (more == MAP_FAILED) return false;
    // A kernel that does not know the flag takes the address for a hint.
    if (more != end) {
      (void)calls_.Unmap(more, after - before);
      return false;
    }
  }
  Count(new_bytes - old_bytes, after - before);
  return true;
}

void MappedResource::do_deallocate(void* p, size_t bytes, size_t) {
  if (p == nullptr) return;
  const size_t held = BlockBytes(bytes);
  // Refused only where the process has as many mappings as it may and this one would be split;
  // then its memory at least goes.
  if (calls_.Unmap(p, held) != 0) (void)calls_.Advise(p, held, MADV_DONTNEED);
  Count(0 - bytes, 0 - held);
}

MemoryStats MappedResource::Stats() const noexcept {
  // Others may be between the two.
  const size_t asked = asked_bytes_.load(std::memory_order_relaxed);
  const size_t held = std::max(asked, held_bytes_.load(std::memory_order_relaxed));
  return {.asked_bytes = asked, .used_bytes = held, .held_bytes = held};
}

}  // namespace granary
