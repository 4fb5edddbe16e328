// HashTranslation: the entries of resident pages in a table that is found by hash.
//
// For files whose page numbers are anything up to 2^40: keys, hashes, offsets in a huge address
// space, thousands of files of a few pages each. Memory is for the frames that the pool has, 29
// bytes each, whatever the pages are called. Where numbers are without large gaps ArrayTranslation
// is the one to choose: it has 8 bytes for each page and for the neighbours that are not resident,
// and finds an entry without a hash, in a cache line that has its neighbours' too.
//
// The table (hash_segment.h) is made for the frames that the pool is to have, not for the most that
// there may ever be: as hashes lead anywhere, all of it is touched. When it is full, as the pool
// has become larger, another one of twice the size is put before it: pages that come are in that,
// and those that are in the older one stay there until they are evicted, since an entry that may be
// pinned does not move. So no fix ever waits for a table to be filled anew, and a page that was
// there before is found at the second look. A table has its memory until it is empty, which it is
// not before its last page is gone, however small the pool has become.
//
// Costs. A hit: the hash (two multiplications), one more to find the bucket, a cache line that has
// the tags and the entry, and the tag once more; one page in twelve takes a second line. Metadata:
// 0.7 % of a pool with pages of 4 KiB; half as much again or less while there is an older table.
// Hold and LetGo: a mutex, of which there are 64 by hash.
//
// Memory is charged for a whole table when its first page comes.
//
// Threading. Any thread; AddFile and RemoveFile of one file are the caller's to order.
#ifndef GRANARY_POOL_BUFFER_HASH_TRANSLATION_H_
#define GRANARY_POOL_BUFFER_HASH_TRANSLATION_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "memory/error.h"
#include "pool/buffer/hash_segment.h"
#include "pool/buffer/page_entry.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/translation.h"

namespace granary::buffer {

class HashTranslation final : public Translation {
 public:
  // One less than others have: the last page of the last file is what a free slot has.
  static constexpr uint32_t kFilesMost = kFilesMax - 1;

  // kInvalidArgument for files_max that is not from 1 to kFilesMost, or no frames; kOutOfMemory.
  static Expected<std::unique_ptr<HashTranslation>> Create(const TranslationOptions& options);
  ~HashTranslation() override;

  // The hit path's: what a pool keeps a copy of.
  class View;
  View MakeView() const noexcept;
  // There is nothing that could be looked up once for all pages of a file.
  using FileView = View;

  Expected<void> AddFile(FileId file, uint64_t pages) override;
  bool RemoveFile(FileId file, FixSections& sections) noexcept override;
  uint64_t PagesOf(FileId file) const noexcept override;
  PageEntry* FindEntry(PageId id) const noexcept override;
  bool IsEntryOf(const PageEntry& entry, PageId id) const noexcept override;
  PageEntry* Hold(PageId id) noexcept override;
  void LetGo(PageId id) noexcept override;
  size_t GiveBackEmpty(FixSections& sections) noexcept override;
  size_t step_bytes() const noexcept override {
    return StepBytes(*newest_.load(std::memory_order_acquire));
  }
  size_t held_bytes() const noexcept override {
    return held_bytes_.load(std::memory_order_relaxed);
  }
  size_t empty_bytes() const noexcept override;

 private:
  // Each has more than twice the slots of the one before.
  static constexpr size_t kSegmentsMax = 24;
  // Slots are counted in 31 bits; frames in 28.
  static constexpr uint32_t kEntriesMax = uint32_t{1} << 29;
  static constexpr size_t kTurns = 64;

  // Whose turn it is with the pages of some hashes.
  struct alignas(64) Turn {
    std::mutex mutex;
  };
  enum class Fill : uint8_t { kEasy, kMost };

  explicit HashTranslation(const TranslationOptions& options);

  [[gnu::noinline]] PageEntry* FindFurther(PageTag tag, uint64_t hash) const noexcept;
  // `*tried` is the segment that had no room.
  PageEntry* TryHold(PageTag tag, uint64_t hash, Fill fill, HashSegment** tried) noexcept;
  // False if no memory is free for more than `full`. No lock is the caller's: the budget may ask
  // who has idle memory.
  bool MakeRoom(HashSegment* full) noexcept;
  // Of the segment that comes after this one, or of this one's memory if it has none.
  static size_t StepBytes(const HashSegment& newest) noexcept;
  // The caller has the mutex. Bytes; nothing if a thread is inside.
  bool TryGiveBack(FixSections& sections, size_t* bytes) noexcept;
  Turn& TurnOf(uint64_t hash) noexcept { return turns_[hash % kTurns]; }

  // What a hit reads.
  std::atomic<HashSegment*> newest_ = nullptr;
  const uint32_t files_max_;
  MemoryBudget* const budget_;
  SystemCalls* const calls_;
  std::array<HashSegment, kSegmentsMax> segments_;
  std::array<Turn, kTurns> turns_;
  // 0 where there is no file.
  const std::unique_ptr<std::atomic<uint64_t>[]> pages_;
  std::atomic<size_t> held_bytes_ = 0;
  // Guards which segments there are, and are shown. Nobody who has it takes a turn.
  std::mutex mutex_;
};

class HashTranslation::View {
 public:
  View OfFile(FileId /*file*/) const noexcept { return *this; }
  // To pin it: inside of the sections; nullptr if there is none. Behind the pin the caller asks
  // Has().
  [[gnu::always_inline]] PageEntry* Find(PageId id) const noexcept {
    if ((id.page >> kPageNumberBits | uint64_t{id.file} / kFilesMax) != 0) [[unlikely]]
      return nullptr;
    const PageTag tag = TagOf(id);
    const uint64_t hash = HashOf(tag);
    // Acquire: the segment's fields were written before.
    const HashSegment& newest = *its_->newest_.load(std::memory_order_acquire);
    if (PageEntry* const entry = newest.FindAtHome(tag, hash)) [[likely]]
      return entry;
    return its_->FindFurther(tag, hash);
  }
  // To look at it and nothing else, from anywhere: without memory it reads as absent. Behind the
  // first load of the state the caller asks Has().
  [[gnu::always_inline]] const PageEntry* Look(PageId id) const noexcept { return Find(id); }
  [[gnu::always_inline]] bool Has(const PageEntry& entry, PageId id) const noexcept {
    return HashSlot::Of(entry).Has(TagOf(id));
  }

 private:
  friend class HashTranslation;

  explicit View(const HashTranslation& its) noexcept : its_(&its) {}

  const HashTranslation* its_;
};

inline HashTranslation::View HashTranslation::MakeView() const noexcept { return View(*this); }
inline PageEntry* HashTranslation::FindEntry(PageId id) const noexcept {
  return MakeView().Find(id);
}
inline bool HashTranslation::IsEntryOf(const PageEntry& entry, PageId id) const noexcept {
  return MakeView().Has(entry, id);
}

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_HASH_TRANSLATION_H_
