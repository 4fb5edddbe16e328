// What a RegionAllocator is asked and what it answers.
#ifndef GRANARY_MEMORY_REGION_REGION_TYPES_H_
#define GRANARY_MEMORY_REGION_REGION_TYPES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace granary {

// [offset, offset + size), in bytes.
struct Range {
  uint64_t offset = 0;
  uint64_t size = 0;

  uint64_t end() const noexcept { return offset + size; }
  friend bool operator==(const Range&, const Range&) = default;
};

// A range or none, as a std::optional<Range> that comes back in two registers: nobody waits for the
// halves of it to be stored. An empty range is none.
class OptionalRange {
 public:
  constexpr OptionalRange() noexcept = default;
  // NOLINTNEXTLINE(google-explicit-constructor): as of std::optional.
  constexpr OptionalRange(std::nullopt_t) noexcept {}
  // Explicit: otherwise a std::optional would compare its value, which it may not have, with this.
  constexpr explicit OptionalRange(Range range) noexcept : range_(range) {}

  constexpr bool has_value() const noexcept { return range_.size != 0; }
  constexpr explicit operator bool() const noexcept { return has_value(); }
  // What there is; {0, 0} if there is nothing.
  constexpr const Range& operator*() const noexcept { return range_; }
  constexpr const Range* operator->() const noexcept { return &range_; }
  // Throws std::bad_optional_access if there is nothing.
  constexpr Range value() const {
    if (!has_value()) throw std::bad_optional_access();
    return range_;
  }
  constexpr Range value_or(Range other) const noexcept { return has_value() ? range_ : other; }
  // NOLINTNEXTLINE(google-explicit-constructor): it is one.
  constexpr operator std::optional<Range>() const noexcept {
    return has_value() ? std::optional<Range>(range_) : std::nullopt;
  }
  friend bool operator==(const OptionalRange&, const OptionalRange&) = default;

 private:
  Range range_;
};

// Which of the free ranges that can hold a request serves it, and from which of its ends.
enum class Fit : uint8_t {
  kBest,     // The smallest; its low end.
  kLowest,   // The one at the lowest offset; its low end. Looks at ranges one by one.
  kHighest,  // The one at the highest offset; its high end. Looks at ranges one by one.
};

// What became of a free. After any but kOk nothing has changed.
enum class FreeStatus : uint8_t {
  kOk,
  kOutOfRange,     // Not within the region.
  kOverlapsFree,   // A byte of it is free already.
  kNotAllocated,   // A byte of it is pending; tracked mode: not a part of one live range.
  kMisaligned,     // The offset is no multiple of the grain.
  kTooManyRanges,  // RegionOptions::max_ranges are there.
};

// "ok", "out of range", ...
const char* FreeStatusName(FreeStatus status) noexcept;

struct RegionOptions {
  // The unit of offsets and sizes, in bytes: any number from 1 up. Requests are rounded up to it.
  uint64_t grain = 16;
  Fit fit = Fit::kBest;
  // Remembers every live range, 32 bytes each: then every bad free is refused, and a free needs no
  // size. Otherwise a live range takes nothing, and a free is refused that touches free bytes.
  bool track_used = false;
  // Among free ranges of one size the lowest is taken. Otherwise, up to 64 grains, the one that was
  // freed last, which is faster and, over many traces, needs as little space.
  bool lowest_among_equals = false;
  // So many ranges, free ones and, tracked, live ones, may be there. Address space is set aside for
  // as many as there can be, 32 bytes each, up to this; memory is taken for those that were.
  uint64_t max_ranges = uint64_t{1} << 28;
};

// Bytes, and counts of ranges. size = used + pending + free.
struct RegionStats {
  uint64_t size_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t free_bytes = 0;
  // Freed, and not released yet (FreeDeferred).
  uint64_t pending_bytes = 0;
  // Live ranges, in tracked mode.
  uint64_t live_ranges = 0;
  uint64_t free_ranges = 0;
  uint64_t largest_free_bytes = 0;
  uint64_t peak_used_bytes = 0;
  // The highest end that a range ever had.
  uint64_t high_water_bytes = 0;
  // Requests that nothing free could hold, and their bytes.
  uint64_t failures = 0;
  uint64_t failed_bytes = 0;

  friend bool operator==(const RegionStats&, const RegionStats&) = default;
};

// Free ranges by their size in grains: class i has those of 2^i to 2^(i+1) - 1.
struct RegionHistogram {
  struct Class {
    uint64_t ranges = 0;
    uint64_t bytes = 0;
  };
  std::array<Class, 64> classes = {};
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_REGION_TYPES_H_
