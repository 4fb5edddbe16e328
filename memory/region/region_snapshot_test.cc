#include "memory/region/region_snapshot.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/crc32c.h"
#include "memory/little_endian.h"
#include "memory/region/region_snapshot_format.h"
#include "memory/region/sealed_blocks.h"
#include "memory/region/testing/region_driver.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/simulated_files.h"

namespace granary {
namespace {

using Bytes = std::vector<std::byte>;

constexpr SnapshotLabel kLabel = {.identity = 0x1122334455667788, .epoch = 7};

// Of each kind some, and of two lengths more than one.
RegionAllocator SmallRegion(bool tracks = true, bool lowest = false) {
  auto region = RegionAllocator::Create(
      16 * 3000, {.grain = 16, .track_used = tracks, .lowest_among_equals = lowest});
  std::vector<Range> ranges;
  for (uint64_t i = 0; i < 60; ++i) ranges.push_back(*region->Allocate(16 * (1 + i % 5)));
  for (const size_t i : {30U, 4U, 14U, 24U, 44U, 9U, 0U, 50U}) {
    EXPECT_EQ(region->Free(ranges[i]), FreeStatus::kOk);
  }
  EXPECT_EQ(region->FreeDeferred(ranges[20], 5), FreeStatus::kOk);
  EXPECT_EQ(region->FreeDeferred(ranges[10], 5), FreeStatus::kOk);
  EXPECT_EQ(region->FreeDeferred(ranges[11], 9), FreeStatus::kOk);
  // Against the rules, and yet a state that is there.
  EXPECT_EQ(region->FreeDeferred(ranges[13], 2), FreeStatus::kOk);
  EXPECT_FALSE(region->Allocate(1 << 20));
  return std::move(*region);
}

Bytes Encode(const RegionAllocator& region) { return EncodeSnapshot(region.Image(), kLabel).bytes; }

// The bytes whose payload has been changed, with checksums that agree.
Bytes Resealed(const Bytes& sealed, const std::function<void(Bytes&)>& change) {
  auto unsealed = region::Unseal(sealed);
  EXPECT_TRUE(unsealed);
  Bytes payload(unsealed->payload.get(), unsealed->payload.get() + unsealed->bytes);
  change(payload);
  PutFixed(payload.data() + region::kFileBytesAt, region::SealedBytes(payload.size()));
  return region::Seal(payload);
}

uint64_t FieldOf(const Bytes& payload, size_t at) {
  return GetFixed<uint64_t>(payload.data() + at);
}

TEST(RegionSnapshotTest, ImageComesBackByteForByte) {
  for (const bool tracks : {false, true}) {
    for (const bool lowest : {false, true}) {
      const RegionAllocator region = SmallRegion(tracks, lowest);
      const EncodedSnapshot snapshot = EncodeSnapshot(region.Image(), kLabel);
      const auto decoded = DecodeSnapshot(snapshot.bytes);
      ASSERT_TRUE(decoded) << decoded.error().message;
      EXPECT_EQ(decoded->label, kLabel);
      EXPECT_EQ(decoded->checksum, snapshot.checksum);
      EXPECT_EQ(EncodeSnapshot(decoded->image, decoded->label).bytes, snapshot.bytes);
      const auto twin = RegionAllocator::FromImage(decoded->image);
      ASSERT_TRUE(twin) << twin.error().message;
      EXPECT_EQ(twin->Stats(), region.Stats());
      EXPECT_EQ(twin->options().grain, 16U);
      EXPECT_EQ(twin->options().track_used, tracks);
      EXPECT_EQ(twin->options().lowest_among_equals, lowest);
      EXPECT_EQ(twin->options().max_ranges, region.options().max_ranges);
    }
  }
}

TEST(RegionSnapshotTest, BytesAreAsDocumented) {
  auto region = RegionAllocator::Create(16 * 300, {.grain = 16});
  const Range first = *region->Allocate(16 * 2);
  (void)region->Allocate(16);
  const Range third = *region->Allocate(16 * 2);
  (void)region->Allocate(16);
  EXPECT_EQ(region->Free(first), FreeStatus::kOk);
  EXPECT_EQ(region->Free(third), FreeStatus::kOk);
  const Bytes bytes = Encode(*region);
  // Free: (0, 2), (1, 2), (1, 294); of length 2 the second is taken first.
  const uint8_t sections[] = {0, 2, 1, 2, 1, 0xa6, 2, 0x01};
  ASSERT_EQ(bytes.size(), 160U + sizeof(sections) + 8);
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), 8), "GRAREGSN");
  EXPECT_EQ(at(8), 1);
  EXPECT_EQ(at(12), 4);
  EXPECT_EQ(at(15), 1);
  EXPECT_EQ(FieldOf(bytes, 16), bytes.size());
  EXPECT_EQ(FieldOf(bytes, 24), kLabel.identity);
  EXPECT_EQ(FieldOf(bytes, 32), kLabel.epoch);
  EXPECT_EQ(FieldOf(bytes, 40), 16U);
  EXPECT_EQ(FieldOf(bytes, 48), 300U);
  EXPECT_EQ(FieldOf(bytes, 104), 3U) << "free ranges";
  EXPECT_EQ(FieldOf(bytes, 112), 7U) << "their bytes";
  EXPECT_EQ(FieldOf(bytes, 120), 1U) << "those of their order";
  for (size_t i = 0; i < sizeof(sections); ++i) EXPECT_EQ(at(160 + i), sections[i]) << i;
  const std::span<const std::byte> payload(bytes.data(), 168);
  EXPECT_EQ(GetFixed<uint32_t>(bytes.data() + 168), Crc32c(payload));
  EXPECT_EQ(GetFixed<uint32_t>(bytes.data() + 172), Crc32c(payload));
}

TEST(RegionSnapshotTest, EverySingleBitFlipIsRefused) {
  const Bytes bytes = Encode(SmallRegion());
  Bytes flipped = bytes;
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    const auto decoded = DecodeSnapshot(flipped);
    ASSERT_FALSE(decoded) << "bit " << bit;
    ASSERT_FALSE(decoded.error().message.empty());
    flipped[bit / 8] = bytes[bit / 8];
  }
}

TEST(RegionSnapshotTest, EveryTruncationAndTrailingByteIsRefused) {
  const Bytes bytes = Encode(SmallRegion());
  for (size_t length = 0; length < bytes.size(); ++length) {
    const auto decoded = DecodeSnapshot(std::span(bytes).first(length));
    ASSERT_FALSE(decoded) << length;
    ASSERT_EQ(decoded.error().code, ErrorCode::kCorrupt);
  }
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(DecodeSnapshot(longer));
}

TEST(RegionSnapshotTest, UnknownVersionIsUnsupported) {
  const Bytes bytes = Resealed(Encode(SmallRegion()), [](Bytes& payload) {
    PutFixed(payload.data() + region::kVersionAt, uint32_t{2});
  });
  const auto decoded = DecodeSnapshot(bytes);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(decoded.error().message, "version 2 of region snapshots is not known, 1 is");
}

// What has been written so, with checksums that agree.
TEST(RegionSnapshotTest, WrongContentsAreRefusedWithTheirPlace) {
  const auto set = [](size_t at, uint64_t number) {
    return [=](Bytes& payload) { PutFixed(payload.data() + at, number); };
  };
  const auto set_byte = [](size_t at, int byte) {
    return [=](Bytes& payload) { payload[at] = static_cast<std::byte>(byte); };
  };
  // Of SmallRegion: the first free range is (0, 1), the second (10, 5) behind it.
  constexpr size_t kFree = region::kSnapshotHeaderBytes;
  const struct {
    const char* what;
    std::function<void(Bytes&)> change;
    const char* message;
  } cases[] = {
      {"grain", set(region::kGrainAt, 0), "no region has 3000 grains of 0 bytes (byte 40)"},
      {"size", set(region::kSizeAt, uint64_t{1} << 60), "no region has 115"},
      {"fit", set_byte(region::kFitAt, 3), "fit 3 is not known (byte 64)"},
      {"flags", set_byte(region::kFlagsAt, 5), "flags 5 are not known (byte 65)"},
      {"reserved", set_byte(region::kReservedAt + 5, 1), "a reserved byte is not 0 (byte 71)"},
      {"section", set(region::kFreeBytesAt, 1 << 20), "a section of 1048576 bytes where"},
      {"counts", set(region::kFreeCountAt, 1000), "1000 ranges in "},
      {"count", set(region::kFreeCountAt, 5), "free ranges end here, and their section at byte "},
      {"empty", set_byte(kFree + 1, 0), "free range 0 has no gap and length (byte 160)"},
      {"adjacent", set_byte(kFree + 2, 0), "free range 1 touches the one before (byte 162)"},
      {"beyond", set(region::kSizeAt, 20), "reaches beyond the region's 20 (byte 1"},
      {"overlong",
       [](Bytes& payload) { payload[kFree] = std::byte{0x80}, payload[kFree + 1] = {}; },
       "free range 0 has no gap and length (byte 160)"},
      {"trailing", [](Bytes& payload) { payload.push_back({}); },
       "1 bytes behind the last section"},
      {"live is not tracked", set_byte(region::kFlagsAt, 0),
       "live ranges of a region that does not track them"},
      {"order", set_byte(region::kFlagsAt, 3), "the order of small free ranges has "},
  };
  const Bytes bytes = Encode(SmallRegion());
  for (const auto& test : cases) {
    const auto decoded = DecodeSnapshot(Resealed(bytes, test.change));
    ASSERT_FALSE(decoded) << test.what;
    EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt) << test.what;
    EXPECT_NE(decoded.error().message.find(test.message), std::string::npos)
        << test.what << ": " << decoded.error().message;
  }
}

// Every byte of the sections with every value: it is refused, or another region.
TEST(RegionSnapshotTest, WhateverIsAcceptedIsARegionThatIsEncodedSo) {
  for (const bool tracks : {false, true}) {
    const Bytes bytes = Encode(SmallRegion(tracks));
    const size_t payload_bytes = region::Unseal(bytes)->bytes;
    size_t accepted = 0;
    for (size_t at = region::kGrainAt; at < payload_bytes; ++at) {
      for (int value = 0; value < 256; value += kCheckedBuild ? 3 : 1) {
        const Bytes changed =
            Resealed(bytes, [&](Bytes& payload) { payload[at] = static_cast<std::byte>(value); });
        const auto decoded = DecodeSnapshot(changed);
        if (!decoded) continue;
        ++accepted;
        ASSERT_EQ(EncodeSnapshot(decoded->image, decoded->label).bytes, changed) << at;
        // Limits that cannot be, and counts, are the region's to refuse.
        const auto region = RegionAllocator::FromImage(decoded->image);
        if (at >= region::kMaxRangesAt && at < region::kMaxRangesAt + 8) continue;
        ASSERT_TRUE(region) << at << ": " << region.error().message;
        ASSERT_TRUE(region->Validate()) << at;
      }
    }
    EXPECT_GT(accepted, 0U);
  }
}

// --- Files --------------------------------------------------------------------------------------

TEST(RegionSnapshotTest, SavesAndLoads) {
  SimulatedFiles files;
  const RegionAllocator region = SmallRegion();
  const auto saved = SaveSnapshot(region, "f/region", kLabel, files);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_EQ(files.Paths(), std::vector<std::string>{"f/region"});
  EXPECT_EQ(files.open_files(), 0U);
  EXPECT_EQ(files.Contents("f/region")->size(), saved->bytes);
  const auto loaded = LoadSnapshot("f/region", files);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->label, kLabel);
  EXPECT_EQ(loaded->checksum, saved->checksum);
  EXPECT_EQ(Encode(loaded->region), Encode(region));
  EXPECT_EQ(files.open_files(), 0U);
}

TEST(RegionSnapshotTest, SavesAndLoadsOnARealDisk) {
  const RegionAllocator region = SmallRegion();
  const std::string path = ::testing::TempDir() + "/region_snapshot_test_region";
  ASSERT_TRUE(SaveSnapshot(region, path, kLabel));
  const auto loaded = LoadSnapshot(path);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(Encode(loaded->region), Encode(region));
}

TEST(RegionSnapshotTest, LoadErrorsNameTheFile) {
  SimulatedFiles files;
  EXPECT_EQ(LoadSnapshot("f/region", files).error().system_errno, ENOENT);
  files.Put("f/region", std::as_bytes(std::span("nothing")));
  const auto loaded = LoadSnapshot("f/region", files);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message, "f/region: a file of 8 bytes is no region snapshot");
  files.Put("f/region", Resealed(Encode(SmallRegion()), [](Bytes& payload) {
              PutFixed(payload.data() + region::kMaxRangesAt, uint64_t{0});
            }));
  EXPECT_EQ(LoadSnapshot("f/region", files).error().code, ErrorCode::kCorrupt);
}

TEST(RegionSnapshotTest, EveryCallThatFailsLeavesTheOldSnapshotOrTheNew) {
  const RegionAllocator old_region = SmallRegion(/*tracks=*/false);
  const RegionAllocator new_region = SmallRegion();
  SimulatedFiles counted;
  ASSERT_TRUE(SaveSnapshot(new_region, "f/region", kLabel, counted));
  for (size_t nth = 1; nth <= counted.calls(); ++nth) {
    SimulatedFiles files;
    files.Put("f/region", Encode(old_region));
    files.FailCall(nth, ENOSPC);
    const auto saved = SaveSnapshot(new_region, "f/region", kLabel, files);
    const Bytes left = *files.Contents("f/region");
    // The last close is nobody's error.
    if (saved) {
      EXPECT_EQ(left, Encode(new_region));
    } else {
      EXPECT_EQ(saved.error().system_errno, ENOSPC) << nth;
      EXPECT_TRUE(left == Encode(old_region) || left == Encode(new_region)) << nth;
    }
    EXPECT_EQ(files.Paths().size(), 1U) << "call " << nth << " leaves a file behind";
    EXPECT_EQ(files.open_files(), 0U) << nth;
    EXPECT_TRUE(SaveSnapshot(new_region, "f/region", kLabel, files));
    EXPECT_EQ(*files.Contents("f/region"), Encode(new_region));
  }
}

TEST(RegionSnapshotTest, EveryCallThatFailsFailsTheLoad) {
  SimulatedFiles files;
  ASSERT_TRUE(SaveSnapshot(SmallRegion(), "f/region", kLabel, files));
  files.ForgetCalls();
  ASSERT_TRUE(LoadSnapshot("f/region", files));
  const size_t calls = files.calls();
  for (size_t nth = 1; nth < calls; ++nth) {
    files.FailCall(nth, EIO);
    EXPECT_EQ(LoadSnapshot("f/region", files).error().system_errno, EIO) << nth;
    EXPECT_EQ(files.open_files(), 0U);
  }
}

TEST(RegionSnapshotTest, WheneverThePowerGoesTheOldSnapshotIsThereOrTheNew) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const RegionAllocator old_region = SmallRegion(/*tracks=*/false);
  const RegionAllocator new_region = SmallRegion();
  const Bytes old_bytes = Encode(old_region);
  const Bytes new_bytes = Encode(new_region);
  // Many writes, so that there is something to tear.
  constexpr size_t kTransferBytes = 100;
  SimulatedFiles counted;
  counted.LimitTransfers(kTransferBytes);
  ASSERT_TRUE(SaveSnapshot(new_region, "f/region", kLabel, counted));
  bool was_old = false;
  bool was_new = false;
  for (const bool kills : {false, true}) {
    for (size_t nth = 1; nth <= counted.calls() + 1; ++nth) {
      for (int i = 0; i < 20; ++i) {
        SimulatedFiles files;
        files.Put("f/region", old_bytes);
        files.LimitTransfers(kTransferBytes);
        kills ? files.Kill(nth) : files.CutPower(nth);
        const bool saved = SaveSnapshot(new_region, "f/region", kLabel, files).has_value();
        kills ? files.Restart(random) : files.Reboot(random);
        const Bytes left = *files.Contents("f/region");
        ASSERT_TRUE(left == new_bytes || (left == old_bytes && !saved)) << "call " << nth;
        was_old |= left == old_bytes;
        was_new |= left == new_bytes;
        // What was left behind is in nobody's way.
        ASSERT_TRUE(SaveSnapshot(new_region, "f/region", kLabel, files));
        ASSERT_EQ(files.Paths(), std::vector<std::string>{"f/region"});
      }
    }
  }
  EXPECT_TRUE(was_old && was_new);
}

TEST(RegionSnapshotTest, FreeRangeTakesSixBytesAtMost) {
  constexpr uint64_t kRanges = 100'000;
  auto region = RegionAllocator::Create(16 * 100 * kRanges, {.grain = 16});
  ASSERT_TRUE(region->Reserve({0, region->size_bytes()}));
  for (uint64_t i = 0; i < kRanges; ++i) {
    ASSERT_EQ(region->Free({16 * 100 * i, 16 * (1 + i * i % 60)}), FreeStatus::kOk);
  }
  EXPECT_LE(Encode(*region).size(), 6 * kRanges);
}

// --- At length ----------------------------------------------------------------------------------

// A million operations unless told.
uint64_t Operations() {
  const char* const chosen = std::getenv("GRANARY_TEST_OPERATIONS");
  if (chosen != nullptr) return std::strtoull(chosen, nullptr, 10);
  return kCheckedBuild ? 200'000 : 1'000'000;
}

TEST(RegionSnapshotTest, RestoredRegionGivesTheSameOffsetsForTheNextMillionOperations) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (int mode = 0; mode < 4; ++mode) {
    const RegionOptions options = {
        .grain = 16, .track_used = (mode & 1) != 0, .lowest_among_equals = (mode & 2) != 0};
    auto region = RegionAllocator::Create(16 << 18, options);
    RegionDriver driver(random, 16, 16 << 20, 16 * 60);
    for (uint64_t i = 0; i < Operations() / 4; ++i) {
      const RegionCall call = driver.Next(region->size_bytes());
      driver.Did(call, Do(*region, call));
    }
    auto decoded = DecodeSnapshot(Encode(*region));
    ASSERT_TRUE(decoded) << decoded.error().message;
    auto twin = RegionAllocator::FromImage(decoded->image);
    ASSERT_TRUE(twin) << twin.error().message;
    ASSERT_TRUE(twin->Validate());
    for (uint64_t i = 0; i < Operations() / 4; ++i) {
      const RegionCall call = driver.Next(region->size_bytes());
      const RegionAnswer answer = Do(*region, call);
      ASSERT_EQ(Do(*twin, call), answer) << "call " << i << ", mode " << mode;
      driver.Did(call, answer);
    }
    ASSERT_EQ(Encode(*twin), Encode(*region));
  }
}

}  // namespace
}  // namespace granary
