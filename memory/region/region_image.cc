// A RegionAllocator as a RegionImage, and back.
#include "memory/region/region_image.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/region/index_build.h"
#include "memory/region/ordered_sweep.h"
#include "memory/region/region_allocator.h"
#include "memory/region/region_core.h"

namespace granary {

namespace {

// No core has another number of bins, or images would have to say how many.
static_assert(region::FreeIndex<uint32_t>::kBins == RegionImage::kBins);
static_assert(region::FreeIndex<uint64_t>::kBins == RegionImage::kBins);

tl::unexpected<Error> Invalid(std::string message) {
  return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                              .message = std::move(message),
                              .where = "RegionAllocator::FromImage"});
}

tl::unexpected<Error> InvalidRange(const char* kind, size_t index, const std::string& what) {
  return Invalid("the image's " + std::string(kind) + " range " + std::to_string(index) + what);
}

bool IsBelow(const RegionImage::Piece& a, const RegionImage::Piece& b) {
  return a.offset < b.offset;
}

Expected<void> CheckFree(const RegionImage& image) {
  uint64_t end = 0;
  for (size_t i = 0; i < image.free.size(); ++i) {
    const RegionImage::Piece& piece = image.free[i];
    if (piece.length == 0 || piece.offset > image.size ||
        piece.length > image.size - piece.offset) {
      return InvalidRange("free", i, " is empty or lies outside");
    }
    if (i != 0 && piece.offset <= end) {
      return InvalidRange("free", i, " touches the one before, or comes too late");
    }
    end = piece.end();
  }
  return {};
}

Expected<void> CheckBinOrder(const RegionImage& image) {
  // Of each free range its length if it belongs in the order and was not there yet, otherwise 0.
  std::vector<uint8_t> lengths(image.free.size());
  size_t in_bins = 0;
  for (size_t i = 0; i < lengths.size() && !image.options.lowest_among_equals; ++i) {
    if (image.free[i].length > RegionImage::kBins) continue;
    lengths[i] = static_cast<uint8_t>(image.free[i].length);
    ++in_bins;
  }
  if (image.bin_order.size() != in_bins) {
    return Invalid("the image has the order of " + std::to_string(image.bin_order.size()) +
                   " small free ranges, and " + std::to_string(in_bins) + " of them");
  }
  uint8_t last_length = 1;
  for (const uint32_t index : image.bin_order) {
    const uint8_t length = index < lengths.size() ? std::exchange(lengths[index], uint8_t{0}) : 0;
    if (length < last_length) {
      return InvalidRange("free", index, " is not there, not small, or not next in their order");
    }
    last_length = length;
  }
  return {};
}

// That all kinds together, as far as they are there, overlap nowhere, and fill a tracked region.
Expected<void> CheckAll(const RegionImage& image) {
  const bool tracks = image.options.track_used;
  if (!tracks && !image.live.empty()) {
    return Invalid("the image has live ranges of a region that does not track them");
  }
  std::vector<RegionImage::Piece> pending;
  for (const RegionImage::Pending& range : image.pending) pending.push_back(range.piece);
  for (size_t i = 1; i < image.live.size(); ++i) {
    if (!IsBelow(image.live[i - 1], image.live[i])) {
      return InvalidRange("live", i, " comes too late");
    }
  }
  if (pending.empty() && !tracks) return {};
  std::sort(pending.begin(), pending.end(), IsBelow);
  std::vector<RegionImage::Piece> not_live(image.free.size() + pending.size());
  std::merge(image.free.begin(), image.free.end(), pending.begin(), pending.end(), not_live.begin(),
             IsBelow);
  std::vector<RegionImage::Piece> all(not_live.size() + image.live.size());
  std::merge(not_live.begin(), not_live.end(), image.live.begin(), image.live.end(), all.begin(),
             IsBelow);
  uint64_t end = 0;
  for (const RegionImage::Piece& piece : all) {
    if (piece.length == 0 || piece.offset > image.size ||
        piece.length > image.size - piece.offset || piece.offset < end ||
        (tracks && piece.offset != end)) {
      return Invalid("the image's range of " + std::to_string(piece.length) + " grains at " +
                     std::to_string(piece.offset) +
                     " overlaps another, lies outside, or has something unknown before it");
    }
    end = piece.end();
  }
  if (tracks && end != image.size) {
    return Invalid("what the image has at its end is neither free nor pending nor live");
  }
  return {};
}

}  // namespace

// --- Out ----------------------------------------------------------------------------------------

namespace region {

namespace {

// The ranges of a tree, in order.
template <class Record>
class PieceCollector {
 public:
  struct Found {
    RegionImage::Piece piece;
    // The record's, and that of the next one in its bin.
    uint32_t number;
    uint32_t next;
  };

  // Into `pieces`; `visit(index, found)` for each of them.
  template <class Slab, class Addresses, class Visit>
  static void Collect(const Slab& slab, const Addresses& addresses,
                      std::vector<RegionImage::Piece>& pieces, const Visit& visit) {
    using Traits = typename Addresses::Traits;
    std::vector<const Record*> roots;
    for (uint32_t segment = 0; segment < Addresses::kSegments; ++segment) {
      if (!addresses.HasSegment(segment)) continue;
      roots.push_back(Traits::get_parent(&addresses.HeaderOf(segment)));
    }
    const uint64_t count = addresses.count();
    std::vector<std::vector<Found>> stretches;
    const auto take = [&](size_t stretch, const Record& record) {
      stretches[stretch].push_back({.piece = {.offset = record.offset, .length = record.length},
                                    .number = slab.NumberOf(record),
                                    .next = record.in_bin.next});
    };
    OrderedSweep<Traits, decltype(take)> sweep(roots, take);
    stretches.resize(sweep.stretches());
    sweep.Run();
    pieces.reserve(count);
    for (auto& stretch : stretches) {
      for (const Found& found : stretch) {
        visit(static_cast<uint32_t>(pieces.size()), found);
        pieces.push_back(found.piece);
      }
    }
  }
};

}  // namespace

template <class Units, class Probe>
void RegionCore<Units, Probe>::CopyTo(RegionImage& image) const {
  using Collector = PieceCollector<Record>;
  image.size = size_;
  image.peak_used = peak_units_;
  image.high_water = high_water_;

  // By its number, which of the free ranges a record is, and the next in its bin: lists are walked
  // here, and not from record to record, as most records are in no cache.
  struct Node {
    uint32_t index;
    uint32_t next;
  };
  const bool has_bins = free_.bins() != 0;
  const auto nodes = has_bins ? std::make_unique_for_overwrite<Node[]>(slab_.touched()) : nullptr;
  std::array<uint32_t, Free::kBins> counts = {};
  Collector::Collect(slab_, free_.addresses(), image.free,
                     [&](uint32_t index, const typename Collector::Found& found) {
                       if (!free_.IsInBin(static_cast<Units>(found.piece.length))) return;
                       nodes[found.number] = {.index = index, .next = found.next};
                       ++counts[found.piece.length - 1];
                     });

  // All lists at once, a step each in turn.
  struct List {
    uint32_t number;
    uint32_t* out;
  };
  std::vector<List> lists;
  uint32_t total = 0;
  for (const uint32_t count : counts) total += count;
  image.bin_order.resize(total);
  uint32_t* out = image.bin_order.data();
  for (size_t bin = 0; bin < counts.size(); ++bin) {
    if (counts[bin] != 0) lists.push_back({.number = free_.head(bin), .out = out});
    out += counts[bin];
  }
  while (!lists.empty()) {
    for (size_t i = 0; i < lists.size();) {
      List& list = lists[i];
      const Node node = nodes[list.number];
      *list.out++ = node.index;
      list.number = node.next;
      if (node.next != 0) {
        __builtin_prefetch(&nodes[node.next]);
        ++i;
      } else {
        list = lists.back();
        lists.pop_back();
      }
    }
  }

  for (uint32_t number = pending_first_; number != 0; number = slab_.At(number).pending.next) {
    const Record& record = slab_.At(number);
    image.pending.push_back(
        {.piece = {.offset = record.offset, .length = record.length},
         .epoch = uint64_t{record.pending.epoch_high} << 32 | record.pending.epoch_low});
  }
  if (!tracks_) return;
  Collector::Collect(slab_, others_, image.live, [](uint32_t, const typename Collector::Found&) {});
}

// --- In -----------------------------------------------------------------------------------------

template <class Units, class Probe>
Expected<std::unique_ptr<RegionCore<Units, Probe>>> RegionCore<Units, Probe>::FromImage(
    const RegionImage& image, SystemCalls& calls) {
  const uint64_t records = RecordsFor(image.size, image.options);
  const uint64_t needed = image.free.size() + image.pending.size() + image.live.size();
  if (needed > records - kHeaders) {
    return Invalid("the image has " + std::to_string(needed) + " ranges, and max_ranges allows " +
                   std::to_string(records - kHeaders));
  }
  auto slab = Slab::Create(records, kHeaders, calls);
  if (!slab) return tl::unexpected(std::move(slab.error()));
  auto core = std::unique_ptr<RegionCore>(new RegionCore(std::move(*slab), image.options));
  // A slab that is new gives records one behind the other.
  const auto take = [&](const RegionImage::Piece& piece) -> Record& {
    Record& record = core->slab_.Take();
    record.offset = static_cast<Units>(piece.offset);
    record.length = static_cast<Units>(piece.length);
    return record;
  };
  for (const RegionImage::Piece& piece : image.free) (void)take(piece);
  core->free_.Build(kHeaders, static_cast<uint32_t>(image.free.size()), image.bin_order);
  const auto first_live = static_cast<uint32_t>(kHeaders + image.free.size());
  for (const RegionImage::Piece& piece : image.live) (void)take(piece);
  core->others_.Build(&core->slab_.At(first_live), static_cast<uint32_t>(image.live.size()));
  for (const RegionImage::Pending& pending : image.pending) {
    Record& record = take(pending.piece);
    const uint32_t number = core->slab_.NumberOf(record);
    record.pending = {0, static_cast<uint32_t>(pending.epoch),
                      static_cast<uint32_t>(pending.epoch >> 32)};
    if (core->pending_last_ != 0) core->slab_.At(core->pending_last_).pending.next = number;
    if (core->pending_first_ == 0) core->pending_first_ = number;
    core->pending_last_ = number;
    if (!core->tracks_) core->others_.Insert(record);
    core->pending_units_ += record.length;
  }
  core->size_ = static_cast<Units>(image.size);
  core->peak_units_ = static_cast<Units>(image.peak_used);
  core->high_water_ = static_cast<Units>(image.high_water);
  return core;
}

}  // namespace region

RegionImage RegionAllocator::Image() const {
  RegionImage image;
  image.options = options_;
  image.failures = failures_;
  image.failed_bytes = failed_bytes_;
  if (compact_ != nullptr) {
    compact_->CopyTo(image);
  } else {
    wide_->CopyTo(image);
  }
  return image;
}

Expected<RegionAllocator> RegionAllocator::FromImage(const RegionImage& image, SystemCalls& calls) {
  const RegionOptions& options = image.options;
  if (options.grain == 0 || image.size > kSizeMax / options.grain) {
    return Invalid("no region has " + std::to_string(image.size) + " grains of " +
                   std::to_string(options.grain) + " bytes");
  }
  if (auto checked = CheckFree(image); !checked) return tl::unexpected(std::move(checked.error()));
  if (auto checked = CheckBinOrder(image); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  if (auto checked = CheckAll(image); !checked) return tl::unexpected(std::move(checked.error()));

  if (options.max_ranges == 0) return Invalid("max_ranges is 0");
  RegionAllocator region(options, calls);
  const uint64_t widest = std::max({image.size, image.peak_used, image.high_water});
  if (widest <= UINT32_MAX) {
    auto core = Compact::FromImage(image, calls);
    if (!core) return tl::unexpected(std::move(core.error()));
    region.compact_ = std::move(*core);
  } else {
    auto core = Wide::FromImage(image, calls);
    if (!core) return tl::unexpected(std::move(core.error()));
    region.wide_ = std::move(*core);
  }
  region.failures_ = image.failures;
  region.failed_bytes_ = image.failed_bytes;
  return region;
}

}  // namespace granary
