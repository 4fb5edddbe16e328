#include "pool/buffer/two_q.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace granary {

static_assert(EvictionPolicy<TwoQ>);

namespace {

// The paper's Kin and Kout, as shares of the capacity.
constexpr size_t kRecentDivisor = 4;
constexpr size_t kGhostsDivisor = 2;

constexpr size_t GhostsOf(size_t frames) { return std::max<size_t>(1, frames / kGhostsDivisor); }

}  // namespace

Expected<TwoQ> TwoQ::Create(size_t frames_max, SystemCalls* system_calls) {
  if (auto checked = CheckFramesMax(frames_max, "TwoQ::Create"); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  TwoQ two_q;
  for (const auto& reserved : {two_q.links_.Reserve(frames_max, system_calls),
                               two_q.places_.Reserve(frames_max, system_calls),
                               two_q.ghosts_.Reserve(GhostsOf(frames_max), system_calls)}) {
    if (!reserved) return tl::unexpected(reserved.error());
  }
  two_q.SetCapacity(frames_max);
  return two_q;
}

size_t TwoQ::bytes_max() const noexcept {
  return links_.bytes_max() + places_.bytes_max() + ghosts_.bytes_max();
}

void TwoQ::OnInsert(FrameIndex frame, PageKey key, Access access) noexcept {
  const bool is_once = access == Access::kScan || access == Access::kOnce;
  const bool was_here = ghosts_.Take(FingerprintOf(key)) != 0;
  places_[frame] = is_once ? Place::kOnce : was_here ? Place::kMain : Place::kRecent;
  links_.PushBack(ListOf(frame), frame);
}

void TwoQ::OnHit(FrameIndex frame) noexcept {
  // A hit soon after the first says nothing: the two may be one access to the row and one to its
  // neighbour.
  if (places_[frame] != Place::kMain) return;
  links_.Remove(main_, frame);
  links_.PushBack(main_, frame);
}

size_t TwoQ::PickVictims(std::span<FrameIndex> out) noexcept {
  size_t picked = 0;
  while (picked < out.size() && (recent_.size != 0 || main_.size != 0)) {
    // While none goes, all of the one queue, and then all of the other.
    const bool is_recent_due = kept_in_turn_ % (recent_.size + main_.size) < recent_.size;
    const bool from_recent = (recent_.size > recent_max_ && is_recent_due) || main_.size == 0;
    out[picked++] = links_.PopFront(from_recent ? recent_ : main_);
  }
  return picked;
}

void TwoQ::OnEvicted(FrameIndex frame, PageKey key) noexcept {
  assert(places_[frame] != Place::kNone);
  kept_in_turn_ = 0;
  if (places_[frame] == Place::kRecent) ghosts_.Push(FingerprintOf(key));
  places_[frame] = Place::kNone;
}

void TwoQ::OnKept(FrameIndex frame) noexcept {
  ++kept_in_turn_;
  links_.PushBack(ListOf(frame), frame);
}

void TwoQ::OnErase(FrameIndex frame) noexcept {
  links_.Remove(ListOf(frame), frame);
  places_[frame] = Place::kNone;
}

void TwoQ::SetCapacity(size_t frames) noexcept {
  recent_max_ = static_cast<uint32_t>(frames / kRecentDivisor);
  ghosts_.SetLimit(static_cast<uint32_t>(GhostsOf(frames)));
}

}  // namespace granary
