// Clock: first in, first out, but a page that was asked for since it was last looked at gets
// another round (Corbato 1968, in its form with a queue).
//
// The least memory and the least work of all that count, and the rule that most engines use. A scan
// drives out what is hot: S3Fifo is as cheap at a hit and better at that.
#ifndef GRANARY_POOL_BUFFER_CLOCK_H_
#define GRANARY_POOL_BUFFER_CLOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/error.h"
#include "pool/buffer/eviction.h"
#include "pool/buffer/frame_array.h"
#include "pool/buffer/frame_list.h"

namespace granary {

// Calls are as EvictionPolicy says.
class Clock {
 public:
  static constexpr uint8_t kHitsMax = 1;

  static Expected<Clock> Create(size_t frames_max, SystemCalls* system_calls = nullptr);

  std::atomic<uint8_t>* hits() const noexcept { return hits_.data(); }
  size_t bytes_max() const noexcept { return links_.bytes_max() + hits_.bytes_max(); }

  void OnInsert(FrameIndex frame, PageKey /*key*/, Access /*access*/) noexcept {
    hits_[frame].store(0, std::memory_order_relaxed);
    links_.PushBack(queue_, frame);
  }
  void OnHit(FrameIndex frame) noexcept { CountHit(hits_[frame], kHitsMax); }
  size_t PickVictims(std::span<FrameIndex> out) noexcept;
  void OnEvicted(FrameIndex /*frame*/, PageKey /*key*/) noexcept {}
  void OnKept(FrameIndex frame) noexcept { links_.PushBack(queue_, frame); }
  void OnErase(FrameIndex frame) noexcept { links_.Remove(queue_, frame); }
  void SetCapacity(size_t /*frames*/) noexcept {}

 private:
  Clock() noexcept = default;

  FrameLinks links_;
  FrameArray<std::atomic<uint8_t>> hits_;
  // The one that is looked at next is first.
  FrameList queue_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_CLOCK_H_
