// SegmentMap: how full each part of a heap is, roughly. Internal to memory/region.
//
// The space is divided into at most 64 segments of one size, a power of two that doubles when the
// space outgrows it. Adding and removing a range is a counter or two, so the compactor finds the
// eighth of the heap with the most free bytes without a look at any block.
#ifndef GRANARY_MEMORY_REGION_SEGMENT_MAP_H_
#define GRANARY_MEMORY_REGION_SEGMENT_MAP_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "memory/region/region_types.h"

namespace granary::region {

class SegmentMap {
 public:
  static constexpr size_t kSegments = 64;
  static constexpr size_t kWindowsMin = 8;

  // Segments have a grain each at first.
  explicit SegmentMap(uint64_t grain) noexcept : grain_(grain), segment_bytes_(grain) {}

  uint64_t segment_bytes() const noexcept { return segment_bytes_; }

  // `range` is used from now on, and was not. At most 64 steps, one or two if it is small.
  void Add(Range range) noexcept {
    while (range.end() > kSegments * segment_bytes_) DoubleSegments();
    ForEachPart(range, [&](size_t segment, uint64_t bytes) { used_[segment] += bytes; });
  }
  // It was used. Where it was there is something to gain again.
  void Remove(Range range) noexcept {
    ForEachPart(range, [&](size_t segment, uint64_t bytes) {
      used_[segment] -= bytes;
      slid_ &= ~(uint64_t{1} << segment);
    });
  }
  // Nothing is used.
  void Reset() noexcept {
    segment_bytes_ = grain_;
    used_ = {};
    slid_ = 0;
  }

  // Nothing is gained by sliding what is in `window` further, until something is removed there.
  void MarkSlid(Range window) noexcept {
    for (size_t i = window.offset / segment_bytes_; i < kSegments; ++i) {
      if ((i + 1) * segment_bytes_ > window.end()) break;
      slid_ |= uint64_t{1} << i;
    }
  }
  void ForgetSlid() noexcept { slid_ = 0; }
  // Only where `range` is.
  void Forget(Range range) noexcept {
    ForEachPart(range, [&](size_t segment, uint64_t) { slid_ &= ~(uint64_t{1} << segment); });
  }

  // An eighth of [0, end) that has the most free bytes, of those in segments that are not slid;
  // nothing if there is none. Segment boundaries, the last one may lie above `end`.
  std::optional<Range> EmptiestWindow(uint64_t end) const noexcept {
    const size_t count = static_cast<size_t>((end + segment_bytes_ - 1) / segment_bytes_);
    const size_t width = (count + kWindowsMin - 1) / kWindowsMin;
    uint64_t sum = 0;
    uint64_t best = 0;
    size_t best_last = 0;
    for (size_t i = 0; i < count; ++i) {
      sum += GainIn(i, end);
      if (i >= width) sum -= GainIn(i - width, end);
      if (sum > best) {
        best = sum;
        best_last = i;
      }
    }
    if (best == 0) return std::nullopt;
    const size_t first = best_last + 1 > width ? best_last + 1 - width : 0;
    return Range{first * segment_bytes_, (best_last + 1 - first) * segment_bytes_};
  }

  // Below this no byte is free.
  uint64_t FullUpTo(uint64_t end) const noexcept {
    size_t i = 0;
    while (i < kSegments && (i + 1) * segment_bytes_ <= end && used_[i] == segment_bytes_) ++i;
    return i * segment_bytes_;
  }

 private:
  template <class Visit>
  void ForEachPart(Range range, const Visit& visit) noexcept {
    uint64_t at = range.offset;
    while (at < range.end()) {
      const size_t segment = at / segment_bytes_;
      const uint64_t next = std::min(range.end(), (segment + 1) * segment_bytes_);
      visit(segment, next - at);
      at = next;
    }
  }

  void DoubleSegments() noexcept {
    uint64_t slid = 0;
    for (size_t i = 0; i < kSegments / 2; ++i) {
      used_[i] = used_[2 * i] + used_[2 * i + 1];
      if ((slid_ >> (2 * i) & 3) == 3) slid |= uint64_t{1} << i;
    }
    std::fill(used_.begin() + kSegments / 2, used_.end(), 0);
    slid_ = slid;
    segment_bytes_ *= 2;
  }

  uint64_t GainIn(size_t segment, uint64_t end) const noexcept {
    if ((slid_ >> segment & 1) != 0) return 0;
    return std::min(segment_bytes_, end - segment * segment_bytes_) - used_[segment];
  }

  const uint64_t grain_;
  uint64_t segment_bytes_;
  std::array<uint64_t, kSegments> used_ = {};
  // Bit i: segment i is slid.
  uint64_t slid_ = 0;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_SEGMENT_MAP_H_
