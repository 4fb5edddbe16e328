#include "pool/buffer/clock.h"

#include <utility>

namespace granary {

static_assert(EvictionPolicy<Clock>);

Expected<Clock> Clock::Create(size_t frames_max, SystemCalls* system_calls) {
  if (auto checked = CheckFramesMax(frames_max, "Clock::Create"); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  Clock clock;
  for (const auto& reserved : {clock.links_.Reserve(frames_max, system_calls),
                               clock.hits_.Reserve(frames_max, system_calls)}) {
    if (!reserved) return tl::unexpected(reserved.error());
  }
  return clock;
}

size_t Clock::PickVictims(std::span<FrameIndex> out) noexcept {
  size_t picked = 0;
  for (size_t looks = LooksMax(out.size()); looks != 0 && picked < out.size(); --looks) {
    if (queue_.size == 0) break;
    const FrameIndex frame = links_.PopFront(queue_);
    if (hits_[frame].load(std::memory_order_relaxed) == 0) {
      out[picked++] = frame;
    } else {
      hits_[frame].store(0, std::memory_order_relaxed);
      links_.PushBack(queue_, frame);
    }
  }
  return picked;
}

}  // namespace granary
