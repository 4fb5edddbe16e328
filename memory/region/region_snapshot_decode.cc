// How bytes become a RegionImage, or what is wrong with them.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "memory/little_endian.h"
#include "memory/region/region_snapshot.h"
#include "memory/region/region_snapshot_format.h"
#include "memory/region/sealed_blocks.h"
#include "memory/region/varint.h"

namespace granary {

namespace {

using region::GetVarint;

constexpr const char* kWhere = "DecodeSnapshot";

tl::unexpected<Error> Refuse(std::string message, ErrorCode code = ErrorCode::kCorrupt) {
  return tl::unexpected(Error{.code = code, .message = std::move(message), .where = kWhere});
}

// Where ZigZag came from `from` to.
uint64_t UnZigZag(uint64_t from, uint64_t distance) {
  return from + (distance >> 1 ^ (uint64_t{0} - (distance & 1)));
}

// A payload whose checksums agree: what is wrong with it now, somebody has written.
class Decoder {
 public:
  explicit Decoder(const region::Unsealed& unsealed)
      : begin_(unsealed.payload.get()), bytes_(unsealed.bytes) {}

  Expected<RegionImage> Decode() {
    if (auto done = Header(); !done) return tl::unexpected(std::move(done.error()));
    at_ = begin_ + region::kSnapshotHeaderBytes;
    for (const auto section :
         {&Decoder::Free, &Decoder::BinOrder, &Decoder::Pending, &Decoder::Live}) {
      if (auto done = (this->*section)(); !done) return tl::unexpected(std::move(done.error()));
    }
    return std::move(image_);
  }

 private:
  uint64_t Field(size_t at) const { return GetFixed<uint64_t>(begin_ + at); }

  // "... (byte 4097)": where in the sealed bytes it is.
  tl::unexpected<Error> Wrong(const std::string& what, const std::byte* at) const {
    const auto offset = region::SealedOffset(static_cast<uint64_t>(at - begin_));
    return Refuse(what + " (byte " + std::to_string(offset) + ")");
  }
  tl::unexpected<Error> WrongRange(const char* kind, size_t index, const std::string& what,
                                   const std::byte* at) const {
    return Wrong(std::string(kind) + " range " + std::to_string(index) + " " + what, at);
  }

  Expected<void> Header() {
    if (bytes_ < region::kSnapshotHeaderBytes) {
      return Refuse("the header ends after " + std::to_string(bytes_) + " bytes of " +
                    std::to_string(region::kSnapshotHeaderBytes));
    }
    RegionOptions& options = image_.options;
    options.grain = Field(region::kGrainAt);
    image_.size = Field(region::kSizeAt);
    if (options.grain == 0 || image_.size > RegionAllocator::kSizeMax / options.grain) {
      return Wrong("no region has " + std::to_string(image_.size) + " grains of " +
                       std::to_string(options.grain) + " bytes",
                   begin_ + region::kGrainAt);
    }
    options.max_ranges = Field(region::kMaxRangesAt);
    const auto fit = static_cast<uint8_t>(begin_[region::kFitAt]);
    if (fit > static_cast<uint8_t>(Fit::kHighest)) {
      return Wrong("fit " + std::to_string(fit) + " is not known", begin_ + region::kFitAt);
    }
    options.fit = static_cast<Fit>(fit);
    const auto flags = static_cast<uint8_t>(begin_[region::kFlagsAt]);
    options.track_used = (flags & region::kTracksUsedFlag) != 0;
    options.lowest_among_equals = (flags & region::kLowestAmongEqualsFlag) != 0;
    if ((flags & ~(region::kTracksUsedFlag | region::kLowestAmongEqualsFlag)) != 0) {
      return Wrong("flags " + std::to_string(flags) + " are not known", begin_ + region::kFlagsAt);
    }
    for (size_t at = region::kReservedAt; at < region::kPeakUsedAt; ++at) {
      if (begin_[at] != std::byte{0}) return Wrong("a reserved byte is not 0", begin_ + at);
    }
    image_.peak_used = Field(region::kPeakUsedAt);
    image_.high_water = Field(region::kHighWaterAt);
    image_.failures = Field(region::kFailuresAt);
    image_.failed_bytes = Field(region::kFailedBytesAt);
    return SectionSizes();
  }

  // That they are all of the payload, and counts not more than so many bytes can hold, before
  // memory is taken for them.
  Expected<void> SectionSizes() const {
    uint64_t left = bytes_ - region::kSnapshotHeaderBytes;
    for (const size_t at : {region::kFreeBytesAt, region::kBinOrderBytesAt, region::kPendingBytesAt,
                            region::kLiveBytesAt}) {
      if (Field(at) > left) {
        return Wrong("a section of " + std::to_string(Field(at)) + " bytes where " +
                         std::to_string(left) + " are left",
                     begin_ + at);
      }
      left -= Field(at);
    }
    if (left != 0) {
      return Wrong(std::to_string(left) + " bytes behind the last section",
                   begin_ + (bytes_ - left));
    }
    constexpr struct {
      size_t count_at;
      size_t bytes_at;
      uint64_t bytes_least;
    } kSections[] = {{region::kFreeCountAt, region::kFreeBytesAt, 2},
                     {region::kPendingCountAt, region::kPendingBytesAt, 3},
                     {region::kLiveCountAt, region::kLiveBytesAt, 1}};
    for (const auto& section : kSections) {
      if (Field(section.count_at) > Field(section.bytes_at) / section.bytes_least ||
          Field(section.count_at) >= UINT32_MAX) {
        return Wrong(std::to_string(Field(section.count_at)) + " ranges in " +
                         std::to_string(Field(section.bytes_at)) + " bytes",
                     begin_ + section.count_at);
      }
    }
    return {};
  }

  // All numbers of the section were read, and no byte more or less.
  Expected<void> Ends(const char* section, const std::byte* at, size_t bytes_at) {
    const std::byte* const end = at_ + Field(bytes_at);
    if (at != end) {
      return Wrong(std::string(section) + " ranges end here, and their section at byte " +
                       std::to_string(region::SealedOffset(static_cast<uint64_t>(end - begin_))),
                   at);
    }
    at_ = end;
    return {};
  }

  Expected<void> Free() {
    const uint64_t count = Field(region::kFreeCountAt);
    const std::byte* const section_end = at_ + Field(region::kFreeBytesAt);
    image_.free.resize(count);
    const std::byte* at = at_;
    uint64_t end = 0;
    for (size_t i = 0; i < count; ++i) {
      uint64_t gap = 0;
      uint64_t length = 0;
      const std::byte* const begin = at;
      // A number reaches beyond the section by a few bytes at most, which can be read.
      if (at < section_end) at = GetVarint(at, gap);
      if (at != nullptr && at < section_end) at = GetVarint(at, length);
      if (at == nullptr || at > section_end || length == 0) {
        return WrongRange("free", i, "has no gap and length", begin);
      }
      if (gap == 0 && i != 0) return WrongRange("free", i, "touches the one before", begin);
      if (gap > image_.size - end || length > image_.size - end - gap) {
        return WrongRange("free", i, Beyond(end + gap, length), begin);
      }
      image_.free[i] = {.offset = end + gap, .length = length};
      end += gap + length;
      bin_counts_[length <= RegionImage::kBins ? length - 1 : RegionImage::kBins] += 1;
    }
    return Ends("free", at, region::kFreeBytesAt);
  }

  std::string Beyond(uint64_t offset, uint64_t length) const {
    return "of " + std::to_string(length) + " grains at " + std::to_string(offset) +
           " reaches beyond the region's " + std::to_string(image_.size);
  }

  Expected<void> BinOrder() {
    const std::byte* const section = at_;
    const uint64_t bytes = Field(region::kBinOrderBytesAt);
    uint64_t bits_needed = 0;
    uint64_t in_bins = 0;
    if (!image_.options.lowest_among_equals) {
      for (size_t bin = 0; bin < RegionImage::kBins; ++bin) {
        bits_needed += bin_counts_[bin] * Width(bin_counts_[bin]);
        in_bins += bin_counts_[bin];
      }
    }
    if (bytes != (bits_needed + 7) / 8) {
      return Wrong("the order of small free ranges has " + std::to_string(bytes) +
                       " bytes and needs " + std::to_string((bits_needed + 7) / 8),
                   section);
    }
    at_ += bytes;
    if (in_bins == 0) return {};

    // By length, and then by address: what a rank stands for.
    std::array<size_t, RegionImage::kBins> next = {};
    for (size_t bin = 1; bin < RegionImage::kBins; ++bin) {
      next[bin] = next[bin - 1] + bin_counts_[bin - 1];
    }
    constexpr uint32_t kTaken = UINT32_MAX;
    const auto sorted = std::make_unique_for_overwrite<uint32_t[]>(in_bins);
    for (size_t i = 0; i < image_.free.size(); ++i) {
      const uint64_t length = image_.free[i].length;
      if (length <= RegionImage::kBins) sorted[next[length - 1]++] = static_cast<uint32_t>(i);
    }
    image_.bin_order.resize(in_bins);
    uint64_t bit = 0;
    size_t done = 0;
    for (size_t bin = 0; bin < RegionImage::kBins; ++bin) {
      const unsigned width = Width(bin_counts_[bin]);
      const size_t first = done;
      for (const size_t end = done + bin_counts_[bin]; done < end; ++done, bit += width) {
        const uint64_t word = GetFixed<uint64_t>(section + bit / 8) >> bit % 8;
        const uint64_t rank = word & ((uint64_t{1} << width) - 1);
        uint32_t* const named = rank < bin_counts_[bin] ? &sorted[first + rank] : nullptr;
        if (named == nullptr || *named == kTaken) {
          return Wrong("the order of free ranges of " + std::to_string(bin + 1) +
                           " grains names number " + std::to_string(rank) + " of " +
                           std::to_string(bin_counts_[bin]) +
                           (named == nullptr ? "" : " a second time"),
                       section + bit / 8);
        }
        image_.bin_order[done] = std::exchange(*named, kTaken);
      }
    }
    if (bit % 8 != 0 && static_cast<uint8_t>(section[bit / 8]) >> bit % 8 != 0) {
      return Wrong("bits behind the order of small free ranges are not 0", section + bit / 8);
    }
    return {};
  }

  static unsigned Width(uint64_t count) {
    return static_cast<unsigned>(std::bit_width(count == 0 ? 0 : count - 1));
  }

  Expected<void> Pending() {
    const uint64_t count = Field(region::kPendingCountAt);
    const std::byte* const section_end = at_ + Field(region::kPendingBytesAt);
    image_.pending.resize(count);
    const std::byte* at = at_;
    uint64_t end = 0;
    uint64_t epoch = 0;
    for (size_t i = 0; i < count; ++i) {
      std::array<uint64_t, 3> numbers = {};
      const std::byte* const begin = at;
      for (uint64_t& number : numbers) {
        at = at != nullptr && at < section_end ? GetVarint(at, number) : nullptr;
      }
      const uint64_t length = numbers[1];
      if (at == nullptr || at > section_end || length == 0) {
        return WrongRange("pending", i, "has no distance, length and epoch", begin);
      }
      const uint64_t offset = UnZigZag(end, numbers[0]);
      if (offset > image_.size || length > image_.size - offset) {
        return WrongRange("pending", i, Beyond(offset, length), begin);
      }
      end = offset + length;
      // Nobody keeps epochs from falling, and the queue stays as it is.
      epoch = UnZigZag(epoch, numbers[2]);
      image_.pending[i] = {.piece = {.offset = offset, .length = length}, .epoch = epoch};
    }
    if (auto done = PendingAreApart(); !done) return done;
    return Ends("pending", at, region::kPendingBytesAt);
  }

  // From each other, and from the free ones; they may touch.
  Expected<void> PendingAreApart() {
    by_address_.reserve(image_.pending.size());
    for (const RegionImage::Pending& pending : image_.pending) by_address_.push_back(pending.piece);
    std::sort(by_address_.begin(), by_address_.end(),
              [](const auto& a, const auto& b) { return a.offset < b.offset; });
    uint64_t end = 0;
    auto free = image_.free.begin();
    for (const RegionImage::Piece& piece : by_address_) {
      while (free != image_.free.end() && free->end() <= piece.offset) ++free;
      const bool is_free = free != image_.free.end() && free->offset < piece.end();
      if (piece.offset < end || is_free) {
        return Wrong("the pending range of " + std::to_string(piece.length) + " grains at " +
                         std::to_string(piece.offset) +
                         (is_free ? " is free as well" : " overlaps another"),
                     at_);
      }
      end = piece.end();
    }
    return {};
  }

  // One after the other, they fill what free and pending ones leave.
  Expected<void> Live() {
    const uint64_t count = Field(region::kLiveCountAt);
    if (count != 0 && !image_.options.track_used) {
      return Wrong(std::to_string(count) + " live ranges of a region that does not track them",
                   begin_ + region::kLiveCountAt);
    }
    const std::byte* const section_end = at_ + Field(region::kLiveBytesAt);
    image_.live.reserve(count);
    const std::byte* at = at_;
    auto free = image_.free.begin();
    auto pending = by_address_.begin();
    uint64_t offset = 0;
    while (image_.options.track_used) {
      const uint64_t free_at = free != image_.free.end() ? free->offset : image_.size;
      const uint64_t pending_at = pending != by_address_.end() ? pending->offset : image_.size;
      const uint64_t end = std::min(free_at, pending_at);
      while (offset < end) {
        const std::byte* const begin = at;
        uint64_t length = 0;
        if (image_.live.size() < count && at < section_end) at = GetVarint(at, length);
        if (at == nullptr || at > section_end || length == 0 || length > end - offset) {
          return WrongRange("live", image_.live.size(),
                            "does not fill what is used at " + std::to_string(offset) + " to " +
                                std::to_string(end),
                            begin);
        }
        image_.live.push_back({.offset = offset, .length = length});
        offset += length;
      }
      if (offset == image_.size) break;
      offset = free_at < pending_at ? (free++)->end() : (pending++)->end();
    }
    if (image_.live.size() != count) {
      return Wrong(std::to_string(count) + " live ranges where " +
                       std::to_string(image_.live.size()) + " fill what is used",
                   begin_ + region::kLiveCountAt);
    }
    return Ends("live", at, region::kLiveBytesAt);
  }

  const std::byte* const begin_;
  const size_t bytes_;
  const std::byte* at_ = nullptr;
  RegionImage image_;
  // Of the free ranges of each length, and of all longer ones.
  std::array<uint64_t, RegionImage::kBins + 1> bin_counts_ = {};
  std::vector<RegionImage::Piece> by_address_;
};

}  // namespace

Expected<DecodedSnapshot> DecodeSnapshot(std::span<const std::byte> bytes) {
  if (bytes.size() < region::SealedBytes(region::kSnapshotHeaderBytes)) {
    return Refuse("a file of " + std::to_string(bytes.size()) + " bytes is no region snapshot");
  }
  if (GetFixed<uint64_t>(bytes.data() + region::kMagicAt) != region::kSnapshotMagic) {
    return Refuse("this is no region snapshot: it does not begin with GRAREGSN");
  }
  const auto version = GetFixed<uint32_t>(bytes.data() + region::kVersionAt);
  if (version != region::kSnapshotVersion) {
    return Refuse("version " + std::to_string(version) + " of region snapshots is not known, " +
                      std::to_string(region::kSnapshotVersion) + " is",
                  ErrorCode::kUnsupported);
  }
  if (GetFixed<uint32_t>(bytes.data() + region::kEndianTagAt) != region::kEndianTag) {
    return Refuse("bytes are in another order than they should (byte 12)");
  }
  const auto file_bytes = GetFixed<uint64_t>(bytes.data() + region::kFileBytesAt);
  if (file_bytes != bytes.size()) {
    return Refuse("there are " + std::to_string(bytes.size()) + " bytes, and the header says " +
                  std::to_string(file_bytes) + " (byte 16)");
  }
  auto unsealed = region::Unseal(bytes);
  if (!unsealed) return tl::unexpected(std::move(unsealed.error()));
  auto image = Decoder(*unsealed).Decode();
  if (!image) return tl::unexpected(std::move(image.error()));
  const std::byte* const header = unsealed->payload.get();
  return DecodedSnapshot{.image = std::move(*image),
                         .label = {.identity = GetFixed<uint64_t>(header + region::kIdentityAt),
                                   .epoch = GetFixed<uint64_t>(header + region::kEpochAt)},
                         .checksum = unsealed->checksum};
}

}  // namespace granary
