// HashSegment: a table of page entries that is found by hash, of one size. Internal to pool/buffer;
// HashTranslation has one, and another of twice the size when that is full.
//
// A bucket is a cache line of four slots, and a slot a page's tag and its entry. A page is in the
// bucket that its hash says or, where that was full, in the next that had room. Beside each bucket
// stands how many pages have passed it so: a search ends where none has. A page that goes takes its
// passes back, and leaves nothing behind that later searches would have to step over. An entry
// stays where it is while its page is held; what is free is taken by the next that comes.
//
//        slot       TryTake(tag)         the page comes, is there, goes          Leave()
//   nobody's (tag 0) ---------> the page's (tag) .................... entry absent -----> nobody's
//
// The entry's word goes on from page to page: who has found a slot may pin it when it is another
// page's already, and an optimistic reader may compare with what the page before had. So whoever
// found an entry looks at the slot's tag once more, behind the pin, or behind the first load of the
// state:
//
//   - The entry says resident behind a pin that holds. The tag was stored before the page's
//     EndLoad, which released it, and stays until the pin is gone: the tag that is read is the
//     page's.
//   - A state is loaded (acquire), then the tag, then the page is read, then the state is compared.
//     A tag that was stored before the state cannot be missed. One that was stored later comes
//     behind the Evict of the page that the state was of, with another version; and who reads the
//     tag, or anything behind it, and passes the acquire fence finds that version, as tags are
//     stored with release.
//
// The version is kept when a slot changes hands: it comes round after 2^21 changes, as everywhere.
//
// Costs. 16 bytes a slot, and 12 a bucket for what finds need only where a bucket is full: 19 bytes
// a slot. At two thirds full, one page in twelve is not where its hash says.
//
// Threading. Find from any thread. Of one tag, one thread at a time calls Take, Hold and LetGo.
//
// Sources: displacement counts instead of tombstones, and pins that are undone, P. Dillinger's
// HyperClockCache in RocksDB (cache/clock_cache.h); hashes to ranges by multiplication, D. Lemire,
// 2019.
#ifndef GRANARY_POOL_BUFFER_HASH_SEGMENT_H_
#define GRANARY_POOL_BUFFER_HASH_SEGMENT_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "memory/error.h"
#include "memory/system_memory.h"
#include "pool/buffer/page_entry.h"
#include "pool/buffer/page_types.h"

namespace granary {
class SystemCalls;
}  // namespace granary

namespace granary::buffer {

// A page as slots have it, so that no page's is 0 but that of the last page of the last file that
// there may be.
using PageTag = uint64_t;
constexpr PageTag TagOf(PageId id) noexcept { return ~KeyOf(id); }

// Neighbours, strides and files end up anywhere. No two tags have one hash: each step can be
// undone.
constexpr uint64_t HashOf(PageTag tag) noexcept {
  // The constants of MurmurHash3's finalizer. What comes last there is for the low bits; here the
  // high ones say where the page goes.
  tag = (tag ^ tag >> 33) * 0xFF51AFD7ED558CCDu;
  return (tag ^ tag >> 33) * 0xC4CEB9FE1A85EC53u;
}

template <template <class> class Atomic = std::atomic>
class BasicHashSlot {
 public:
  BasicHashSlot() noexcept : tag_(0) {}

  static const BasicHashSlot& Of(const BasicPageEntry<Atomic>& entry) noexcept {
    return *reinterpret_cast<const BasicHashSlot*>(reinterpret_cast<const std::byte*>(&entry) -
                                                   sizeof(Atomic<PageTag>));
  }

  bool Has(PageTag tag) const noexcept { return tag_.load(std::memory_order_relaxed) == tag; }
  // False for a slot that is somebody's; for one that is not it may be false for no reason.
  // Acquire: what the slot's last page left is there to be counted on. Release: see above.
  [[nodiscard]] bool TryTake(PageTag tag) noexcept {
    PageTag nobody = 0;
    return Has(nobody) && tag_.compare_exchange_weak(nobody, tag, std::memory_order_acq_rel,
                                                     std::memory_order_relaxed);
  }
  void Leave() noexcept { tag_.store(0, std::memory_order_release); }

  BasicPageEntry<Atomic>& entry() noexcept { return entry_; }

 private:
  Atomic<PageTag> tag_;
  BasicPageEntry<Atomic> entry_;
};

using HashSlot = BasicHashSlot<>;
static_assert(sizeof(HashSlot) == 16);

class HashSegment {
 public:
  static constexpr size_t kSlots = 4;

  // What a segment for so many entries takes, two thirds full and a few more: whole pages.
  static constexpr size_t BytesFor(size_t entries) noexcept {
    const size_t buckets = entries / (2 * kSlots) * 3 + entries % (2 * kSlots) + kSpareBuckets;
    return (buckets * kBucketBytes + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
  }

  // Nothing; no other function may be called.
  HashSegment() noexcept = default;

  // Sets address space aside. kOutOfMemory.
  Expected<void> Reserve(size_t entries, SystemCalls* calls);

  size_t bytes() const noexcept { return memory_.size_bytes(); }
  // Up to this the pages are found where their hashes say, mostly; up to the second there is room.
  uint32_t entries_easy() const noexcept { return slots_ / 4 * 3; }
  uint32_t entries_max() const noexcept { return slots_ / 8 * 7; }

  // --- Finding ----------------------------------------------------------------------------------

  // In the bucket that its hash says, and nowhere else: a load of each tag.
  [[gnu::always_inline]] PageEntry* FindAtHome(PageTag tag, uint64_t hash) const noexcept {
    return FindIn(buckets_[HomeOf(hash)], tag);
  }
  PageEntry* Find(PageTag tag, uint64_t hash) const noexcept;

  // --- Holding ----------------------------------------------------------------------------------

  // One more that holds the page; nullptr if it is not here.
  PageEntry* Hold(PageTag tag, uint64_t hash) noexcept;
  // A slot for a page that is not here. nullptr if `entries_most` are, or the memory is hidden.
  PageEntry* Take(PageTag tag, uint64_t hash, uint32_t entries_most) noexcept;
  // False if it is not here.
  bool LetGo(PageTag tag, uint64_t hash) noexcept;

  // Buckets that pages have gone past, of all pages together: what searches look at in vain. A load
  // of each bucket's count.
  uint64_t passes() const noexcept;

  // --- Memory -----------------------------------------------------------------------------------

  // One thread at a time calls these. A segment begins hidden: there is no page in it, and none
  // comes.
  bool is_shown() const noexcept { return (word_.load(std::memory_order_relaxed) & kShown) != 0; }
  bool is_empty() const noexcept { return word_.load(std::memory_order_relaxed) == kShown; }
  void Show() noexcept { word_.store(kShown, std::memory_order_release); }
  // False if there is a page.
  bool TryHide() noexcept {
    uint32_t empty = kShown;
    return word_.compare_exchange_strong(empty, 0, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  // Of a hidden one that nobody has found an entry in: its memory is the system's again. False if
  // the system does not take it.
  bool GiveBack() noexcept { return memory_.Decommit(0, memory_.size_bytes()).has_value(); }

 private:
  static constexpr size_t kUnitBytes = 4096;
  static constexpr size_t kSpareBuckets = 16;
  // The word: pages may come. Below, how many are here.
  static constexpr uint32_t kShown = uint32_t{1} << 31;

  struct alignas(64) Bucket {
    std::array<HashSlot, kSlots> slots;
  };
  // What is not read by a hit.
  struct Beside {
    // Pages that are in a bucket behind this one, as it was full.
    std::atomic<uint32_t> passed;
    // Of each slot, how often its page is held. The thread's that has the page's turn.
    std::array<uint16_t, kSlots> holders;
  };
  static constexpr size_t kBucketBytes = sizeof(Bucket) + sizeof(Beside);
  static_assert(kBucketBytes == 76);

  struct Place {
    size_t bucket;
    size_t slot;
  };

  // A page is in any of the slots as often as in another: that is no branch to be predicted.
  [[gnu::always_inline]] static unsigned SlotsWith(const Bucket& bucket, PageTag tag) noexcept {
    return unsigned{bucket.slots[0].Has(tag)} | unsigned{bucket.slots[1].Has(tag)} << 1 |
           unsigned{bucket.slots[2].Has(tag)} << 2 | unsigned{bucket.slots[3].Has(tag)} << 3;
  }
  [[gnu::always_inline]] static PageEntry* FindIn(Bucket& bucket, PageTag tag) noexcept {
    const unsigned found = SlotsWith(bucket, tag);
    if (found == 0) [[unlikely]]
      return nullptr;
    return &bucket.slots[static_cast<size_t>(std::countr_zero(found))].entry();
  }
  [[gnu::always_inline]] size_t HomeOf(uint64_t hash) const noexcept {
    __extension__ using Wide = unsigned __int128;
    return static_cast<size_t>(Wide{hash} * bucket_count_ >> 64);
  }
  size_t Behind(size_t bucket) const noexcept {
    return bucket + 1 != bucket_count_ ? bucket + 1 : 0;
  }
  // A page that is here and whose turn the thread has is counted.
  bool has_pages() const noexcept { return (word_.load(std::memory_order_relaxed) & ~kShown) != 0; }
  bool Search(PageTag tag, uint64_t hash, Place* place) const noexcept;
  bool TryEnter(uint32_t entries_most) noexcept;

  Bucket* buckets_ = nullptr;
  size_t bucket_count_ = 0;
  Beside* beside_ = nullptr;
  uint32_t slots_ = 0;
  SystemMemory memory_;
  // Misses change it; hits read what is above.
  alignas(64) std::atomic<uint32_t> word_ = 0;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_HASH_SEGMENT_H_
