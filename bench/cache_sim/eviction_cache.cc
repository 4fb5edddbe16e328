#include "bench/cache_sim/eviction_cache.h"

#include <span>
#include <utility>

namespace granary::bench {

Expected<std::unique_ptr<EvictionCache>> EvictionCache::Create(EvictionKind kind, size_t pages) {
  auto eviction = MakeEviction(kind, pages);
  if (!eviction) return tl::unexpected(std::move(eviction.error()));
  return std::unique_ptr<EvictionCache>(new EvictionCache(*std::move(eviction), pages));
}

bool EvictionCache::Access(PageKey page, granary::Access access) {
  driven_out_.reset();
  if (const auto found = frames_.find(page); found != frames_.end()) {
    Hit(found->second);
    return true;
  }
  const FrameIndex frame = FreeFrame();
  keys_[frame] = page;
  frames_.emplace(page, frame);
  eviction_->OnInsert(frame, page, access);
  return false;
}

void EvictionCache::Hit(FrameIndex frame) {
  if (eviction_->hits_max() != 0) {
    CountHit(eviction_->hits()[frame], eviction_->hits_max());
  } else {
    eviction_->OnHit(frame);
  }
}

FrameIndex EvictionCache::FreeFrame() {
  if (keys_.size() < pages_) {
    keys_.push_back(0);
    return static_cast<FrameIndex>(keys_.size() - 1);
  }
  FrameIndex victim = 0;
  // Each call looks at so many frames and no more, and the next goes on.
  while (eviction_->PickVictims(std::span(&victim, 1)) == 0) continue;
  eviction_->OnEvicted(victim, keys_[victim]);
  driven_out_ = keys_[victim];
  frames_.erase(keys_[victim]);
  return victim;
}

}  // namespace granary::bench
