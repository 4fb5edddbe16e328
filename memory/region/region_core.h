// RegionCore: a RegionAllocator in grains, for one width of them. Internal to memory/region.
//
// Every function either does all that it says or changes nothing: what it needs, a record or two,
// is looked for before the first change.
#ifndef GRANARY_MEMORY_REGION_REGION_CORE_H_
#define GRANARY_MEMORY_REGION_REGION_CORE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "memory/error.h"
#include "memory/region/free_index.h"
#include "memory/region/live_index.h"
#include "memory/region/range_record.h"
#include "memory/region/record_slab.h"
#include "memory/region/region_types.h"

namespace granary {
struct RegionImage;
}

namespace granary::region {

template <class Units, class Probe = NoProbe>
class RegionCore {
 public:
  using Record = RangeRecord<Units>;
  using Slab = RecordSlab<Record>;
  using Free = FreeIndex<Units, Probe>;

  struct Piece {
    Units offset;
    Units length;
  };

  // How many records a region of `size` grains may come to need: every grain may be pending, or
  // live, on its own, and two are for the moment between two states.
  static uint64_t RecordsFor(uint64_t size, const RegionOptions& options) noexcept {
    return std::min({size + 2, options.max_ranges, Slab::kCountMax}) + kHeaders;
  }

  // A region of `size` grains, all of them free.
  static Expected<std::unique_ptr<RegionCore>> Create(Units size, const RegionOptions& options,
                                                      SystemCalls& calls) {
    auto slab = Slab::Create(RecordsFor(size, options), kHeaders, calls);
    if (!slab) return tl::unexpected(std::move(slab.error()));
    auto core = std::unique_ptr<RegionCore>(new RegionCore(std::move(*slab), options));
    (void)core->Extend(size);
    return core;
  }

  // The same region, with room for more records, or with wider ones.
  template <class Other>
  static Expected<std::unique_ptr<RegionCore>> CopyOf(const RegionCore<Other, Probe>& other,
                                                      uint64_t records,
                                                      const RegionOptions& options,
                                                      SystemCalls& calls) {
    auto slab = Slab::Create(std::max<uint64_t>(records, other.slab_.capacity()), kHeaders, calls);
    if (!slab) return tl::unexpected(std::move(slab.error()));
    auto core = std::unique_ptr<RegionCore>(new RegionCore(std::move(*slab), options));
    core->slab_.CopyFrom(other.slab_);
    core->free_.CopyFrom(other.free_);
    core->others_.CopyFrom(other.others_);
    core->size_ = other.size_;
    core->pending_units_ = other.pending_units_;
    core->peak_units_ = other.peak_units_;
    core->high_water_ = other.high_water_;
    core->pending_first_ = other.pending_first_;
    core->pending_last_ = other.pending_last_;
    return core;
  }

  // The region of an image that was checked, and everything of this one but its options; both are
  // in region_image.cc.
  static Expected<std::unique_ptr<RegionCore>> FromImage(const RegionImage& image,
                                                         SystemCalls& calls);
  void CopyTo(RegionImage& image) const;

  RegionCore(const RegionCore&) = delete;
  RegionCore& operator=(const RegionCore&) = delete;

  Units size() const noexcept { return size_; }
  const Free& free() const noexcept { return free_; }
  // Tracked only.
  const LiveIndex<Units>& live() const noexcept { return others_; }
  bool tracks() const noexcept { return tracks_; }
  Units pending_units() const noexcept { return pending_units_; }
  Units used_units() const noexcept {
    return static_cast<Units>(size_ - free_.free_units() - pending_units_);
  }
  Units peak_units() const noexcept { return peak_units_; }
  Units high_water() const noexcept { return high_water_; }
  void SetMarks(Units peak, Units high_water) noexcept {
    peak_units_ = peak;
    high_water_ = high_water;
  }

  // --- Allocation -------------------------------------------------------------------------------

  // Sets `offset`, or returns false. `length` and `alignment` are not 0, and that a power of two in
  // grains.
  [[gnu::always_inline]] bool Allocate(Units length, uint64_t alignment, Fit fit,
                                       Units& offset) noexcept {
    if (fit != Fit::kBest || alignment != 1 || tracks_) [[unlikely]] {
      return AllocateElsewhere(length, alignment, fit, offset);
    }
    Record* const record = free_.AtLeast(length);
    if (record == nullptr) [[unlikely]]
      return false;
    offset = record->offset;
    CarveFront(*record, length);
    CountUse(offset, length);
    return true;
  }

  bool CanAllocate(Units length, uint64_t alignment) const noexcept {
    return ChooseBest(length, alignment) != nullptr;
  }

  bool Reserve(Units offset, Units length) noexcept {
    Record* const record = free_.addresses().AtOrBelow(offset);
    if (record == nullptr || record->end() < offset || record->end() - offset < length)
      return false;
    return CarveAndTrack(*record, offset, length);
  }

  // --- Freeing ----------------------------------------------------------------------------------

  // Whether Release would do it, but for want of records. Within the region, and `length` is not 0.
  FreeStatus CheckRelease(Units offset, Units length) const noexcept {
    if (OverlapsFree(free_.addresses().Find(offset), offset, length))
      return FreeStatus::kOverlapsFree;
    if (!tracks_) return CheckPending(offset, length);
    const Record* const live = others_.Containing(offset);
    return live != nullptr && live->end() - offset >= length ? FreeStatus::kOk
                                                             : FreeStatus::kNotAllocated;
  }

  // Whether so many ranges can be released, whichever they are. Each may leave a live range in two
  // parts, and a free one between them; where there is a record for every grain, they all can.
  bool HasRecordsToRelease(uint64_t count) const noexcept {
    if (slab_.capacity() - kHeaders >= uint64_t{size_} + 2) return true;
    return count < UINT32_MAX / 2 && slab_.Has(static_cast<uint32_t>(2 * count));
  }

  [[gnu::always_inline]] FreeStatus Release(Units offset, Units length) noexcept {
    const auto place = free_.addresses().Find(offset);
    if (OverlapsFree(place, offset, length)) return FreeStatus::kOverlapsFree;
    if (const FreeStatus status = Untrack(offset, length, /*spare=*/1); status != FreeStatus::kOk) {
      return status;
    }
    if (!tracks_ && !slab_.Has(1) && !Touches(place, offset, length)) {
      return FreeStatus::kTooManyRanges;
    }
    MakeFree(place, offset, length);
    return FreeStatus::kOk;
  }

  // The same, and not before ReleaseUpTo(epoch); epochs do not fall.
  FreeStatus ReleaseLater(Units offset, Units length, uint64_t epoch) noexcept {
    if (OverlapsFree(free_.addresses().Find(offset), offset, length))
      return FreeStatus::kOverlapsFree;
    if (const FreeStatus status = Untrack(offset, length, /*spare=*/1); status != FreeStatus::kOk) {
      return status;
    }
    if (!tracks_ && !slab_.Has(1)) return FreeStatus::kTooManyRanges;
    Record& record = slab_.Take();
    record.offset = offset;
    record.length = length;
    record.pending = {0, static_cast<uint32_t>(epoch), static_cast<uint32_t>(epoch >> 32)};
    const uint32_t number = slab_.NumberOf(record);
    if (pending_last_ != 0) slab_.At(pending_last_).pending.next = number;
    if (pending_first_ == 0) pending_first_ = number;
    pending_last_ = number;
    if (!tracks_) others_.Insert(record);
    pending_units_ += length;
    return FreeStatus::kOk;
  }

  // Frees what was to be freed up to `epoch`; returns how many grains.
  Units ReleaseUpTo(uint64_t epoch) noexcept {
    Units released = 0;
    while (pending_first_ != 0) {
      Record& record = slab_.At(pending_first_);
      const uint64_t its = uint64_t{record.pending.epoch_high} << 32 | record.pending.epoch_low;
      if (its > epoch) break;
      pending_first_ = record.pending.next;
      if (pending_first_ == 0) pending_last_ = 0;
      const Piece piece{record.offset, record.length};
      if (!tracks_) others_.Erase(record);
      // Its record is there for the free range, if it takes one.
      slab_.PutBack(record);
      pending_units_ -= piece.length;
      MakeFree(free_.addresses().Find(piece.offset), piece.offset, piece.length);
      released += piece.length;
    }
    return released;
  }

  // --- In place ---------------------------------------------------------------------------------

  // Whether it can be a live range; tracked, whether it is one. Within the region, and not empty.
  bool IsLive(Piece piece) const noexcept {
    if (OverlapsFree(free_.addresses().Find(piece.offset), piece.offset, piece.length))
      return false;
    if (!tracks_) return CheckPending(piece.offset, piece.length) == FreeStatus::kOk;
    const Record* const live = others_.Containing(piece.offset);
    return live != nullptr && live->offset == piece.offset && live->length == piece.length;
  }

  // Gives the end of a live range back, or its begin if `from_begin`: `length` is what stays.
  FreeStatus Shrink(Piece live, Units length, bool from_begin) noexcept {
    const Units less = live.length - length;
    return Release(from_begin ? live.offset : static_cast<Units>(live.offset + length), less);
  }

  // Takes `more` behind a live range, or before it if `before`.
  bool Grow(Piece live, Units more, bool before) noexcept {
    const auto place = free_.addresses().Find(live.offset);
    Record* const neighbour = before ? place.at_or_below : place.above;
    if (neighbour == nullptr || neighbour->length < more) return false;
    if (before ? neighbour->end() != live.offset
               : neighbour->offset != static_cast<Units>(live.offset + live.length)) {
      return false;
    }
    Record* const tracked = tracks_ ? others_.Containing(live.offset) : nullptr;
    const Units offset = before ? static_cast<Units>(live.offset - more) : neighbour->offset;
    Carve(*neighbour, offset, more);
    if (tracked != nullptr) {
      if (before) others_.SetOffset(*tracked, offset);
      tracked->length += more;
    }
    CountUse(offset, more);
    return true;
  }

  // --- Size -------------------------------------------------------------------------------------

  // False if a record is needed for the free range and there is none.
  bool Extend(Units new_size) noexcept {
    if (new_size == size_) return true;
    const Units old_size = size_;
    const auto place = free_.addresses().Find(old_size);
    const auto more = static_cast<Units>(new_size - old_size);
    if (!slab_.Has(1) && !Touches(place, old_size, more)) return false;
    size_ = new_size;
    MakeFree(place, old_size, more);
    return true;
  }

  // False if anything above `new_size` is not free.
  bool Truncate(Units new_size) noexcept {
    Record* const last = free_.addresses().Last();
    if (last == nullptr || last->end() != size_ || last->offset > new_size) return false;
    if (last->offset == new_size) {
      free_.Erase(*last);
      slab_.PutBack(*last);
    } else {
      free_.Change(*last, last->offset, static_cast<Units>(new_size - last->offset));
    }
    size_ = new_size;
    return true;
  }

  // --- For validation ---------------------------------------------------------------------------

  const Slab& slab() const noexcept { return slab_; }

 private:
  template <class OtherUnits, class OtherProbe>
  friend class RegionCore;

  // Number 0, which means none, is among them.
  static constexpr uint32_t kHeaders = Free::kHeaders + LiveIndex<Units>::kSegments;
  // Ranges that are looked at for one of the right size before a larger one is taken that fits in
  // any case.
  static constexpr int kAlignedTriesMax = 8;

  using Place = typename Free::Place;

  RegionCore(Slab slab, const RegionOptions& options) noexcept
      : slab_(std::move(slab)), tracks_(options.track_used) {
    free_.Start(slab_, &slab_.At(0), !options.lowest_among_equals);
    others_.Start(&slab_.At(Free::kHeaders));
  }

  // --- Choosing ---------------------------------------------------------------------------------

  static bool HasRoom(const Record& record, Units length, uint64_t alignment) noexcept {
    if (record.length < length) return false;
    return (-uint64_t{record.offset} & (alignment - 1)) <=
           static_cast<uint64_t>(record.length - length);
  }
  static Units LowestIn(const Record& record, uint64_t alignment) noexcept {
    return static_cast<Units>(record.offset + (-uint64_t{record.offset} & (alignment - 1)));
  }
  static Units HighestIn(const Record& record, Units length, uint64_t alignment) noexcept {
    return static_cast<Units>(uint64_t{record.end() - length} & -alignment);
  }

  [[gnu::noinline]] bool AllocateElsewhere(Units length, uint64_t alignment, Fit fit,
                                           Units& offset) noexcept {
    Record* const record = Choose(length, alignment, fit);
    if (record == nullptr) return false;
    offset =
        fit == Fit::kHighest ? HighestIn(*record, length, alignment) : LowestIn(*record, alignment);
    return CarveAndTrack(*record, offset, length);
  }

  Record* Choose(Units length, uint64_t alignment, Fit fit) noexcept {
    if (fit == Fit::kBest) return ChooseBest(length, alignment);
    const bool is_lowest = fit == Fit::kLowest;
    Record* at = is_lowest ? free_.addresses().First() : free_.addresses().Last();
    while (at != nullptr && !HasRoom(*at, length, alignment)) {
      at = is_lowest ? free_.addresses().Next(*at) : free_.addresses().Previous(*at);
    }
    return at;
  }

  // The smallest that holds it; with an alignment, of the first few, then one that holds it however
  // it lies, and last any other. So whatever fits anywhere is found.
  Record* ChooseBest(Units length, uint64_t alignment) const noexcept {
    Record* at = free_.AtLeast(length);
    if (alignment == 1) return at;
    for (int tries = 0; at != nullptr && tries < kAlignedTriesMax; ++tries) {
      if (HasRoom(*at, length, alignment)) return at;
      at = free_.NextBySize(*at);
    }
    if (at == nullptr) return nullptr;
    const uint64_t in_any_case = length + (alignment - 1);
    if (in_any_case <= size_) {
      if (Record* const large = free_.AtLeast(static_cast<Units>(in_any_case))) return large;
    }
    while (at != nullptr && !HasRoom(*at, length, alignment)) at = free_.NextBySize(*at);
    return at;
  }

  // --- Taking from a free range -----------------------------------------------------------------

  bool CarveAndTrack(Record& record, Units offset, Units length) noexcept {
    const bool splits = offset != record.offset && offset + length != record.end();
    if (!slab_.Has((splits ? 1U : 0U) + (tracks_ ? 1U : 0U))) return false;
    Carve(record, offset, length);
    if (tracks_) {
      Record& live = slab_.Take();
      live.offset = offset;
      live.length = length;
      others_.Insert(live);
    }
    CountUse(offset, length);
    return true;
  }

  [[gnu::always_inline]] void CarveFront(Record& record, Units length) noexcept {
    const auto behind = static_cast<Units>(record.length - length);
    if (behind != 0) {
      free_.Change(record, static_cast<Units>(record.offset + length), behind);
    } else {
      free_.Erase(record);
      slab_.PutBack(record);
    }
  }

  // With a record for what is left behind it, if something is left on both sides.
  void Carve(Record& record, Units offset, Units length) noexcept {
    const auto before = static_cast<Units>(offset - record.offset);
    const auto end = static_cast<Units>(offset + length);
    const auto behind = static_cast<Units>(record.end() - end);
    if (before == 0 && behind == 0) {
      free_.Erase(record);
      slab_.PutBack(record);
    } else if (before == 0) {
      free_.Change(record, end, behind);
    } else {
      free_.Change(record, record.offset, before);
      if (behind == 0) return;
      Record& rest = slab_.Take();
      rest.offset = end;
      rest.length = behind;
      free_.Insert(rest, free_.addresses().Find(end));
    }
  }

  void CountUse(Units offset, Units length) noexcept {
    peak_units_ = std::max(peak_units_, used_units());
    high_water_ = std::max(high_water_, static_cast<Units>(offset + length));
  }

  // --- Giving back ------------------------------------------------------------------------------

  static bool OverlapsFree(const Place& place, Units offset, Units length) noexcept {
    if (place.at_or_below != nullptr && place.at_or_below->end() > offset) return true;
    return place.above != nullptr && place.above->offset - offset < length;
  }
  static bool Touches(const Place& place, Units offset, Units length) noexcept {
    return (place.at_or_below != nullptr && place.at_or_below->end() == offset) ||
           (place.above != nullptr && place.above->offset == offset + length);
  }

  // What is free on its sides becomes one with it.
  [[gnu::always_inline]] void MakeFree(const Place& place, Units offset, Units length) noexcept {
    Record* const below = place.at_or_below;
    Record* const above = place.above;
    const auto end = static_cast<Units>(offset + length);
    const bool joins_below = below != nullptr && below->end() == offset;
    const bool joins_above = above != nullptr && above->offset == end;
    if (joins_below && joins_above) {
      const Units joined = static_cast<Units>(below->length + length + above->length);
      free_.Erase(*above);
      slab_.PutBack(*above);
      free_.Change(*below, below->offset, joined);
    } else if (joins_below) {
      free_.Change(*below, below->offset, static_cast<Units>(below->length + length));
    } else if (joins_above) {
      free_.Change(*above, offset, static_cast<Units>(above->length + length));
    } else {
      Record& record = slab_.Take();
      record.offset = offset;
      record.length = length;
      free_.Insert(record, place);
    }
  }

  // Untracked: what is pending was freed already. Where nothing is, this is one load.
  FreeStatus CheckPending(Units offset, Units length) const noexcept {
    if (others_.count() == 0) [[likely]]
      return FreeStatus::kOk;
    return others_.Overlaps(offset, length) ? FreeStatus::kNotAllocated : FreeStatus::kOk;
  }

  // Tracked mode: takes a range, or a part of one, from the live ones, if `spare` records are there
  // besides what that takes.
  [[gnu::always_inline]] FreeStatus Untrack(Units offset, Units length, uint32_t spare) noexcept {
    if (!tracks_) return CheckPending(offset, length);
    return UntrackLive(offset, length, spare);
  }
  [[gnu::noinline]] FreeStatus UntrackLive(Units offset, Units length, uint32_t spare) noexcept {
    Record* const live = others_.Containing(offset);
    if (live == nullptr || live->end() - offset < length) return FreeStatus::kNotAllocated;
    const auto end = static_cast<Units>(offset + length);
    const bool keeps_begin = offset != live->offset;
    const bool keeps_end = end != live->end();
    if (!keeps_begin && !keeps_end) {
      others_.Erase(*live);
      slab_.PutBack(*live);
      return FreeStatus::kOk;
    }
    if (!slab_.Has(spare + (keeps_begin && keeps_end ? 1 : 0))) return FreeStatus::kTooManyRanges;
    if (keeps_begin && keeps_end) {
      Record& rest = slab_.Take();
      rest.offset = end;
      rest.length = static_cast<Units>(live->end() - end);
      live->length = static_cast<Units>(offset - live->offset);
      others_.Insert(rest);
    } else if (keeps_begin) {
      live->length = static_cast<Units>(offset - live->offset);
    } else {
      live->length = static_cast<Units>(live->end() - end);
      others_.SetOffset(*live, end);
    }
    return FreeStatus::kOk;
  }

  Slab slab_;
  Free free_;
  const bool tracks_;
  // Tracked, what is live; untracked, what is pending: there what is not live is known to be no
  // range to free.
  LiveIndex<Units> others_;
  Units size_ = 0;
  Units pending_units_ = 0;
  Units peak_units_ = 0;
  Units high_water_ = 0;
  // A queue, by the numbers of records; 0 for none.
  uint32_t pending_first_ = 0;
  uint32_t pending_last_ = 0;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_REGION_CORE_H_
