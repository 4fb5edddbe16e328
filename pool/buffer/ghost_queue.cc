#include "pool/buffer/ghost_queue.h"

#include <bit>
#include <cassert>

namespace granary {

namespace {

// How many places a Push gives up while there are too many.
constexpr int kDroppedPerPush = 2;

}  // namespace

Expected<void> GhostQueue::Reserve(size_t ghosts_max, SystemCalls* system_calls) {
  if (auto reserved = entries_.Reserve(ghosts_max, system_calls); !reserved) return reserved;
  return buckets_.Reserve(ghosts_max, system_calls);
}

void GhostQueue::Push(uint32_t fingerprint) noexcept {
  for (int i = 0; i < kDroppedPerPush && size_ > limit_; ++i) DropPlace();
  if (next_ >= size_) {
    if (size_ < limit_) {
      next_ = size_;
      AddPlace();
    } else {
      next_ = 0;
      Unlink(next_);
    }
  } else {
    Unlink(next_);
  }
  entries_[next_].fingerprint = fingerprint;
  Link(next_);
  ++next_;
}

uint32_t GhostQueue::Take(uint32_t fingerprint) noexcept {
  if (size_ == 0) return 0;
  uint32_t* link = &buckets_[BucketOf(fingerprint)];
  while (*link != 0) {
    const uint32_t place = *link - 1;
    Entry& entry = entries_[place];
    if (entry.fingerprint == fingerprint) {
      *link = entry.next;
      return next_ > place ? next_ - place : next_ + (size_ - place);
    }
    link = &entry.next;
  }
  return 0;
}

// The lower bits of the fingerprint, one more for the buckets that are split already.
uint32_t GhostQueue::BucketOf(uint32_t fingerprint) const noexcept {
  const uint32_t mask = std::bit_ceil(size_) - 1;
  const uint32_t bucket = fingerprint & mask;
  return bucket < size_ ? bucket : bucket & mask >> 1;
}

void GhostQueue::Link(uint32_t place) noexcept {
  uint32_t& bucket = buckets_[BucketOf(entries_[place].fingerprint)];
  entries_[place].next = bucket;
  bucket = place + 1;
}

// Of a place whose page came back it finds nothing, and does nothing.
void GhostQueue::Unlink(uint32_t place) noexcept {
  uint32_t* link = &buckets_[BucketOf(entries_[place].fingerprint)];
  while (*link != 0 && *link != place + 1) link = &entries_[*link - 1].next;
  if (*link != 0) *link = entries_[place].next;
}

void GhostQueue::AddPlace() noexcept {
  ++size_;
  const uint32_t added = size_ - 1;
  buckets_[added] = 0;
  if (added == 0) return;
  // What the new bucket is to have stands in the one that lacks its highest bit.
  uint32_t* link = &buckets_[added - std::bit_floor(added)];
  while (*link != 0) {
    const uint32_t place = *link - 1;
    Entry& entry = entries_[place];
    if (BucketOf(entry.fingerprint) != added) {
      link = &entry.next;
      continue;
    }
    *link = entry.next;
    entry.next = buckets_[added];
    buckets_[added] = place + 1;
  }
}

void GhostQueue::DropPlace() noexcept {
  assert(size_ > 1);
  const uint32_t dropped = size_ - 1;
  Unlink(dropped);
  uint32_t chain = buckets_[dropped];
  --size_;
  while (chain != 0) {
    const uint32_t place = chain - 1;
    chain = entries_[place].next;
    Link(place);
  }
}

}  // namespace granary
