// FrameLane: what some threads have of a pool's frames to themselves, so that a miss touches little
// that others touch too. Internal to pool/buffer.
//
// A thread that evicts a batch keeps its frames here and takes one at each miss, and what it has
// brought into them waits here until the eviction policy is told of a batch at once. So the pool's
// lock and its list of free frames are for every sixteenth miss. Which lane is a thread's is
// chance; two that share one wait for each other for some nanoseconds.
//
// Pages that wait here are resident as any, and no victims yet. Whoever finds no frame empties all
// lanes (FrameSupply::ReturnAll) before he says so.
//
// Source: the batched hits and misses of X. Ding et al., BP-Wrapper, ICDE 2009; magazines of
// J. Bonwick, 2001.
#ifndef GRANARY_POOL_BUFFER_FRAME_LANE_H_
#define GRANARY_POOL_BUFFER_FRAME_LANE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pool/buffer/page_types.h"
#include "pool/buffer/spin_mutex.h"

namespace granary::buffer {

struct alignas(64) FrameLane {
  static constexpr size_t kLanes = 8;
  // Of either kind.
  static constexpr size_t kFramesMax = 16;

  // Number of the calling thread's.
  static size_t OfThread() noexcept {
    static constinit std::atomic<size_t> threads = 0;
    // 0 is none.
    static constinit thread_local size_t mine = 0;
    if (mine == 0) [[unlikely]]
      mine = threads.fetch_add(1, std::memory_order_relaxed) % kLanes + 1;
    return mine - 1;
  }

  // Guards all but the counts' reading.
  SpinMutex mutex;
  std::atomic<uint32_t> free_count = 0;
  uint32_t fresh_count = 0;
  // Of its threads.
  std::atomic<uint64_t> misses = 0;
  // The last one goes first.
  std::array<FrameIndex, kFramesMax> free;
  // In the order in which they came.
  std::array<FrameIndex, kFramesMax> fresh;
  std::array<Access, kFramesMax> fresh_access;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_FRAME_LANE_H_
