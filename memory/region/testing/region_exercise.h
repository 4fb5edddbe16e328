// RegionExercise: a RegionAllocator and its oracle, and one call after the other on both.
//
// `Source` decides what is called: Below(limit) is a number below `limit`, which is not 0. `Map` is
// the oracle's, one of grain_maps.h.
#ifndef GRANARY_MEMORY_REGION_TESTING_REGION_EXERCISE_H_
#define GRANARY_MEMORY_REGION_TESTING_REGION_EXERCISE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "memory/region/region_allocator.h"
#include "memory/region/testing/region_oracle.h"

namespace granary::region {

template <class Map, class Source>
class RegionExercise {
 public:
  // Sizes are multiples of the grain. Extend goes up to `size_max`.
  RegionExercise(uint64_t size, uint64_t size_max, const RegionOptions& options, Source& source)
      : options_(options),
        size_max_(size_max),
        source_(source),
        region_(RegionAllocator::Create(size, options).value()),
        oracle_(size, options) {}

  // One call. False if the region did not do what it should: then error() says what.
  bool Step() {
    // Regions that stay half full would hardly ever refuse anything; and large ones never become
    // full.
    if (Chance(100)) fills_ = !fills_ && oracle_.Stats().free_ranges < 100;
    call_.clear();
    switch (source_.Below(32)) {
      case 0:
      case 1:
        Reserve();
        break;
      case 2:
        FreeAt();
        break;
      case 3:
        FreeMany();
        break;
      case 4:
        AllocateMany();
        break;
      case 5:
      case 6:
        FreeDeferred();
        break;
      case 7:
        ReleaseUpTo();
        break;
      case 8:
      case 9:
      case 10:
        Resize();
        break;
      case 11:
        ChangeSize();
        break;
      case 12:
        CanAllocate();
        break;
      default:
        if (source_.Below(4) < (fills_ ? 3U : 1U)) {
          Allocate();
        } else {
          Free();
        }
    }
    if (oracle_.HasTooManyRanges()) Fail("there are more than max_ranges");
    if (region_.size_bytes() != oracle_.size()) Fail("the size is wrong");
    return error_.empty();
  }

  // Everything that the region says of itself.
  bool CheckAll() {
    call_ = "after all these";
    if (const auto valid = region_.Validate(); !valid) Fail(valid.error().message);
    if (region_.Stats() != oracle_.Stats()) Fail("Stats() is wrong");
    CheckParts({0, oracle_.size()});
    CheckParts(RandomRange());
    for (const Range& live : oracle_.LiveRanges()) {
      const Range expected = options_.track_used ? live : Range();
      if (*region_.LiveAt(live.offset) != expected) Fail("LiveAt is wrong");
    }
    return error_.empty();
  }

  const std::string& error() const { return error_; }

 private:
  // --- The calls --------------------------------------------------------------------------------

  void Allocate() {
    const uint64_t bytes = AnyBytes();
    const uint64_t alignment = AnyAlignment();
    const Fit fit = AnyFit();
    const std::optional<Range> got = region_.Allocate(bytes, alignment, fit);
    Called("Allocate", bytes, alignment, static_cast<uint64_t>(fit));
    NoteAnswer(got, bytes, alignment, fit);
  }

  void Reserve() {
    const Range range = AnyRange();
    const bool done = region_.Reserve(range);
    Called("Reserve", range.offset, range.size);
    const FreeStatus status = oracle_.StatusOfFree(range);
    const bool is_inside =
        status != FreeStatus::kOutOfRange && status != FreeStatus::kMisaligned && range.size != 0;
    const bool possible = is_inside && oracle_.IsFree(range);
    if (done != possible && (done || !oracle_.MayLackRecords())) Fail(done ? "done" : "not done");
    if (done && possible) oracle_.Take({range.offset, RoundedUp(range.size)});
  }

  void AllocateMany() {
    std::vector<uint64_t> sizes(1 + source_.Below(5));
    for (uint64_t& size : sizes) size = AnyBytes();
    const uint64_t alignment = AnyAlignment();
    std::vector<Range> out(sizes.size());
    const bool done = region_.AllocateMany(sizes, out, alignment);
    Called("AllocateMany", sizes.size(), alignment);
    std::vector<size_t> order(sizes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
    const auto before = oracle_.marks();
    std::vector<Range> taken;
    for (const size_t i : order) {
      const bool got = out[i].size != 0;
      NoteAnswer(got ? std::optional(out[i]) : std::nullopt, sizes[i], alignment, options_.fit);
      if (!got || !error_.empty()) break;
      taken.push_back(out[i]);
    }
    if (done != (taken.size() == sizes.size())) Fail(done ? "done" : "not done");
    if (done) return;
    for (const Range& range : taken) oracle_.Free(range);
    oracle_.RestoreMarks(before);
  }

  void CanAllocate() {
    const uint64_t bytes = AnyBytes();
    const uint64_t alignment = AnyAlignment();
    Called("CanAllocate", bytes, alignment);
    if (region_.CanAllocate(bytes, alignment) != oracle_.Fits(bytes, alignment)) Fail("wrong");
  }

  void Free() {
    const Range range = AnyRange();
    const FreeStatus status = region_.Free(range);
    Called("Free", range.offset, range.size);
    if (IsRight(status, oracle_.StatusOfFree(range))) oracle_.Free(range);
  }

  void FreeAt() {
    const uint64_t offset = AnyRange().offset;
    const FreeStatus status = region_.FreeAt(offset);
    Called("FreeAt", offset);
    const auto live = options_.track_used ? oracle_.LiveAt(offset) : std::nullopt;
    FreeStatus expected = oracle_.StatusOfFree({offset, 0});
    if (expected == FreeStatus::kOk && !live) expected = FreeStatus::kNotAllocated;
    if (IsRight(status, expected)) oracle_.Free(*live);
  }

  void FreeMany() {
    std::vector<Range> ranges(source_.Below(6));
    for (Range& range : ranges) range = Chance(20) ? AnyRange() : LivePart();
    // Those that were drawn twice would make nearly every call a bad one.
    if (!Chance(8)) {
      std::sort(ranges.begin(), ranges.end(), [](Range a, Range b) { return a.offset < b.offset; });
      const auto same = [](Range a, Range b) { return b.offset - a.offset < a.size; };
      ranges.erase(std::unique(ranges.begin(), ranges.end(), same), ranges.end());
    }
    const FreeStatus status = region_.FreeMany(ranges);
    Called("FreeMany", ranges.size());
    const auto sorted = std::is_sorted(ranges.begin(), ranges.end(),
                                       [](Range a, Range b) { return a.offset < b.offset; });
    if (!sorted) Fail("they are not sorted");
    if (!IsRight(status, oracle_.StatusOfFreeMany(ranges), ranges.size())) return;
    for (const Range& range : ranges) oracle_.Free(range);
  }

  void FreeDeferred() {
    const Range range = AnyRange();
    epoch_ += source_.Below(3);
    // Some of them in their upper half.
    if (Chance(500)) epoch_ += uint64_t{1} << 40;
    const FreeStatus status = region_.FreeDeferred(range, epoch_);
    Called("FreeDeferred", range.offset, range.size, epoch_);
    if (IsRight(status, oracle_.StatusOfFree(range))) oracle_.Defer(range, epoch_);
  }

  void ReleaseUpTo() {
    const uint64_t epoch = epoch_ - std::min(epoch_, source_.Below(20));
    Called("ReleaseUpTo", epoch);
    if (region_.ReleaseUpTo(epoch) != oracle_.ReleaseUpTo(epoch)) Fail("wrong");
  }

  void Resize() {
    const Range range = Chance(8) ? AnyRange() : LiveRange().value_or(Range{});
    const uint64_t bytes = Chance(4) ? AnyBytes() : Near(range.size);
    const bool backward = source_.Below(2) == 0;
    const std::optional<Range> got = region_.Resize(
        range, bytes,
        backward ? RegionAllocator::Grow::kBackward : RegionAllocator::Grow::kForward);
    Called("Resize", range.offset, range.size, bytes, backward);
    const auto expected = oracle_.Resized(range, bytes, backward);
    if (got == expected) {
      if (got) oracle_.Resize(range, *got);
      return;
    }
    const bool shrinks = expected && expected->size < RoundedUp(range.size);
    if (got || !shrinks || !oracle_.MayLackRecords()) Fail(got ? "done, or wrong" : "not done");
  }

  void ChangeSize() {
    const uint64_t which = source_.Below(4);
    if (which == 0) {
      Called("TrimTail");
      const uint64_t end = oracle_.UsedEnd();
      if (region_.TrimTail() != oracle_.size() - end) Fail("wrong");
      oracle_.SetSize(end);
      return;
    }
    const uint64_t odd = Chance(8) ? source_.Below(options_.grain) : 0;
    if (which == 1) {
      const uint64_t free_bytes = oracle_.size() - oracle_.UsedEnd();
      const uint64_t less = Chance(4) ? AnyBytes() : source_.Below(free_bytes + 1);
      const uint64_t size = (oracle_.size() - less) / options_.grain * options_.grain + odd;
      const bool done = region_.Truncate(size);
      Called("Truncate", size);
      const bool possible =
          size == oracle_.size() ||
          (size % options_.grain == 0 && size < oracle_.size() && size >= oracle_.UsedEnd());
      if (done != possible) Fail(done ? "done" : "not done");
      if (done) oracle_.SetSize(size);
      return;
    }
    const uint64_t most = size_max_ - std::min(size_max_, oracle_.size());
    uint64_t size = oracle_.size() + Below(most / options_.grain + 1) * options_.grain + odd;
    if (Chance(16)) size = AnyBytes();
    if (size > size_max_ && size <= RegionAllocator::kSizeMax) return;
    const bool done = region_.Extend(size).has_value();
    Called("Extend", size);
    const bool possible =
        size >= oracle_.size() && size % options_.grain == 0 && size <= RegionAllocator::kSizeMax;
    if (done != possible && (done || !oracle_.MayLackRecords())) Fail(done ? "done" : "not done");
    if (done && possible) oracle_.SetSize(size);
  }

  // --- What they are asked for ------------------------------------------------------------------

  bool Chance(uint64_t one_in) { return source_.Below(one_in) == 0; }

  // Small numbers as often as large ones.
  uint64_t Below(uint64_t limit) {
    const uint64_t bits = source_.Below(static_cast<uint64_t>(std::bit_width(limit)) + 1);
    return source_.Below(bits >= 64 ? limit : std::min(limit, uint64_t{1} << bits));
  }

  uint64_t AnyBytes() {
    if (Chance(100)) return UINT64_MAX - source_.Below(2 * options_.grain);
    const uint64_t units = oracle_.size() / options_.grain;
    return Below(units + 2) * options_.grain + (Chance(2) ? source_.Below(options_.grain) : 0);
  }
  uint64_t AnyAlignment() {
    if (!Chance(3)) return 1;
    if (Chance(30)) return source_.Below(8);
    return uint64_t{1} << (Chance(20) ? source_.Below(64) : source_.Below(16));
  }
  Fit AnyFit() { return Chance(4) ? static_cast<Fit>(source_.Below(3)) : options_.fit; }

  std::optional<Range> LiveRange() { return AnyOf(oracle_.LiveRanges()); }
  std::optional<Range> AnyOf(const std::vector<Range>& ranges) {
    if (ranges.empty()) return std::nullopt;
    return ranges[static_cast<size_t>(source_.Below(ranges.size()))];
  }
  // All of a live range, mostly, or a part. Nothing if there is none.
  Range LivePart() {
    const auto live = LiveRange();
    if (!live) return {};
    return Chance(3) ? PartOf(*live) : *live;
  }
  Range PartOf(Range range) {
    const uint64_t units = range.size / options_.grain;
    const uint64_t begin = source_.Below(units);
    const uint64_t length = 1 + source_.Below(units - begin);
    // Its last grain may be asked for in part.
    return {range.offset + begin * options_.grain,
            length * options_.grain - source_.Below(options_.grain)};
  }
  Range RandomRange() {
    return {source_.Below(oracle_.size() + 1), source_.Below(oracle_.size() + 1)};
  }
  // What was allocated, mostly. Otherwise anything: free already, in part, or not within the
  // region.
  Range AnyRange() {
    switch (source_.Below(16)) {
      case 0:
      case 1:
        return PartOf(AnyOf(oracle_.FreeRanges()).value_or(Range{0, options_.grain}));
      case 2: {
        // Over the end of a live range.
        Range range = LiveRange().value_or(Range{});
        range.size += Below(oracle_.size() - range.end() + 1);
        return range;
      }
      case 3: {
        Range range = RandomRange();
        range.offset -= range.offset % options_.grain;
        return range;
      }
      case 4: {
        Range range = LivePart();
        range.offset += source_.Below(options_.grain);
        return range;
      }
      case 5:
        if (Chance(2)) return RandomRange();
        return {source_.Below(4) * (UINT64_MAX / 3), source_.Below(4) * (UINT64_MAX / 3)};
      default:
        return LivePart();
    }
  }
  // A few grains more or less, or the same.
  uint64_t Near(uint64_t bytes) {
    const uint64_t by = Below(64) * options_.grain;
    return Chance(2) ? bytes + by : bytes - std::min(bytes, by);
  }
  uint64_t RoundedUp(uint64_t bytes) const {
    return (bytes / options_.grain + (bytes % options_.grain != 0)) * options_.grain;
  }

  // --- What is said of them ---------------------------------------------------------------------

  void NoteAnswer(std::optional<Range> got, uint64_t bytes, uint64_t alignment, Fit fit) {
    if (const char* const wrong = oracle_.Judge(got, bytes, alignment, fit)) {
      Fail(wrong);
    } else if (got) {
      oracle_.Take(*got);
    } else if (oracle_.IsSensible(bytes, alignment)) {
      oracle_.NoteFailure(bytes);
    }
  }

  // Whether it is kOk and should be.
  bool IsRight(FreeStatus status, FreeStatus expected, uint64_t calls = 1) {
    if (status == expected) return status == FreeStatus::kOk;
    const bool lacks_records = status == FreeStatus::kTooManyRanges &&
                               expected == FreeStatus::kOk && oracle_.MayLackRecords(calls);
    if (!lacks_records) {
      Fail(std::string(FreeStatusName(status)) + " instead of " + FreeStatusName(expected));
    }
    return false;
  }

  void CheckParts(Range within) {
    std::vector<Range> free;
    std::vector<Range> used;
    region_.ForEachFree(within, [&](Range range) { free.push_back(range); });
    region_.ForEachUsed(within, [&](Range range) { used.push_back(range); });
    if (free != oracle_.PartsOf(within, true)) Fail("ForEachFree is wrong");
    if (used != oracle_.PartsOf(within, false)) Fail("ForEachUsed is wrong");
  }

  template <class... Numbers>
  void Called(const char* name, Numbers... numbers) {
    call_ = name;
    numbers_ = {static_cast<uint64_t>(numbers)...};
  }
  // The first failure is the one that counts.
  void Fail(const std::string& what) {
    if (!error_.empty()) return;
    std::ostringstream text;
    text << call_ << "(";
    for (const uint64_t number : numbers_) text << " " << number;
    text << " ): " << what << ". grain " << options_.grain << ", size " << oracle_.size()
         << (options_.track_used ? ", tracked" : "")
         << (options_.lowest_among_equals ? ", lowest among equals" : "") << ", max_ranges "
         << options_.max_ranges;
    error_ = text.str();
  }

  const RegionOptions options_;
  const uint64_t size_max_;
  Source& source_;
  RegionAllocator region_;
  RegionOracle<Map> oracle_;
  bool fills_ = true;
  uint64_t epoch_ = 0;
  std::string call_;
  std::vector<uint64_t> numbers_;
  std::string error_;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_TESTING_REGION_EXERCISE_H_
