#include "pool/buffer/s3_fifo.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace granary {

static_assert(EvictionPolicy<S3Fifo>);

namespace {

// A page that has so many hits when it is to leave the small queue goes to the main one.
constexpr uint8_t kPromotionHits = 2;

// The small queue at first, and at least and at most: in percent of the capacity.
constexpr uint64_t kSmallPercent = 10;
constexpr uint64_t kSmallMinPercent = 1;
constexpr uint64_t kSmallMaxPercent = 90;

// The boundary's steps, in quarters of a frame.
constexpr uint64_t kGrowthQuarters = 4;
constexpr uint64_t kShrinkageQuarters = 5;

// The pages of scans, at most: in percent of the capacity.
constexpr uint64_t kOncePercent = 1;

// Who comes back within so many departures would have stayed in a queue that had so much more.
constexpr uint32_t NearOf(size_t frames) {
  return static_cast<uint32_t>(std::max<size_t>(1, frames / 20));
}

}  // namespace

Expected<S3Fifo> S3Fifo::Create(size_t frames_max, SystemCalls* system_calls) {
  if (auto checked = CheckFramesMax(frames_max, "S3Fifo::Create"); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  S3Fifo s3_fifo;
  for (const auto& reserved : {s3_fifo.links_.Reserve(frames_max, system_calls),
                               s3_fifo.hits_.Reserve(frames_max, system_calls),
                               s3_fifo.places_.Reserve(frames_max, system_calls),
                               s3_fifo.small_ghosts_.Reserve(frames_max, system_calls),
                               s3_fifo.main_ghosts_.Reserve(NearOf(frames_max), system_calls)}) {
    if (!reserved) return tl::unexpected(reserved.error());
  }
  s3_fifo.SetCapacity(frames_max);
  return s3_fifo;
}

size_t S3Fifo::bytes_max() const noexcept {
  return links_.bytes_max() + hits_.bytes_max() + places_.bytes_max() + small_ghosts_.bytes_max() +
         main_ghosts_.bytes_max();
}

void S3Fifo::OnInsert(FrameIndex frame, PageKey key, Access access) noexcept {
  const bool is_once = access == Access::kScan || access == Access::kOnce;
  const uint32_t fingerprint = FingerprintOf(key);
  const uint32_t departures = small_ghosts_.Take(fingerprint);
  const bool left_main = departures == 0 && main_ghosts_.Take(fingerprint) != 0;
  if (!is_once) {
    if (departures != 0 && departures <= NearOf(capacity_)) GrowSmall();
    if (left_main) ShrinkSmall();
  }
  hits_[frame].store(0, std::memory_order_relaxed);
  places_[frame] = is_once ? Place::kOnce : departures != 0 ? Place::kMain : Place::kSmall;
  links_.PushBack(ListOf(frame), frame);
}

size_t S3Fifo::PickVictims(std::span<FrameIndex> out) noexcept {
  size_t picked = 0;
  for (size_t looks = LooksMax(out.size()); looks != 0 && picked < out.size(); --looks) {
    const bool is_rest_empty = small_.size == 0 && main_.size == 0;
    if (once_.size == 0 && is_rest_empty) break;
    if (once_.size >= once_target_ || is_rest_empty) {
      const FrameIndex frame = links_.PopFront(once_);
      if (MayLeaveAtOnce(frame)) out[picked++] = frame;
    } else if (small_.size >= small_target() || main_.size == 0) {
      const FrameIndex frame = links_.PopFront(small_);
      if (MayLeaveAtOnce(frame)) out[picked++] = frame;
    } else {
      const FrameIndex frame = links_.PopFront(main_);
      if (MayLeaveMain(frame)) out[picked++] = frame;
    }
  }
  return picked;
}

// Or it is promoted.
bool S3Fifo::MayLeaveAtOnce(FrameIndex frame) noexcept {
  if (hits_[frame].load(std::memory_order_relaxed) < kPromotionHits) return true;
  hits_[frame].store(0, std::memory_order_relaxed);
  places_[frame] = Place::kMain;
  links_.PushBack(main_, frame);
  return false;
}

// Or it gets another round.
bool S3Fifo::MayLeaveMain(FrameIndex frame) noexcept {
  const uint8_t hits = hits_[frame].load(std::memory_order_relaxed);
  if (hits == 0) return true;
  hits_[frame].store(static_cast<uint8_t>(hits - 1), std::memory_order_relaxed);
  links_.PushBack(main_, frame);
  return false;
}

void S3Fifo::OnEvicted(FrameIndex frame, PageKey key) noexcept {
  assert(places_[frame] != Place::kNone);
  if (places_[frame] == Place::kSmall) small_ghosts_.Push(FingerprintOf(key));
  if (places_[frame] == Place::kMain) main_ghosts_.Push(FingerprintOf(key));
  places_[frame] = Place::kNone;
}

FrameList& S3Fifo::ListOf(FrameIndex frame) noexcept {
  switch (places_[frame]) {
    case Place::kOnce:
      return once_;
    case Place::kMain:
      return main_;
    case Place::kNone:
    case Place::kSmall:
      break;
  }
  assert(places_[frame] == Place::kSmall);
  return small_;
}

// Into the main queue, wherever it was: somebody has it, or it waits to be written. If it came back
// to the small one, and all that is there is kept, no other would ever be picked.
void S3Fifo::OnKept(FrameIndex frame) noexcept {
  places_[frame] = Place::kMain;
  links_.PushBack(main_, frame);
}

void S3Fifo::OnErase(FrameIndex frame) noexcept {
  links_.Remove(ListOf(frame), frame);
  places_[frame] = Place::kNone;
}

void S3Fifo::GrowSmall() noexcept {
  small_target_quarters_ = std::min(small_target_quarters_ + kGrowthQuarters, small_max_quarters_);
}

void S3Fifo::ShrinkSmall() noexcept {
  small_target_quarters_ -= std::min(kShrinkageQuarters, small_target_quarters_);
  small_target_quarters_ = std::max(small_target_quarters_, small_min_quarters_);
}

// The small queue keeps its share.
void S3Fifo::SetCapacity(size_t frames) noexcept {
  constexpr uint64_t kQuarterPercent = 100 / kQuarters;
  const uint64_t target = capacity_ == 0 ? frames * kSmallPercent / kQuarterPercent
                                         : small_target_quarters_ * frames / capacity_;
  capacity_ = frames;
  once_target_ = std::max<size_t>(1, frames * kOncePercent / 100);
  small_min_quarters_ = std::max(kQuarters, frames * kSmallMinPercent / kQuarterPercent);
  small_max_quarters_ = std::max(small_min_quarters_, frames * kSmallMaxPercent / kQuarterPercent);
  small_target_quarters_ = std::clamp(target, small_min_quarters_, small_max_quarters_);
  small_ghosts_.SetLimit(static_cast<uint32_t>(frames));
  main_ghosts_.SetLimit(NearOf(frames));
}

}  // namespace granary
