// The arena's inlined paths, each as a function by itself: hot_path_test.py disassembles them.
#include <cstddef>
#include <cstdio>

#include "arena/arena.h"
#include "memory/sanitizer.h"

using granary::Arena;

extern "C" {

void* HotAllocate40(Arena& arena) { return arena.TryAllocate(40); }
void* HotAllocate40By8(Arena& arena) { return arena.TryAllocate(40, 8); }
void* HotAllocateBytes40(Arena& arena) { return arena.TryAllocateBytes(40); }
void* HotAllocate(Arena& arena, size_t bytes) { return arena.TryAllocate(bytes); }
void* HotAllocateBy8(Arena& arena, size_t bytes) { return arena.TryAllocate(bytes, 8); }
void* HotAllocateBytes(Arena& arena, size_t bytes) { return arena.TryAllocateBytes(bytes); }
void HotReset(Arena& arena) { arena.Reset(); }

}  // extern "C"

// Calls each of them through a pointer, so that none is inlined or dropped, and what is counted
// also works.
int main() {
  void* (*volatile const constant_sizes[])(Arena&) = {HotAllocate40, HotAllocate40By8,
                                                      HotAllocateBytes40};
  void* (*volatile const variable_sizes[])(Arena&, size_t) = {HotAllocate, HotAllocateBy8,
                                                              HotAllocateBytes};
  void (*volatile const reset)(Arena&) = HotReset;
#if defined(GRANARY_VALGRIND)
  const char* const annotations = "on";
#else
  const char* const annotations = "off";
#endif

  Arena arena({.retention = granary::Retention::KeepAll(), .checks = granary::Checks::kOff});
  for (int use = 0; use < 2; ++use) {
    for (const auto allocate : constant_sizes) {
      if (allocate(arena) == nullptr) return 1;
    }
    for (const auto allocate : variable_sizes) {
      if (allocate(arena, 40) == nullptr) return 1;
    }
    std::printf("annotations %s, %zu bytes asked for\n", annotations, arena.Stats().asked_bytes);
    reset(arena);
  }
  return arena.Stats().asked_bytes == 0 ? 0 : 1;
}
