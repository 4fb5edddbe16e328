// The malloc that this program links, as an implementation. It has no region: the size that it is
// made with is nothing to it.
#ifndef GRANARY_BENCH_REGION_MALLOCS_H_
#define GRANARY_BENCH_REGION_MALLOCS_H_

#include <cstddef>
#include <cstdlib>

#include "bench/program.h"

namespace granary::bench {

class Malloc {
 public:
  static constexpr const char* kName = GRANARY_BENCH_MALLOC_NAME;
  using Handle = std::byte*;

  explicit Malloc(size_t /*bytes*/) {}

  static bool IsNull(Handle handle) { return handle == nullptr; }

  Handle Allocate(size_t bytes, size_t alignment) {
    if (alignment <= alignof(std::max_align_t)) return static_cast<Handle>(std::malloc(bytes));
    void* allocated = nullptr;
    if (::posix_memalign(&allocated, alignment, bytes) != 0) return nullptr;
    return static_cast<Handle>(allocated);
  }
  void Free(Handle handle) { std::free(handle); }

  // realloc: in place or elsewhere, with its content.
  bool Reallocate(Handle& handle, size_t bytes) {
    void* const moved = std::realloc(handle, bytes);
    if (moved != nullptr) handle = static_cast<Handle>(moved);
    return moved != nullptr;
  }
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_MALLOCS_H_
