#include "pool/buffer/hash_segment.h"

#include <limits>
#include <utility>

namespace granary::buffer {

Expected<void> HashSegment::Reserve(size_t entries, SystemCalls* calls) {
  const size_t bytes = BytesFor(entries);
  // What is found by hash is touched everywhere.
  const HugePages huge_pages =
      bytes >= SystemMemory::kHugePageBytes ? HugePages::kAdvise : HugePages::kNever;
  auto memory = SystemMemory::Reserve({.reserve_bytes = bytes,
                                       .commit = CommitPolicy::kOnTouch,
                                       .huge_pages = huge_pages,
                                       .system_calls = calls});
  if (!memory) return tl::unexpected(std::move(memory.error()));
  memory_ = std::move(*memory);
  bucket_count_ = bytes / kBucketBytes;
  slots_ = static_cast<uint32_t>(bucket_count_ * kSlots);
  // Zeros are as the constructors make them.
  buckets_ = reinterpret_cast<Bucket*>(memory_.data());
  beside_ = reinterpret_cast<Beside*>(memory_.data() + bucket_count_ * sizeof(Bucket));
  return {};
}

PageEntry* HashSegment::Find(PageTag tag, uint64_t hash) const noexcept {
  if (!has_pages()) return nullptr;
  size_t bucket = HomeOf(hash);
  for (size_t looks = 0; looks < bucket_count_; ++looks) {
    if (PageEntry* const entry = FindIn(buckets_[bucket], tag)) return entry;
    // Who takes the page's turn has counted its passes himself, or seen them counted; anybody else
    // may miss a page that is just coming.
    if (beside_[bucket].passed.load(std::memory_order_relaxed) == 0) return nullptr;
    bucket = Behind(bucket);
  }
  return nullptr;
}

bool HashSegment::Search(PageTag tag, uint64_t hash, Place* place) const noexcept {
  if (!has_pages()) return false;
  size_t bucket = HomeOf(hash);
  for (size_t looks = 0; looks < bucket_count_; ++looks) {
    if (const unsigned found = SlotsWith(buckets_[bucket], tag)) {
      *place = {bucket, static_cast<size_t>(std::countr_zero(found))};
      return true;
    }
    if (beside_[bucket].passed.load(std::memory_order_relaxed) == 0) return false;
    bucket = Behind(bucket);
  }
  return false;
}

PageEntry* HashSegment::Hold(PageTag tag, uint64_t hash) noexcept {
  Place place;
  if (!Search(tag, hash, &place)) return nullptr;
  uint16_t& holders = beside_[place.bucket].holders[place.slot];
  // More threads than a process may have.
  if (holders == std::numeric_limits<uint16_t>::max()) return nullptr;
  ++holders;
  return &buckets_[place.bucket].slots[place.slot].entry();
}

bool HashSegment::TryEnter(uint32_t entries_most) noexcept {
  uint32_t word = word_.load(std::memory_order_relaxed);
  do {
    if ((word & kShown) == 0 || (word & ~kShown) >= entries_most) return false;
    // Acquire: memory that was given back is all zeros.
  } while (!word_.compare_exchange_weak(word, word + 1, std::memory_order_acquire,
                                        std::memory_order_relaxed));
  return true;
}

PageEntry* HashSegment::Take(PageTag tag, uint64_t hash, uint32_t entries_most) noexcept {
  if (!TryEnter(entries_most)) return nullptr;
  const size_t home = HomeOf(hash);
  size_t bucket = home;
  for (size_t looks = 0; looks < bucket_count_; ++looks) {
    for (size_t slot = 0; slot < kSlots; ++slot) {
      HashSlot& its = buckets_[bucket].slots[slot];
      if (!its.TryTake(tag)) continue;
      beside_[bucket].holders[slot] = 1;
      return &its.entry();
    }
    beside_[bucket].passed.fetch_add(1, std::memory_order_relaxed);
    bucket = Behind(bucket);
  }
  // An eighth of the slots is free at any time, and each was taken by somebody else, or let go of
  // behind us.
  for (size_t passed = 0; passed < bucket_count_; ++passed) {
    beside_[passed].passed.fetch_sub(1, std::memory_order_relaxed);
  }
  word_.fetch_sub(1, std::memory_order_release);
  return nullptr;
}

bool HashSegment::LetGo(PageTag tag, uint64_t hash) noexcept {
  Place place;
  if (!Search(tag, hash, &place)) return false;
  if (--beside_[place.bucket].holders[place.slot] != 0) return true;
  buckets_[place.bucket].slots[place.slot].Leave();
  for (size_t passed = HomeOf(hash); passed != place.bucket; passed = Behind(passed)) {
    beside_[passed].passed.fetch_sub(1, std::memory_order_relaxed);
  }
  // Release: the slot is empty before who hides the segment knows that it is.
  word_.fetch_sub(1, std::memory_order_release);
  return true;
}

uint64_t HashSegment::passes() const noexcept {
  uint64_t passes = 0;
  for (size_t bucket = 0; bucket < bucket_count_; ++bucket) {
    passes += beside_[bucket].passed.load(std::memory_order_relaxed);
  }
  return passes;
}

}  // namespace granary::buffer
