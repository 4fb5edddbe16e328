#include "memory/region/region_allocator.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "memory/region/region_core.h"

namespace granary {

namespace {

Error Invalid(std::string message, const char* where) {
  return {.code = ErrorCode::kInvalidArgument, .message = std::move(message), .where = where};
}

// The largest number of grains that 32 bits hold, and one more for the end of the last range.
constexpr uint64_t kCompactUnitsMax = UINT32_MAX;

}  // namespace

const char* FreeStatusName(FreeStatus status) noexcept {
  switch (status) {
    case FreeStatus::kOk:
      return "ok";
    case FreeStatus::kOutOfRange:
      return "out of range";
    case FreeStatus::kOverlapsFree:
      return "overlaps free";
    case FreeStatus::kNotAllocated:
      return "not allocated";
    case FreeStatus::kMisaligned:
      return "misaligned";
    case FreeStatus::kTooManyRanges:
      return "too many ranges";
  }
  return "unknown";
}

template <class Action>
decltype(auto) RegionAllocator::With(const Action& action) const {
  if (compact_ != nullptr) [[likely]]
    return action(*compact_);
  return action(*wide_);
}

// --- Making -------------------------------------------------------------------------------------

RegionAllocator::RegionAllocator(const RegionOptions& options, SystemCalls& calls) noexcept
    : options_(options),
      calls_(&calls),
      grain_log2_(std::has_single_bit(options.grain) ? std::countr_zero(options.grain) : -1) {}
RegionAllocator::RegionAllocator(RegionAllocator&& other) noexcept = default;
RegionAllocator& RegionAllocator::operator=(RegionAllocator&& other) noexcept = default;
RegionAllocator::~RegionAllocator() = default;

Expected<RegionAllocator> RegionAllocator::Create(uint64_t size, const RegionOptions& options,
                                                  SystemCalls& calls) {
  constexpr const char* kWhere = "RegionAllocator::Create";
  if (options.grain == 0) return tl::unexpected(Invalid("the grain is 0", kWhere));
  if (size > kSizeMax || size % options.grain != 0) {
    return tl::unexpected(Invalid("the size, " + std::to_string(size) +
                                      ", is above 2^63 or no multiple of the grain, " +
                                      std::to_string(options.grain),
                                  kWhere));
  }
  if (options.max_ranges == 0) return tl::unexpected(Invalid("max_ranges is 0", kWhere));
  RegionAllocator region(options, calls);
  const uint64_t units = size / options.grain;
  if (units <= kCompactUnitsMax) {
    auto core = Compact::Create(static_cast<uint32_t>(units), options, calls);
    if (!core) return tl::unexpected(std::move(core.error()));
    region.compact_ = std::move(*core);
  } else {
    auto core = Wide::Create(units, options, calls);
    if (!core) return tl::unexpected(std::move(core.error()));
    region.wide_ = std::move(*core);
  }
  return region;
}

// --- Units --------------------------------------------------------------------------------------

uint64_t RegionAllocator::UnitsFor(uint64_t bytes) const noexcept {
  if (grain_log2_ >= 0) [[likely]] {
    return (bytes >> grain_log2_) + ((bytes & (options_.grain - 1)) != 0);
  }
  return bytes / options_.grain + (bytes % options_.grain != 0);
}

uint64_t RegionAllocator::UnitOf(uint64_t offset) const noexcept {
  return grain_log2_ >= 0 ? offset >> grain_log2_ : offset / options_.grain;
}

// A multiple of the grain is a multiple of both when it is one of their common multiples.
uint64_t RegionAllocator::UnitAlignment(uint64_t alignment) const noexcept {
  if (alignment == 0 || (alignment & (alignment - 1)) != 0) return 0;
  if (grain_log2_ >= 0) [[likely]] {
    return alignment <= options_.grain ? 1 : alignment >> grain_log2_;
  }
  return alignment / std::gcd(alignment, options_.grain);
}

FreeStatus RegionAllocator::Check(Range range) const noexcept {
  const uint64_t size = size_bytes();
  if (range.offset > size || range.size > size - range.offset) return FreeStatus::kOutOfRange;
  const uint64_t beyond =
      grain_log2_ >= 0 ? range.offset & (options_.grain - 1) : range.offset % options_.grain;
  return beyond != 0 ? FreeStatus::kMisaligned : FreeStatus::kOk;
}

// --- Allocating ---------------------------------------------------------------------------------

OptionalRange RegionAllocator::Allocate(uint64_t bytes, uint64_t alignment, Fit fit) noexcept {
  const uint64_t units = UnitsFor(bytes);
  const uint64_t unit_alignment = UnitAlignment(alignment);
  if (units == 0 || unit_alignment == 0) return std::nullopt;
  uint64_t offset = 0;
  const bool is_there = With([&]<class Core>(Core& core) {
    using Units = decltype(core.size());
    Units unit;
    if (units > core.size() ||
        !core.Allocate(static_cast<Units>(units), unit_alignment, fit, unit)) {
      return false;
    }
    offset = unit;
    return true;
  });
  if (!is_there) [[unlikely]] {
    ++failures_;
    failed_bytes_ += bytes;
    return std::nullopt;
  }
  return OptionalRange(Range{offset * options_.grain, units * options_.grain});
}

bool RegionAllocator::Reserve(Range range) noexcept {
  if (range.size == 0 || Check(range) != FreeStatus::kOk) return false;
  return With([&]<class Core>(Core& core) {
    using Units = decltype(core.size());
    return core.Reserve(static_cast<Units>(UnitOf(range.offset)),
                        static_cast<Units>(UnitsFor(range.size)));
  });
}

bool RegionAllocator::AllocateMany(std::span<const uint64_t> sizes, std::span<Range> out,
                                   uint64_t alignment) {
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
  const Marks before = marks();
  for (size_t done = 0; done < order.size(); ++done) {
    const auto range = Allocate(sizes[order[done]], alignment);
    if (range) {
      out[order[done]] = *range;
      continue;
    }
    // Where they came from there is room for them.
    while (done > 0) (void)Free(out[order[--done]]);
    RestoreMarks(before);
    return false;
  }
  return true;
}

bool RegionAllocator::CanAllocate(uint64_t bytes, uint64_t alignment) const noexcept {
  const uint64_t units = UnitsFor(bytes);
  const uint64_t unit_alignment = UnitAlignment(alignment);
  if (units == 0 || unit_alignment == 0) return false;
  return With([&]<class Core>(const Core& core) {
    using Units = decltype(core.size());
    return units <= core.size() && core.CanAllocate(static_cast<Units>(units), unit_alignment);
  });
}

// --- Freeing ------------------------------------------------------------------------------------

FreeStatus RegionAllocator::Free(Range range) noexcept {
  if (const FreeStatus status = Check(range); status != FreeStatus::kOk) return status;
  if (range.size == 0) return FreeStatus::kOk;
  return With([&]<class Core>(Core& core) {
    using Units = decltype(core.size());
    return core.Release(static_cast<Units>(UnitOf(range.offset)),
                        static_cast<Units>(UnitsFor(range.size)));
  });
}

FreeStatus RegionAllocator::FreeAt(uint64_t offset) noexcept {
  if (const FreeStatus status = Check({offset, 0}); status != FreeStatus::kOk) return status;
  const auto live = LiveAt(offset);
  return live ? Free(*live) : FreeStatus::kNotAllocated;
}

OptionalRange RegionAllocator::LiveAt(uint64_t offset) const noexcept {
  if (offset % options_.grain != 0 || offset >= size_bytes()) return std::nullopt;
  return With([&]<class Core>(Core& core) -> OptionalRange {
    using Units = decltype(core.size());
    const auto unit = static_cast<Units>(UnitOf(offset));
    const auto* const live = core.live().Containing(unit);
    if (live == nullptr || live->offset != unit) return std::nullopt;
    return OptionalRange(Range{offset, live->length * options_.grain});
  });
}

FreeStatus RegionAllocator::FreeMany(std::span<Range> ranges) noexcept {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.size < b.size;
  });
  uint64_t units_end = 0;
  for (const Range& range : ranges) {
    if (const FreeStatus status = Check(range); status != FreeStatus::kOk) return status;
    if (range.size == 0) continue;
    const uint64_t begin = UnitOf(range.offset);
    if (begin < units_end) return FreeStatus::kOverlapsFree;
    units_end = begin + UnitsFor(range.size);
    const FreeStatus status = With([&]<class Core>(const Core& core) {
      using Units = decltype(core.size());
      return core.CheckRelease(static_cast<Units>(begin), static_cast<Units>(units_end - begin));
    });
    if (status != FreeStatus::kOk) return status;
  }
  const bool has_records =
      With([&](const auto& core) { return core.HasRecordsToRelease(ranges.size()); });
  if (!has_records) return FreeStatus::kTooManyRanges;
  for (const Range& range : ranges) (void)Free(range);
  return FreeStatus::kOk;
}

FreeStatus RegionAllocator::FreeDeferred(Range range, uint64_t epoch) noexcept {
  if (const FreeStatus status = Check(range); status != FreeStatus::kOk) return status;
  if (range.size == 0) return FreeStatus::kOk;
  return With([&]<class Core>(Core& core) {
    using Units = decltype(core.size());
    return core.ReleaseLater(static_cast<Units>(UnitOf(range.offset)),
                             static_cast<Units>(UnitsFor(range.size)), epoch);
  });
}

uint64_t RegionAllocator::ReleaseUpTo(uint64_t epoch) noexcept {
  return With([&](auto& core) { return core.ReleaseUpTo(epoch) * options_.grain; });
}

RegionAllocator::Marks RegionAllocator::marks() const noexcept {
  return With([](const auto& core) { return Marks{core.peak_units(), core.high_water()}; });
}

void RegionAllocator::RestoreMarks(const Marks& marks) noexcept {
  With([&]<class Core>(Core& core) {
    using Units = decltype(core.size());
    core.SetMarks(static_cast<Units>(marks.peak_grains),
                  static_cast<Units>(marks.high_water_grains));
  });
}

// --- In place -----------------------------------------------------------------------------------

OptionalRange RegionAllocator::Resize(Range range, uint64_t bytes, Grow grow) noexcept {
  const uint64_t now = UnitsFor(range.size);
  const uint64_t wanted = UnitsFor(bytes);
  if (now == 0 || wanted == 0 || Check(range) != FreeStatus::kOk) return std::nullopt;
  const bool is_backward = grow == Grow::kBackward;
  return With([&]<class Core>(Core& core) -> OptionalRange {
    using Units = decltype(core.size());
    if (wanted > core.size()) return std::nullopt;
    const typename Core::Piece live{static_cast<Units>(UnitOf(range.offset)),
                                    static_cast<Units>(now)};
    if (!core.IsLive(live)) return std::nullopt;
    if (wanted < now) {
      if (core.Shrink(live, static_cast<Units>(wanted), is_backward) != FreeStatus::kOk) {
        return std::nullopt;
      }
    } else if (wanted > now && !core.Grow(live, static_cast<Units>(wanted - now), is_backward)) {
      return std::nullopt;
    }
    const uint64_t offset = is_backward ? live.offset + now - wanted : live.offset;
    return OptionalRange(Range{offset * options_.grain, wanted * options_.grain});
  });
}

// --- Size ---------------------------------------------------------------------------------------

uint64_t RegionAllocator::size_bytes() const noexcept {
  return With([&](const auto& core) { return core.size() * options_.grain; });
}

Expected<void> RegionAllocator::Extend(uint64_t new_size) {
  constexpr const char* kWhere = "RegionAllocator::Extend";
  const uint64_t size = size_bytes();
  if (new_size < size || new_size > kSizeMax || new_size % options_.grain != 0) {
    return tl::unexpected(
        Invalid("the new size, " + std::to_string(new_size) + ", is below " + std::to_string(size) +
                    ", above 2^63, or no multiple of the grain, " + std::to_string(options_.grain),
                kWhere));
  }
  const uint64_t units = new_size / options_.grain;
  if (auto made = MakeRoomFor(units); !made) return made;
  const bool done = With([&]<class Core>(Core& core) {
    return core.Extend(static_cast<decltype(core.size())>(units));
  });
  if (done) return {};
  return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                              .message = "max_ranges are there: none is left for the new end",
                              .where = kWhere});
}

// Room for twice the size, so that a region which grows bit by bit is copied seldom.
Expected<void> RegionAllocator::MakeRoomFor(uint64_t units) {
  if (compact_ != nullptr && units > kCompactUnitsMax) {
    const uint64_t records = Wide::RecordsFor(units, options_);
    auto wide = Wide::CopyOf(*compact_, records, options_, *calls_);
    if (!wide) return tl::unexpected(std::move(wide.error()));
    wide_ = std::move(*wide);
    compact_.reset();
    return {};
  }
  return With([&]<class Core>(Core& core) -> Expected<void> {
    if (Core::RecordsFor(units, options_) <= core.slab().capacity()) return {};
    const uint64_t twice = units + std::min(units, kSizeMax - units);
    auto larger = Core::CopyOf(core, Core::RecordsFor(twice, options_), options_, *calls_);
    if (!larger) return tl::unexpected(std::move(larger.error()));
    std::unique_ptr<Core>& current = [&]() -> auto& {
      if constexpr (std::is_same_v<Core, Compact>) {
        return compact_;
      } else {
        return wide_;
      }
    }
    ();
    current = std::move(*larger);
    return {};
  });
}

bool RegionAllocator::Truncate(uint64_t new_size) noexcept {
  if (new_size >= size_bytes()) return new_size == size_bytes();
  if (new_size % options_.grain != 0) return false;
  return With([&]<class Core>(Core& core) {
    return core.Truncate(static_cast<decltype(core.size())>(new_size / options_.grain));
  });
}

uint64_t RegionAllocator::TrimTail() noexcept {
  return With([&](auto& core) -> uint64_t {
    const auto* const last = core.free().addresses().Last();
    if (last == nullptr || last->end() != core.size()) return 0;
    const uint64_t bytes = last->length * options_.grain;
    return core.Truncate(last->offset) ? bytes : 0;
  });
}

}  // namespace granary
