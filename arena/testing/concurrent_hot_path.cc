// The concurrent arena's inlined paths, each as a function by itself: hot_path_test.py disassembles
// them.
#include <cstddef>
#include <cstdio>

#include "arena/concurrent_arena.h"

using granary::ConcurrentArena;

extern "C" {

void* HotAllocate40(ConcurrentArena& arena) { return arena.TryAllocate(40); }
void* HotAllocate40By8(ConcurrentArena& arena) { return arena.TryAllocate(40, 8); }
void* HotAllocateBytes40(ConcurrentArena& arena) { return arena.TryAllocateBytes(40); }
void* HotAllocate(ConcurrentArena& arena, size_t bytes) { return arena.TryAllocate(bytes); }
void* HotAllocateBy8(ConcurrentArena& arena, size_t bytes) { return arena.TryAllocate(bytes, 8); }
void* HotAllocateBytes(ConcurrentArena& arena, size_t bytes) {
  return arena.TryAllocateBytes(bytes);
}
void* HotLaneAllocate40(ConcurrentArena::Lane& lane) { return lane.TryAllocate(40); }

}  // extern "C"

// Calls each of them through a pointer, so that none is inlined or dropped, and what is counted
// also works.
int main() {
  void* (*volatile const constant_sizes[])(ConcurrentArena&) = {HotAllocate40, HotAllocate40By8,
                                                                HotAllocateBytes40};
  void* (*volatile const variable_sizes[])(ConcurrentArena&, size_t) = {HotAllocate, HotAllocateBy8,
                                                                        HotAllocateBytes};
  void* (*volatile const of_lane)(ConcurrentArena::Lane&) = HotLaneAllocate40;
#if defined(GRANARY_VALGRIND)
  const char* const annotations = "on";
#else
  const char* const annotations = "off";
#endif

  ConcurrentArena arena({.checks = granary::Checks::kOff});
  for (int use = 0; use < 2; ++use) {
    for (const auto allocate : constant_sizes) {
      if (allocate(arena) == nullptr) return 1;
    }
    for (const auto allocate : variable_sizes) {
      if (allocate(arena, 40) == nullptr) return 1;
    }
    if (of_lane(arena.ThisLane()) == nullptr) return 1;
    std::printf("annotations %s, %zu bytes asked for\n", annotations, arena.Stats().asked_bytes);
    arena.Reset();
  }
  return arena.Stats().asked_bytes == 0 ? 0 : 1;
}
