// How a RegionImage becomes bytes.
#include <array>
#include <bit>
#include <memory>

#include "memory/crc32c.h"
#include "memory/little_endian.h"
#include "memory/region/region_snapshot.h"
#include "memory/region/region_snapshot_format.h"
#include "memory/region/sealed_blocks.h"
#include "memory/region/varint.h"

namespace granary {

namespace {

using region::kVarintBytesMax;
using region::PutVarint;

// The distance from one to the other, either way around 2^64, as a number that is small when they
// are near.
uint64_t ZigZag(uint64_t from, uint64_t to) {
  const uint64_t distance = to - from;
  return distance << 1 ^ (uint64_t{0} - (distance >> 63));
}

std::byte* PutFree(std::byte* at, const RegionImage& image) {
  uint64_t end = 0;
  for (const RegionImage::Piece& piece : image.free) {
    at = PutVarint(at, piece.offset - end);
    at = PutVarint(at, piece.length);
    end = piece.end();
  }
  return at;
}

// Each as its rank by address among those of its length, in as few bits as the last one's needs.
std::byte* PutBinOrder(std::byte* at, const RegionImage& image) {
  if (image.bin_order.empty()) return at;
  std::array<uint32_t, RegionImage::kBins> counts = {};
  const auto rank = std::make_unique_for_overwrite<uint32_t[]>(image.free.size());
  for (size_t i = 0; i < image.free.size(); ++i) {
    const uint64_t length = image.free[i].length;
    if (length <= RegionImage::kBins) rank[i] = counts[length - 1]++;
  }
  uint64_t bits = 0;
  unsigned bit_count = 0;
  size_t done = 0;
  for (const uint32_t count : counts) {
    const auto width = static_cast<unsigned>(std::bit_width(count == 0 ? 0 : count - 1));
    for (const size_t end = done + count; done < end; ++done) {
      bits |= static_cast<uint64_t>(rank[image.bin_order[done]]) << bit_count;
      bit_count += width;
      if (bit_count < 32) continue;
      PutFixed(at, static_cast<uint32_t>(bits));
      at += sizeof(uint32_t);
      bits >>= 32;
      bit_count -= 32;
    }
  }
  for (; bit_count > 0; bit_count -= std::min(bit_count, 8U), bits >>= 8) {
    *at++ = static_cast<std::byte>(bits);
  }
  return at;
}

std::byte* PutPending(std::byte* at, const RegionImage& image) {
  uint64_t end = 0;
  uint64_t epoch = 0;
  for (const RegionImage::Pending& pending : image.pending) {
    at = PutVarint(at, ZigZag(end, pending.piece.offset));
    at = PutVarint(at, pending.piece.length);
    at = PutVarint(at, ZigZag(epoch, pending.epoch));
    end = pending.piece.end();
    epoch = pending.epoch;
  }
  return at;
}

std::byte* PutLive(std::byte* at, const RegionImage& image) {
  for (const RegionImage::Piece& piece : image.live) at = PutVarint(at, piece.length);
  return at;
}

}  // namespace

EncodedSnapshot EncodeSnapshot(const RegionImage& image, SnapshotLabel label) {
  // Pages of it that nothing is written to take no memory.
  const size_t bytes_max = region::kSnapshotHeaderBytes + image.free.size() * 2 * kVarintBytesMax +
                           image.bin_order.size() * sizeof(uint32_t) +
                           image.pending.size() * 3 * kVarintBytesMax +
                           image.live.size() * kVarintBytesMax;
  const auto payload = std::make_unique_for_overwrite<std::byte[]>(bytes_max + kVarintBytesMax);
  std::byte* const header = payload.get();
  std::byte* const free = header + region::kSnapshotHeaderBytes;
  std::byte* const bin_order = PutFree(free, image);
  std::byte* const pending = PutBinOrder(bin_order, image);
  std::byte* const live = PutPending(pending, image);
  std::byte* const end = PutLive(live, image);
  const auto bytes = static_cast<size_t>(end - header);

  const auto put = [&](size_t where, uint64_t number) { PutFixed(header + where, number); };
  put(region::kMagicAt, region::kSnapshotMagic);
  PutFixed(header + region::kVersionAt, region::kSnapshotVersion);
  PutFixed(header + region::kEndianTagAt, region::kEndianTag);
  put(region::kFileBytesAt, region::SealedBytes(bytes));
  put(region::kIdentityAt, label.identity);
  put(region::kEpochAt, label.epoch);
  put(region::kGrainAt, image.options.grain);
  put(region::kSizeAt, image.size);
  put(region::kMaxRangesAt, image.options.max_ranges);
  // The flags and what is reserved go with it.
  put(region::kFitAt, static_cast<uint64_t>(image.options.fit));
  const int flags = (image.options.track_used ? region::kTracksUsedFlag : 0) |
                    (image.options.lowest_among_equals ? region::kLowestAmongEqualsFlag : 0);
  header[region::kFlagsAt] = static_cast<std::byte>(flags);
  put(region::kPeakUsedAt, image.peak_used);
  put(region::kHighWaterAt, image.high_water);
  put(region::kFailuresAt, image.failures);
  put(region::kFailedBytesAt, image.failed_bytes);
  put(region::kFreeCountAt, image.free.size());
  put(region::kFreeBytesAt, static_cast<uint64_t>(bin_order - free));
  put(region::kBinOrderBytesAt, static_cast<uint64_t>(pending - bin_order));
  put(region::kPendingCountAt, image.pending.size());
  put(region::kPendingBytesAt, static_cast<uint64_t>(live - pending));
  put(region::kLiveCountAt, image.live.size());
  put(region::kLiveBytesAt, static_cast<uint64_t>(end - live));

  const std::span<const std::byte> all(header, bytes);
  return {.bytes = region::Seal(all), .checksum = Crc32c(all)};
}

}  // namespace granary
