#include "pool/buffer/lru.h"

#include <utility>

namespace granary {

static_assert(EvictionPolicy<Lru>);

Expected<Lru> Lru::Create(size_t frames_max, SystemCalls* system_calls) {
  if (auto checked = CheckFramesMax(frames_max, "Lru::Create"); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  Lru lru;
  if (auto reserved = lru.links_.Reserve(frames_max, system_calls); !reserved) {
    return tl::unexpected(std::move(reserved.error()));
  }
  return lru;
}

size_t Lru::PickVictims(std::span<FrameIndex> out) noexcept {
  size_t picked = 0;
  while (picked < out.size() && by_age_.size != 0) out[picked++] = links_.PopFront(by_age_);
  return picked;
}

}  // namespace granary
