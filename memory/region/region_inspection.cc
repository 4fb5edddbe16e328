// What a RegionAllocator says of itself.
#include <algorithm>
#include <bit>
#include <ostream>
#include <string>
#include <utility>

#include "memory/region/region_allocator.h"
#include "memory/region/region_core.h"

namespace granary {

namespace {

Expected<void> Broken(const std::string& what) {
  return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                              .message = "the region is damaged: " + what,
                              .where = "RegionAllocator::Validate"});
}

// The number of black nodes on every way down, or -1 if ways differ or a red node has a red child.
// A tree of 2^29 nodes is less than 60 deep.
template <class Traits, class Record>
int BlackHeight(const Record* node, const Record* parent) {
  if (node == nullptr) return 1;
  if (Traits::get_parent(node) != parent) return -1;
  const auto* const left = Traits::get_left(node);
  const auto* const right = Traits::get_right(node);
  const bool is_red = Traits::get_color(node) == Traits::red();
  for (const Record* child : {left, right}) {
    if (is_red && child != nullptr && Traits::get_color(child) == Traits::red()) return -1;
  }
  const int below = BlackHeight<Traits>(left, node);
  if (below < 0 || below != BlackHeight<Traits>(right, node)) return -1;
  return below + (is_red ? 0 : 1);
}

template <class Core>
Expected<void> ValidateCore(const Core& core) {
  using Record = typename Core::Record;
  using AddressTraits = region::TreeTraits<Record, &Record::by_address>;
  using SizeTraits = region::TreeTraits<Record, &Record::by_size>;
  const auto& free = core.free();
  const auto& addresses = free.addresses();
  for (uint32_t segment = 0; segment < Core::Free::Addresses::kSegments; ++segment) {
    if (!addresses.HasSegment(segment)) continue;
    const Record* const its_header = &addresses.HeaderOf(segment);
    const Record* const root = AddressTraits::get_parent(its_header);
    if (root == nullptr || BlackHeight<AddressTraits>(root, its_header) < 0) {
      return Broken("a segment by address is not a red-black tree");
    }
  }
  for (size_t index = 0; index < Core::Free::kClasses; ++index) {
    if (!free.HasClass(index)) continue;
    const Record* const its_header = &free.HeaderOf(index);
    const Record* const root = SizeTraits::get_parent(its_header);
    if (root == nullptr || BlackHeight<SizeTraits>(root, its_header) < 0) {
      return Broken("a class by size is not a red-black tree");
    }
  }

  uint64_t count = 0;
  uint64_t units = 0;
  uint64_t in_bins = 0;
  const Record* last = nullptr;
  for (Record* at = free.addresses().First(); at != nullptr;
       last = at, at = free.addresses().Next(*at)) {
    if (at->length == 0 || at->end() > core.size() || at->end() < at->offset) {
      return Broken("a free range lies outside");
    }
    if (last != nullptr && at->offset <= last->end()) {
      return Broken("free ranges overlap, touch, or are out of order");
    }
    if (!addresses.HasSegment(addresses.SegmentOf(at->offset))) {
      return Broken("a free range is in a segment that has none");
    }
    ++count;
    units += at->length;
    in_bins += free.IsInBin(at->length);
  }
  if (count != free.count()) return Broken("the count of free ranges is wrong");
  if (units != free.free_units()) return Broken("the sum of free ranges is wrong");

  uint64_t by_size = 0;
  for (size_t bin = 0; bin < 64; ++bin) {
    if ((free.head(bin) != 0) != ((free.bins() >> bin & 1) != 0)) {
      return Broken("a bin's bit is wrong");
    }
    uint32_t previous = 0;
    for (uint32_t number = free.head(bin); number != 0; ++by_size) {
      const Record& record = core.slab().At(number);
      if (record.length != bin + 1 || record.in_bin.previous != previous || by_size > count) {
        return Broken("a bin has a range that is not its own");
      }
      previous = number;
      number = record.in_bin.next;
    }
  }
  if (by_size != in_bins) return Broken("a small free range is in no bin");
  last = nullptr;
  for (Record* at = free.FirstInClasses(); at != nullptr;
       last = at, at = free.NextBySize(*at), ++by_size) {
    if (free.IsInBin(at->length) || by_size > count) {
      return Broken("a class by size has a range that is not its own");
    }
    if (last != nullptr &&
        (at->length < last->length || (at->length == last->length && at->offset <= last->offset))) {
      return Broken("a class by size is out of order");
    }
  }
  if (by_size != count) return Broken("a free range has no place by size");

  if (!core.tracks()) return {};
  uint64_t live_count = 0;
  uint64_t live_units = 0;
  const Record* gap = free.addresses().First();
  last = nullptr;
  for (Record* at = core.live().First(); at != nullptr; last = at, at = core.live().Next(*at)) {
    if (at->length == 0 || at->end() > core.size() ||
        (last != nullptr && at->offset < last->end())) {
      return Broken("live ranges overlap or are out of order");
    }
    while (gap != nullptr && gap->end() <= at->offset)
      gap = free.addresses().Next(*const_cast<Record*>(gap));
    if (gap != nullptr && gap->offset < at->end()) return Broken("a live range is free");
    ++live_count;
    live_units += at->length;
  }
  if (live_count != core.live().count()) return Broken("the count of live ranges is wrong");
  if (live_units != core.used_units()) return Broken("the sum of live ranges is wrong");
  return {};
}

}  // namespace

template <class Action>
decltype(auto) RegionAllocator::With(const Action& action) const {
  if (compact_ != nullptr) return action(*compact_);
  return action(*wide_);
}

RegionStats RegionAllocator::Stats() const noexcept {
  return With([&](const auto& core) {
    const uint64_t grain = options_.grain;
    return RegionStats{.size_bytes = core.size() * grain,
                       .used_bytes = core.used_units() * grain,
                       .free_bytes = core.free().free_units() * grain,
                       .pending_bytes = core.pending_units() * grain,
                       .live_ranges = core.tracks() ? core.live().count() : 0,
                       .free_ranges = core.free().count(),
                       .largest_free_bytes = core.free().LargestLength() * grain,
                       .peak_used_bytes = core.peak_units() * grain,
                       .high_water_bytes = core.high_water() * grain,
                       .failures = failures_,
                       .failed_bytes = failed_bytes_};
  });
}

RegionHistogram RegionAllocator::Histogram() const noexcept {
  RegionHistogram histogram;
  With([&](const auto& core) {
    for (auto* at = core.free().addresses().First(); at != nullptr;
         at = core.free().addresses().Next(*at)) {
      auto& its = histogram.classes[static_cast<size_t>(std::bit_width(uint64_t{at->length}) - 1)];
      ++its.ranges;
      its.bytes += at->length * options_.grain;
    }
  });
  return histogram;
}

void RegionAllocator::ForEachFree(Range within, const std::function<void(Range)>& visit) const {
  const uint64_t end =
      within.offset + std::min(within.size, size_bytes() - std::min(within.offset, size_bytes()));
  if (end <= within.offset) return;
  With([&]<class Core>(const Core& core) {
    using Units = decltype(core.size());
    const auto place =
        core.free().addresses().Find(static_cast<Units>(within.offset / options_.grain));
    auto* at = place.at_or_below != nullptr ? place.at_or_below : place.above;
    for (; at != nullptr; at = core.free().addresses().Next(*at)) {
      const uint64_t first = std::max(within.offset, at->offset * options_.grain);
      const uint64_t last = std::min(end, at->end() * options_.grain);
      if (first >= end) break;
      if (first < last) visit({first, last - first});
    }
  });
}

void RegionAllocator::ForEachUsed(Range within, const std::function<void(Range)>& visit) const {
  const uint64_t size = size_bytes();
  if (within.offset >= size) return;
  const uint64_t end = within.offset + std::min(within.size, size - within.offset);
  uint64_t at = within.offset;
  ForEachFree(within, [&](Range free) {
    if (free.offset > at) visit({at, free.offset - at});
    at = free.end();
  });
  if (at < end) visit({at, end - at});
}

Expected<void> RegionAllocator::Validate() const {
  return With([](const auto& core) { return ValidateCore(core); });
}

void RegionAllocator::DumpJson(std::ostream& out) const {
  const RegionStats stats = Stats();
  out << "{\"size\": " << stats.size_bytes << ", \"grain\": " << options_.grain
      << ", \"used\": " << stats.used_bytes << ", \"pending\": " << stats.pending_bytes
      << ", \"free\": [";
  const char* separator = "";
  ForEachFree([&](Range range) {
    out << separator << '[' << range.offset << ", " << range.size << ']';
    separator = ", ";
  });
  out << "]}";
}

}  // namespace granary
