// ConcurrentArenaPeer: what tests see of a ConcurrentArena that nobody else does.
#ifndef GRANARY_ARENA_TESTING_CONCURRENT_ARENA_PEER_H_
#define GRANARY_ARENA_TESTING_CONCURRENT_ARENA_PEER_H_

#include "arena/concurrent_arena.h"

namespace granary {

class ConcurrentArenaPeer {
 public:
  // Whether the calling thread's next allocation takes the inlined path to its lane.
  static bool FindsLaneAtOnce(const ConcurrentArena& arena) {
    return arena.per_thread_.Find() != nullptr;
  }
};

}  // namespace granary

#endif  // GRANARY_ARENA_TESTING_CONCURRENT_ARENA_PEER_H_
