// RegionOracle: what a RegionAllocator should say, by looking at every grain there is.
//
// It is told what the region did, judges whether that was right, and does the same to its map.
// `Map` is one of grain_maps.h.
#ifndef GRANARY_MEMORY_REGION_TESTING_REGION_ORACLE_H_
#define GRANARY_MEMORY_REGION_TESTING_REGION_ORACLE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "memory/region/region_types.h"
#include "memory/region/testing/grain_maps.h"

namespace granary::region {

template <class Map>
class RegionOracle {
 public:
  RegionOracle(uint64_t size, const RegionOptions& options)
      : options_(options), map_(size / options.grain) {}

  uint64_t size() const { return map_.size() * options_.grain; }

  // Whether a call may fail because max_ranges, or one less, are there. An allocation takes two of
  // them at most, and so does a free.
  bool MayLackRecords(uint64_t calls = 1) const {
    return RangeCount() + 2 * calls > options_.max_ranges;
  }
  bool HasTooManyRanges() const { return RangeCount() > options_.max_ranges; }

  // --- Allocating -------------------------------------------------------------------------------

  bool IsSensible(uint64_t bytes, uint64_t alignment) const {
    return bytes != 0 && std::has_single_bit(alignment);
  }
  bool Fits(uint64_t bytes, uint64_t alignment) const {
    if (!IsSensible(bytes, alignment)) return false;
    const auto free = FreeRanges();
    return std::any_of(free.begin(), free.end(),
                       [&](Range range) { return HasRoom(range, bytes, alignment); });
  }

  // What is wrong with `got` as the answer to a request; nullptr if nothing is.
  const char* Judge(std::optional<Range> got, uint64_t bytes, uint64_t alignment, Fit fit) const {
    if (!Fits(bytes, alignment)) return got ? "it was served, and fits nowhere" : nullptr;
    if (!got) return MayLackRecords() ? nullptr : "it was refused, and fits";
    if (got->size != RoundedUp(bytes)) return "the size is wrong";
    std::vector<Range> large = FreeRanges();
    std::erase_if(large, [&](Range range) { return range.size < got->size; });
    const auto has_room = [&](Range range) { return HasRoom(range, bytes, alignment); };
    const auto chosen = std::find_if(large.begin(), large.end(), [&](Range range) {
      return has_room(range) &&
             got->offset == (fit == Fit::kHighest ? HighestIn(range, bytes, alignment)
                                                  : LowestIn(range, alignment));
    });
    if (chosen == large.end()) return "it is not at the end of a free range that holds it";
    if (fit == Fit::kLowest) {
      const auto lowest = std::find_if(large.begin(), large.end(), has_room);
      return lowest == chosen ? nullptr : "a lower free range holds it";
    }
    if (fit == Fit::kHighest) {
      const auto highest = std::find_if(large.rbegin(), large.rend(), has_room);
      return *highest == *chosen ? nullptr : "a higher free range holds it";
    }
    const Range took = *chosen;
    std::stable_sort(large.begin(), large.end(), [](Range a, Range b) { return a.size < b.size; });
    return JudgeBest(took, large, bytes, alignment);
  }

  // --- Freeing ----------------------------------------------------------------------------------

  // But for a want of records.
  FreeStatus StatusOfFree(Range range) const {
    if (range.offset > size() || range.size > size() - range.offset) return FreeStatus::kOutOfRange;
    if (range.offset % options_.grain != 0) return FreeStatus::kMisaligned;
    if (range.size == 0) return FreeStatus::kOk;
    const auto runs = RunsIn(range);
    const auto is = [](GrainState state) {
      return [=](const GrainRun& run) { return run.state == state; };
    };
    if (std::any_of(runs.begin(), runs.end(), is(kFreeGrain))) return FreeStatus::kOverlapsFree;
    if (std::any_of(runs.begin(), runs.end(), is(kPendingGrain))) return FreeStatus::kNotAllocated;
    return options_.track_used && runs.size() > 1 ? FreeStatus::kNotAllocated : FreeStatus::kOk;
  }
  // Of `ranges`, sorted as FreeMany leaves them.
  FreeStatus StatusOfFreeMany(const std::vector<Range>& ranges) const {
    uint64_t end = 0;
    for (const Range& range : ranges) {
      const FreeStatus status = StatusOfFree(range);
      const bool overlaps = range.size != 0 && range.offset < end;
      const bool is_inside = status != FreeStatus::kOutOfRange && status != FreeStatus::kMisaligned;
      if (is_inside && overlaps) return FreeStatus::kOverlapsFree;
      if (status != FreeStatus::kOk) return status;
      if (range.size != 0) end = range.offset + RoundedUp(range.size);
    }
    return FreeStatus::kOk;
  }
  // The live range that begins there. Untracked, what was allocated as one and is left of it.
  std::optional<Range> LiveAt(uint64_t offset) const {
    for (const Range& live : LiveRanges()) {
      if (live.offset == offset) return live;
    }
    return std::nullopt;
  }

  // What Resize should answer, but for a want of records when it shrinks.
  std::optional<Range> Resized(Range range, uint64_t bytes, bool backward) const {
    if (range.size == 0 || bytes == 0 || StatusOfFree(range) != FreeStatus::kOk) {
      return std::nullopt;
    }
    range.size = RoundedUp(range.size);
    if (options_.track_used && LiveAt(range.offset) != range) return std::nullopt;
    if (bytes > size()) return std::nullopt;
    const uint64_t wanted = RoundedUp(bytes);
    if (wanted > range.size) {
      const uint64_t more = wanted - range.size;
      if (more > (backward ? range.offset : size() - range.end())) return std::nullopt;
      const Range beside = {backward ? range.offset - more : range.end(), more};
      if (!IsFree(beside)) return std::nullopt;
    }
    return Range{backward ? range.end() - wanted : range.offset, wanted};
  }

  // --- Doing the same ---------------------------------------------------------------------------

  void Take(Range range) {
    Fill(range, next_live_++);
    NoteUse(range);
  }
  void Free(Range range) { Give(range, kFreeGrain); }
  void Defer(Range range, uint64_t epoch) {
    if (range.size == 0) return;
    Give(range, kPendingGrain);
    pending_.push_back({{range.offset, RoundedUp(range.size)}, epoch});
  }
  uint64_t ReleaseUpTo(uint64_t epoch) {
    uint64_t released = 0;
    for (; !pending_.empty() && pending_.front().epoch <= epoch; pending_.pop_front()) {
      Fill(pending_.front().range, kFreeGrain);
      released += pending_.front().range.size;
    }
    return released;
  }
  // From `before` to what Resized has said.
  void Resize(Range before, Range after) {
    before.size = RoundedUp(before.size);
    const bool backward = before.offset != after.offset;
    if (after.size < before.size) {
      Free({backward ? before.offset : after.end(), before.size - after.size});
    } else if (after.size > before.size) {
      const Range more = {backward ? after.offset : before.end(), after.size - before.size};
      const auto runs = RunsIn(before);
      Fill(more, backward ? runs.front().state : runs.back().state);
      NoteUse(more);
    }
  }
  void SetSize(uint64_t new_size) { map_.Resize(new_size / options_.grain); }
  // As RegionAllocator's.
  std::pair<uint64_t, uint64_t> marks() const { return {peak_bytes_, high_water_bytes_}; }
  void RestoreMarks(std::pair<uint64_t, uint64_t> marks) {
    std::tie(peak_bytes_, high_water_bytes_) = marks;
  }
  void NoteFailure(uint64_t bytes) {
    ++failures_;
    failed_bytes_ += bytes;
  }

  // --- Questions --------------------------------------------------------------------------------

  bool IsFree(Range range) const {
    const auto runs = RunsIn(range);
    return runs.size() == 1 && runs.front().state == kFreeGrain;
  }
  // Behind the last byte that is not free.
  uint64_t UsedEnd() const {
    const auto runs = map_.Runs(0, map_.size());
    if (runs.empty()) return 0;
    return (runs.back().state == kFreeGrain ? runs.back().offset : map_.size()) * options_.grain;
  }
  std::vector<Range> FreeRanges() const {
    return RangesWhere([](GrainState state) { return state == kFreeGrain; });
  }
  std::vector<Range> LiveRanges() const {
    return RangesWhere([](GrainState state) { return state >= kFirstLive; });
  }
  // Parts of `within` that are free, or that are not, as few as there can be.
  std::vector<Range> PartsOf(Range within, bool free) const {
    std::vector<Range> parts;
    if (within.offset >= size()) return parts;
    const uint64_t end = within.offset + std::min(within.size, size() - within.offset);
    for (const GrainRun& run : map_.Runs(0, map_.size())) {
      if ((run.state == kFreeGrain) != free) continue;
      const uint64_t first = std::max(within.offset, run.offset * options_.grain);
      const uint64_t last = std::min(end, run.end() * options_.grain);
      if (first >= last) continue;
      if (!parts.empty() && parts.back().end() == first) {
        parts.back().size += last - first;
      } else {
        parts.push_back({first, last - first});
      }
    }
    return parts;
  }
  RegionStats Stats() const {
    RegionStats stats = {.size_bytes = size(),
                         .peak_used_bytes = peak_bytes_,
                         .high_water_bytes = high_water_bytes_,
                         .failures = failures_,
                         .failed_bytes = failed_bytes_};
    for (const GrainRun& run : map_.Runs(0, map_.size())) {
      const uint64_t bytes = run.length * options_.grain;
      if (run.state == kFreeGrain) {
        stats.free_bytes += bytes;
        ++stats.free_ranges;
        stats.largest_free_bytes = std::max(stats.largest_free_bytes, bytes);
      } else if (run.state == kPendingGrain) {
        stats.pending_bytes += bytes;
      } else {
        stats.used_bytes += bytes;
        stats.live_ranges += options_.track_used;
      }
    }
    return stats;
  }

 private:
  struct Pending {
    Range range;
    uint64_t epoch;
  };

  // RegionAllocator promises to look at so many for one with room at the right place.
  static constexpr size_t kAlignedTries = 8;
  // Ranges of so many grains are found in no certain order among those of their size.
  static constexpr uint64_t kBinGrains = 64;

  uint64_t RoundedUp(uint64_t bytes) const {
    return (bytes / options_.grain + (bytes % options_.grain != 0)) * options_.grain;
  }

  // Offsets that are multiples of both are those of this; of the alignment and the grain, 0 only is
  // one where this is too large to be written.
  uint64_t StepOf(uint64_t alignment) const {
    const uint64_t factor = alignment / std::gcd(alignment, options_.grain);
    return factor > UINT64_MAX / options_.grain ? UINT64_MAX : factor * options_.grain;
  }
  uint64_t SkippedIn(Range range, uint64_t alignment) const {
    const uint64_t step = StepOf(alignment);
    return (step - range.offset % step) % step;
  }
  bool HasRoom(Range range, uint64_t bytes, uint64_t alignment) const {
    if (bytes > range.size) return false;
    return SkippedIn(range, alignment) <= range.size - RoundedUp(bytes);
  }
  uint64_t LowestIn(Range range, uint64_t alignment) const {
    return range.offset + SkippedIn(range, alignment);
  }
  uint64_t HighestIn(Range range, uint64_t bytes, uint64_t alignment) const {
    const uint64_t highest = range.end() - RoundedUp(bytes);
    return highest - highest % StepOf(alignment);
  }

  // Of `large`, by size and then offset, all that are large enough, the region took `took`.
  const char* JudgeBest(Range took, const std::vector<Range>& large, uint64_t bytes,
                        uint64_t alignment) const {
    const uint64_t skipped_most = StepOf(alignment) - options_.grain;
    if (options_.lowest_among_equals) {
      const auto has_room = [&](Range range) { return HasRoom(range, bytes, alignment); };
      const auto tried_end =
          large.begin() + static_cast<std::ptrdiff_t>(std::min(large.size(), kAlignedTries));
      auto expected = std::find_if(large.begin(), tried_end, has_room);
      if (expected == tried_end) {
        expected = std::find_if(large.begin(), large.end(), [&](Range range) {
          return range.size - RoundedUp(bytes) >= skipped_most;
        });
      }
      if (expected == large.end()) expected = std::find_if(tried_end, large.end(), has_room);
      return *expected == took ? nullptr : "another range fits better, or as well and is lower";
    }
    if (skipped_most == 0) {
      if (took.size != large.front().size) return "a smaller free range holds it";
      const bool in_order = took.size / options_.grain > kBinGrains;
      return !in_order || took == large.front() ? nullptr : "a lower one of the same size holds it";
    }
    // Among equals any may be one of those looked at.
    for (const Range& range : large) {
      const auto is_no_larger = [&](Range other) { return other.size <= range.size; };
      const auto rank =
          static_cast<size_t>(std::count_if(large.begin(), large.end(), is_no_larger));
      if (rank > kAlignedTries || range.size >= took.size) break;
      if (HasRoom(range, bytes, alignment)) return "one of the smallest free ranges holds it";
    }
    return nullptr;
  }

  uint64_t RangeCount() const {
    uint64_t count = pending_.size();
    for (const GrainRun& run : map_.Runs(0, map_.size())) {
      count += run.state == kFreeGrain || (run.state >= kFirstLive && options_.track_used);
    }
    return count;
  }

  std::vector<GrainRun> RunsIn(Range range) const {
    const uint64_t end = range.offset + RoundedUp(range.size);
    return map_.Runs(range.offset / options_.grain, end / options_.grain);
  }
  template <class Wanted>
  std::vector<Range> RangesWhere(const Wanted& wanted) const {
    std::vector<Range> ranges;
    for (const GrainRun& run : map_.Runs(0, map_.size())) {
      if (!wanted(run.state)) continue;
      ranges.push_back({run.offset * options_.grain, run.length * options_.grain});
    }
    return ranges;
  }

  void Fill(Range range, GrainState state) {
    map_.Fill(range.offset / options_.grain, RoundedUp(range.size) / options_.grain, state);
  }
  // What is left of a live range behind it is another one from now on.
  void Give(Range range, GrainState state) {
    if (range.size == 0) return;
    const uint64_t end = range.offset + RoundedUp(range.size);
    for (const GrainRun& run : map_.Runs(0, map_.size())) {
      if (run.state < kFirstLive || run.end() * options_.grain <= end) continue;
      if (run.offset * options_.grain >= end) break;
      Fill({end, run.end() * options_.grain - end}, next_live_++);
      break;
    }
    Fill(range, state);
  }
  void NoteUse(Range range) {
    peak_bytes_ = std::max(peak_bytes_, Stats().used_bytes);
    high_water_bytes_ = std::max(high_water_bytes_, range.end());
  }

  RegionOptions options_;
  Map map_;
  GrainState next_live_ = kFirstLive;
  // In the order in which they were freed.
  std::deque<Pending> pending_;
  uint64_t peak_bytes_ = 0;
  uint64_t high_water_bytes_ = 0;
  uint64_t failures_ = 0;
  uint64_t failed_bytes_ = 0;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_TESTING_REGION_ORACLE_H_
