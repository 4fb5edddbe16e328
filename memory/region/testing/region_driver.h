// RegionDriver: random calls for regions, the same for several of them, so that what they answer
// can be compared. It knows what is live, and so most of its calls are of use.
#ifndef GRANARY_MEMORY_REGION_TESTING_REGION_DRIVER_H_
#define GRANARY_MEMORY_REGION_TESTING_REGION_DRIVER_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "memory/region/region_allocator.h"
#include "memory/region/region_types.h"

namespace granary {

struct RegionCall {
  enum class Kind : uint8_t {
    kAllocate,
    kReserve,
    kFree,
    kFreeDeferred,
    kReleaseUpTo,
    kResize,
    kExtend,
    kTruncate,
  };
  Kind kind = Kind::kAllocate;
  // What is reserved, freed or resized.
  Range range;
  // Of what is allocated or resized; the region's new size.
  uint64_t bytes = 0;
  uint64_t alignment = 1;
  Fit fit = Fit::kBest;
  RegionAllocator::Grow grow = RegionAllocator::Grow::kForward;
  uint64_t epoch = 0;
};

// Of whatever kind the call is.
struct RegionAnswer {
  std::optional<Range> range;
  uint64_t number = 0;

  friend bool operator==(const RegionAnswer&, const RegionAnswer&) = default;
};

// `Region` is a RegionAllocator, or what has its functions.
template <class Region>
RegionAnswer Do(Region& region, const RegionCall& call) {
  using Kind = RegionCall::Kind;
  const auto status = [](FreeStatus freed) {
    return RegionAnswer{.range = {}, .number = static_cast<uint64_t>(freed)};
  };
  switch (call.kind) {
    case Kind::kAllocate:
      return {.range = region.Allocate(call.bytes, call.alignment, call.fit)};
    case Kind::kReserve:
      return {.range = {}, .number = region.Reserve(call.range) ? 1U : 0U};
    case Kind::kFree:
      return status(region.Free(call.range));
    case Kind::kFreeDeferred:
      return status(region.FreeDeferred(call.range, call.epoch));
    case Kind::kReleaseUpTo:
      return {.range = {}, .number = region.ReleaseUpTo(call.epoch)};
    case Kind::kResize:
      return {.range = region.Resize(call.range, call.bytes, call.grow)};
    case Kind::kExtend:
      return {.range = {}, .number = region.Extend(call.bytes) ? 1U : 0U};
    case Kind::kTruncate:
      return {.range = {}, .number = region.Truncate(call.bytes) ? 1U : 0U};
  }
  return {};
}

class RegionDriver {
 public:
  // Extends the region to `size_max` at most; most requests are of up to `bytes_common`.
  RegionDriver(std::mt19937_64& random, uint64_t grain, uint64_t size_max, uint64_t bytes_common)
      : random_(random), grain_(grain), size_max_(size_max), bytes_common_(bytes_common) {}

  // What may be called now; `size` is the region's.
  RegionCall Next(uint64_t size) {
    using Kind = RegionCall::Kind;
    if (Below(2000) == 0) fills_ = !fills_;
    RegionCall call;
    const uint64_t choice = Below(100);
    call.fit = Below(20) == 0 ? static_cast<Fit>(Below(3)) : Fit::kBest;
    call.alignment = Below(5) == 0 ? uint64_t{1} << Below(12) : 1;
    call.bytes = Below(30) == 0 ? Bytes(30 * bytes_common_) : Bytes(bytes_common_);
    call.epoch = epoch_;
    if (choice < 4) {
      call.kind = Kind::kReserve;
      call.range = {size == 0 ? 0 : Below(size) / grain_ * grain_, call.bytes};
    } else if (choice < 10 && !live_.empty()) {
      call.kind = Kind::kResize;
      call.range = Pick();
      call.grow =
          Below(3) == 0 ? RegionAllocator::Grow::kBackward : RegionAllocator::Grow::kForward;
    } else if (choice == 10 && Below(20) == 0) {
      call.kind = Kind::kExtend;
      call.bytes = std::min(size_max_, size + Bytes(20 * bytes_common_) / grain_ * grain_);
      if (call.bytes < size) call.bytes = size;
    } else if (choice == 11 && Below(20) == 0) {
      call.kind = Kind::kTruncate;
      call.bytes = (size - std::min(size, Below(20 * bytes_common_))) / grain_ * grain_;
    } else if (choice == 12) {
      call.kind = Kind::kReleaseUpTo;
      call.epoch = epoch_ - std::min(epoch_, Below(3));
    } else if (!live_.empty() && Below(100) < (fills_ ? 35U : 65U)) {
      call.kind = choice < 25 ? Kind::kFreeDeferred : Kind::kFree;
      call.range = Pick();
      if (Below(4) == 0) call.range = PartOf(call.range);
      if (Below(4) == 0) ++epoch_;
      call.epoch = epoch_;
    }
    return call;
  }

  // What a region answered that keeps what is live.
  void Did(const RegionCall& call, const RegionAnswer& answer) {
    using Kind = RegionCall::Kind;
    if (call.kind == Kind::kAllocate && answer.range) live_.push_back(*answer.range);
    if (call.kind == Kind::kReserve && answer.number == 1) {
      live_.push_back({call.range.offset, (call.range.size + grain_ - 1) / grain_ * grain_});
    }
    if (call.kind == Kind::kResize && answer.range) live_[picked_] = *answer.range;
    if ((call.kind == Kind::kFree || call.kind == Kind::kFreeDeferred) &&
        answer.number == static_cast<uint64_t>(FreeStatus::kOk)) {
      const Range whole = std::exchange(live_[picked_], live_.back());
      live_.pop_back();
      const uint64_t end = call.range.offset + (call.range.size + grain_ - 1) / grain_ * grain_;
      if (whole.offset < call.range.offset) {
        live_.push_back({whole.offset, call.range.offset - whole.offset});
      }
      if (end < whole.end()) live_.push_back({end, whole.end() - end});
    }
  }

  const std::vector<Range>& live() const { return live_; }

 private:
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  // Small ones are as common as large ones.
  uint64_t Bytes(uint64_t most) {
    const uint64_t limit = uint64_t{1} << Below(static_cast<uint64_t>(std::bit_width(most)) + 1);
    return 1 + Below(std::min(limit, most));
  }
  Range Pick() {
    picked_ = static_cast<size_t>(Below(live_.size()));
    return live_[picked_];
  }
  Range PartOf(Range range) {
    const uint64_t grains = range.size / grain_;
    const uint64_t from = Below(grains);
    return {range.offset + from * grain_, (1 + Below(grains - from)) * grain_};
  }

  std::mt19937_64& random_;
  const uint64_t grain_;
  const uint64_t size_max_;
  const uint64_t bytes_common_;
  std::vector<Range> live_;
  size_t picked_ = 0;
  uint64_t epoch_ = 1;
  bool fills_ = true;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_TESTING_REGION_DRIVER_H_
