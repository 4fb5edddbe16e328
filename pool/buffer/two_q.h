// TwoQ: a page has to come back after it left a short queue to be taken for a hot one ("2Q: A Low
// Overhead High Performance Buffer Management Replacement Algorithm", T. Johnson and D. Shasha,
// VLDB 1994: the full version, Kin = c/4, Kout = c/2).
//
//   a page --> [ recent: first in, first out, a quarter ] --> ghosts: the last c/2 that left it
//                                                               | asked for again
//   main: the one not asked for the longest goes  <-------------+
//
// A scan passes through the short queue and touches nothing else. A hit in the main queue moves a
// page and needs the lock: S3Fifo does without, and is better on most traces.
//
// Where it differs from the paper: a page that comes back leaves its place among the ghosts empty
// (ghost_queue.h), and pages of scans are not remembered.
#ifndef GRANARY_POOL_BUFFER_TWO_Q_H_
#define GRANARY_POOL_BUFFER_TWO_Q_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/error.h"
#include "pool/buffer/eviction.h"
#include "pool/buffer/frame_array.h"
#include "pool/buffer/frame_list.h"
#include "pool/buffer/ghost_queue.h"

namespace granary {

// Calls are as EvictionPolicy says. PickVictims finds as many as are asked for, if there are so
// many.
class TwoQ {
 public:
  static constexpr uint8_t kHitsMax = 0;

  static Expected<TwoQ> Create(size_t frames_max, SystemCalls* system_calls = nullptr);

  std::atomic<uint8_t>* hits() const noexcept { return nullptr; }
  size_t bytes_max() const noexcept;

  void OnInsert(FrameIndex frame, PageKey key, Access access) noexcept;
  void OnHit(FrameIndex frame) noexcept;
  size_t PickVictims(std::span<FrameIndex> out) noexcept;
  void OnEvicted(FrameIndex frame, PageKey key) noexcept;
  void OnKept(FrameIndex frame) noexcept;
  void OnErase(FrameIndex frame) noexcept;
  void SetCapacity(size_t frames) noexcept;

 private:
  enum class Place : uint8_t {
    kNone,
    kRecent,
    kOnce,  // In the recent queue; leaves no ghost.
    kMain,
  };

  TwoQ() noexcept = default;

  FrameList& ListOf(FrameIndex frame) noexcept {
    return places_[frame] == Place::kMain ? main_ : recent_;
  }

  FrameLinks links_;
  FrameArray<Place> places_;
  FrameList recent_;
  // The one that was not asked for the longest is first.
  FrameList main_;
  GhostQueue ghosts_;
  uint32_t recent_max_ = 0;
  // How many were kept since one went.
  uint32_t kept_in_turn_ = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_TWO_Q_H_
