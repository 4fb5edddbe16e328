// Any bytes as a snapshot: they are refused, or a region that is encoded to them again.
//
// The fuzzer cannot guess checksums: besides what it gives as it is, it gives payloads, which are
// sealed here.
#include <cstdint>
#include <span>
#include <vector>

#include "memory/little_endian.h"
#include "memory/region/region_snapshot.h"
#include "memory/region/region_snapshot_format.h"
#include "memory/region/sealed_blocks.h"
#include "memory/testing/fuzz_input.h"

namespace {

void Decode(const std::vector<std::byte>& bytes) {
  const auto decoded = granary::DecodeSnapshot(bytes);
  if (!decoded) {
    granary::FuzzCheck(!decoded.error().message.empty());
    return;
  }
  granary::FuzzCheck(granary::EncodeSnapshot(decoded->image, decoded->label).bytes == bytes);
  // Address space for more ranges than a test should have is nothing to look for.
  if (decoded->image.size > uint64_t{1} << 20 && decoded->image.options.max_ranges > 1 << 20) {
    return;
  }
  const auto region = granary::RegionAllocator::FromImage(decoded->image);
  if (!region) return;
  granary::FuzzCheck(region->Validate().has_value());
  granary::FuzzCheck(granary::EncodeSnapshot(region->Image(), decoded->label).bytes == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace region = granary::region;
  const auto given = std::as_bytes(std::span(data, size));
  Decode({given.begin(), given.end()});

  std::vector<std::byte> payload(given.begin(), given.end());
  if (payload.size() < region::kSnapshotHeaderBytes) payload.resize(region::kSnapshotHeaderBytes);
  const auto put = [&](size_t at, auto number) { granary::PutFixed(payload.data() + at, number); };
  put(region::kMagicAt, region::kSnapshotMagic);
  put(region::kVersionAt, region::kSnapshotVersion);
  put(region::kEndianTagAt, region::kEndianTag);
  put(region::kFileBytesAt, region::SealedBytes(payload.size()));
  Decode(region::Seal(payload));
  // And with options that may be, and sections that are as long as they say.
  put(region::kGrainAt, 1 + granary::GetFixed<uint64_t>(payload.data() + region::kGrainAt) % 64);
  put(region::kSizeAt, granary::GetFixed<uint64_t>(payload.data() + region::kSizeAt) % 0x10000);
  put(region::kMaxRangesAt, uint64_t{1} << 16);
  put(region::kFitAt, granary::GetFixed<uint64_t>(payload.data() + region::kFitAt) & 0x0301);
  uint64_t left = payload.size() - region::kSnapshotHeaderBytes;
  const auto section = [&](size_t bytes_at, size_t count_at, uint64_t bytes_least) {
    const uint64_t bytes = granary::GetFixed<uint8_t>(payload.data() + bytes_at) % (left + 1);
    put(bytes_at, bytes);
    if (count_at != 0) {
      const uint64_t count = granary::GetFixed<uint8_t>(payload.data() + count_at);
      put(count_at, count % (bytes / bytes_least + 1));
    }
    left -= bytes;
  };
  section(region::kFreeBytesAt, region::kFreeCountAt, 2);
  section(region::kBinOrderBytesAt, 0, 1);
  section(region::kPendingBytesAt, region::kPendingCountAt, 3);
  section(region::kLiveBytesAt, region::kLiveCountAt, 1);
  payload.resize(payload.size() - left);
  put(region::kFileBytesAt, region::SealedBytes(payload.size()));
  Decode(region::Seal(payload));
  return 0;
}
