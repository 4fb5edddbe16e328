// Lru: the page goes that was not asked for the longest.
//
// The policy that all others are measured by. Each hit moves a page and needs the lock, and one
// scan drives out everything: S3Fifo is better on both counts.
#ifndef GRANARY_POOL_BUFFER_LRU_H_
#define GRANARY_POOL_BUFFER_LRU_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/error.h"
#include "pool/buffer/eviction.h"
#include "pool/buffer/frame_list.h"

namespace granary {

// Calls are as EvictionPolicy says. PickVictims finds as many as are asked for, if there are so
// many.
class Lru {
 public:
  static constexpr uint8_t kHitsMax = 0;

  static Expected<Lru> Create(size_t frames_max, SystemCalls* system_calls = nullptr);

  std::atomic<uint8_t>* hits() const noexcept { return nullptr; }
  size_t bytes_max() const noexcept { return links_.bytes_max(); }

  void OnInsert(FrameIndex frame, PageKey /*key*/, Access /*access*/) noexcept {
    links_.PushBack(by_age_, frame);
  }
  void OnHit(FrameIndex frame) noexcept {
    links_.Remove(by_age_, frame);
    links_.PushBack(by_age_, frame);
  }
  size_t PickVictims(std::span<FrameIndex> out) noexcept;
  void OnEvicted(FrameIndex /*frame*/, PageKey /*key*/) noexcept {}
  void OnKept(FrameIndex frame) noexcept { links_.PushBack(by_age_, frame); }
  void OnErase(FrameIndex frame) noexcept { links_.Remove(by_age_, frame); }
  void SetCapacity(size_t /*frames*/) noexcept {}

 private:
  Lru() noexcept = default;

  FrameLinks links_;
  // The one that was not asked for the longest is first.
  FrameList by_age_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_LRU_H_
