#include "memory/region/region_log.h"

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/region_log_format.h"
#include "memory/testing/simulated_files.h"

namespace granary {
namespace {

using Bytes = std::vector<std::byte>;
using Kind = RegionChange::Kind;

constexpr const char* kPath = "f/log";
constexpr RegionLogLabel kLabel = {.snapshot = {.identity = 5, .epoch = 9},
                                   .snapshot_checksum = 0x12345678};

RegionAllocator EmptyRegion() {
  return std::move(*RegionAllocator::Create(16 * 1000, {.grain = 16}));
}

Bytes StateOf(const RegionAllocator& region) { return EncodeSnapshot(region.Image(), {}).bytes; }

// A log of a few groups, the last `unsynced` of which are written with one Sync, what the region is
// after each, and where they end.
struct Written {
  Bytes log;
  std::vector<Bytes> states;
  std::vector<uint64_t> ends;
};

Written WriteGroups(size_t unsynced) {
  SimulatedFiles files;
  auto log = RegionLog::Create(kPath, kLabel, 16, files);
  EXPECT_TRUE(log) << log.error().message;
  RegionAllocator region = EmptyRegion();
  Written written;
  written.states.push_back(StateOf(region));
  written.ends.push_back(log->bytes());
  constexpr size_t kGroups = 5;
  for (size_t group = 0; group < kGroups; ++group) {
    for (uint64_t i = 0; i <= group; ++i) {
      const Range range = *region.Allocate(16 * (3 + i));
      log->Append({.kind = Kind::kAllocate, .range = range});
      if (i % 2 == 0) {
        EXPECT_EQ(region.Free(range), FreeStatus::kOk);
        log->Append({.kind = Kind::kFree, .range = range});
      }
    }
    log->EndGroup();
    if (group + unsynced < kGroups || group + 1 == kGroups) {
      EXPECT_TRUE(log->Sync());
    }
    written.states.push_back(StateOf(region));
    written.ends.push_back(log->bytes());
  }
  EXPECT_EQ(log->changes(), log->synced_changes());
  written.log = *files.Contents(kPath);
  return written;
}

// How many groups end at `at` or before it.
size_t GroupsUpTo(const Written& written, uint64_t at) {
  size_t groups = 0;
  while (groups + 1 < written.ends.size() && written.ends[groups + 1] <= at) ++groups;
  return groups;
}

TEST(RegionLogTest, EveryKindOfChangeIsReplayed) {
  SimulatedFiles files;
  auto log = RegionLog::Create(kPath, kLabel, 16, files);
  RegionAllocator region = EmptyRegion();
  const auto changed = [&](Kind kind, Range range, uint64_t number = 0) {
    log->Append({.kind = kind, .range = range, .number = number});
  };
  // Sizes that are no multiples of the grain are what they are rounded to.
  ASSERT_TRUE(region.Reserve({160, 33}));
  changed(Kind::kAllocate, {160, 33});
  ASSERT_TRUE(region.Resize({160, 33}, 100));
  changed(Kind::kResizeForward, {160, 33}, 100);
  ASSERT_TRUE(region.Resize({160, 100}, 150, RegionAllocator::Grow::kBackward));
  changed(Kind::kResizeBackward, {160, 100}, 150);
  ASSERT_EQ(region.Free({160, 20}), FreeStatus::kOk);
  changed(Kind::kFree, {160, 20});
  ASSERT_EQ(region.FreeDeferred({192, 16}, UINT64_MAX - 1), FreeStatus::kOk);
  changed(Kind::kFreeDeferred, {192, 16}, UINT64_MAX - 1);
  ASSERT_EQ(region.FreeDeferred({208, 16}, UINT64_MAX), FreeStatus::kOk);
  changed(Kind::kFreeDeferred, {208, 16}, UINT64_MAX);
  ASSERT_EQ(region.ReleaseUpTo(UINT64_MAX - 1), 16U);
  changed(Kind::kReleaseUpTo, {}, UINT64_MAX - 1);
  ASSERT_TRUE(region.Extend(32000));
  changed(Kind::kExtend, {}, 32000);
  ASSERT_TRUE(region.Truncate(8000));
  changed(Kind::kTruncate, {}, 8000);
  ASSERT_TRUE(log->Sync());
  EXPECT_EQ(log->changes(), 9U);

  const auto replay = ReplayRegionLog(kPath, kLabel, EmptyRegion(), files);
  ASSERT_TRUE(replay) << replay.error().message;
  EXPECT_EQ(StateOf(replay->region), StateOf(region));
  EXPECT_EQ(replay->changes, 9U);
  EXPECT_EQ(replay->groups, 1U);
  EXPECT_EQ(replay->good_bytes, replay->bytes);
  EXPECT_EQ(replay->torn, "");
}

TEST(RegionLogTest, BytesAreAsDocumented) {
  SimulatedFiles files;
  auto log = RegionLog::Create(kPath, kLabel, 16, files);
  log->Append({.kind = Kind::kFreeDeferred, .range = {16 * 300, 32}, .number = 7});
  ASSERT_TRUE(log->Sync());
  const Bytes bytes = *files.Contents(kPath);
  ASSERT_EQ(bytes.size(), 40U + 32 + 5);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), 8), "GRAREGLG");
  EXPECT_EQ(GetFixed<uint32_t>(bytes.data() + 8), 1U);
  EXPECT_EQ(GetFixed<uint64_t>(bytes.data() + 16), 5U);
  EXPECT_EQ(GetFixed<uint64_t>(bytes.data() + 24), 9U);
  EXPECT_EQ(GetFixed<uint32_t>(bytes.data() + 32), 0x12345678U);
  const std::span all(bytes);
  const uint32_t header_checksum = Crc32c(all.first(36));
  EXPECT_EQ(GetFixed<uint32_t>(bytes.data() + 36), header_checksum);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data() + 40), 4), "RGRP");
  EXPECT_EQ(GetFixed<uint32_t>(bytes.data() + 44), Crc32c(all.subspan(48), header_checksum));
  EXPECT_EQ(GetFixed<uint64_t>(bytes.data() + 48), 5U);
  EXPECT_EQ(GetFixed<uint64_t>(bytes.data() + 56), 0U);
  EXPECT_EQ(GetFixed<uint64_t>(bytes.data() + 64), 0U);
  const uint8_t change[] = {3, 0xac, 0x02, 2, 7};
  for (size_t i = 0; i < sizeof(change); ++i) {
    EXPECT_EQ(static_cast<uint8_t>(bytes[72 + i]), change[i]);
  }
}

TEST(RegionLogTest, TornAtEveryByteIsReplayedUpToTheLastWholeGroup) {
  for (const size_t unsynced : {1U, 3U}) {
    const Written written = WriteGroups(unsynced);
    for (size_t bytes = 0; bytes <= written.log.size(); ++bytes) {
      const std::span<const std::byte> log = std::span(written.log).first(bytes);
      const auto replay = ReplayRegionLog(log, kLabel, EmptyRegion());
      if (bytes < region::kLogHeaderBytes) {
        ASSERT_FALSE(replay) << bytes;
        EXPECT_EQ(replay.error().code, ErrorCode::kCorrupt);
        continue;
      }
      ASSERT_TRUE(replay) << bytes << ": " << replay.error().message;
      const size_t groups = GroupsUpTo(written, bytes);
      EXPECT_EQ(replay->groups, groups);
      EXPECT_EQ(replay->good_bytes, written.ends[groups]);
      EXPECT_EQ(replay->bytes, bytes);
      EXPECT_EQ(StateOf(replay->region), written.states[groups]);
      EXPECT_EQ(replay->torn.empty(), bytes == written.ends[groups]) << replay->torn;
    }
  }
}

// Bytes behind the tear may be zeros or anything: a file may have its size before its contents.
TEST(RegionLogTest, GarbageBehindTheLastWholeGroupIsATornTail) {
  const Written written = WriteGroups(1);
  std::mt19937_64 random(1);
  for (size_t from = written.ends.front(); from < written.log.size(); from += 3) {
    if (GroupsUpTo(written, from) + 2 < written.ends.size()) continue;
    for (const bool zeros : {false, true}) {
      Bytes log = written.log;
      for (size_t i = from; i < log.size(); ++i) {
        log[i] = zeros ? std::byte{0} : static_cast<std::byte>(random());
      }
      const auto replay = ReplayRegionLog(log, kLabel, EmptyRegion());
      ASSERT_TRUE(replay) << replay.error().message;
      EXPECT_EQ(replay->groups, GroupsUpTo(written, from));
    }
  }
}

TEST(RegionLogTest, EveryFlippedBitIsATornTailOrDamage) {
  for (const size_t unsynced : {1U, 3U}) {
    const Written written = WriteGroups(unsynced);
    Bytes flipped = written.log;
    for (size_t bit = 0; bit < 8 * flipped.size(); ++bit) {
      flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
      const auto replay = ReplayRegionLog(flipped, kLabel, EmptyRegion());
      const size_t group = GroupsUpTo(written, bit / 8);
      // With those that were written with the last Sync it may have been a crash.
      const bool may_be_torn = bit / 8 >= region::kLogHeaderBytes && group + unsynced >= 5;
      ASSERT_EQ(replay.has_value(), may_be_torn) << "bit " << bit;
      if (replay) {
        EXPECT_EQ(replay->groups, group);
        EXPECT_FALSE(replay->torn.empty());
        EXPECT_EQ(StateOf(replay->region), written.states[group]);
      } else {
        EXPECT_FALSE(replay.error().message.empty());
      }
      flipped[bit / 8] = written.log[bit / 8];
    }
  }
}

TEST(RegionLogTest, LogOfAnotherSnapshotIsRefused) {
  const Written written = WriteGroups(1);
  for (const RegionLogLabel& label :
       {RegionLogLabel{{6, 9}, 0x12345678}, RegionLogLabel{{5, 8}, 0x12345678},
        RegionLogLabel{{5, 10}, 0x12345678}, RegionLogLabel{{5, 9}, 0x12345679}}) {
    const auto replay = ReplayRegionLog(written.log, label, EmptyRegion());
    ASSERT_FALSE(replay);
    EXPECT_EQ(replay.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(replay.error().message.find("the log follows snapshot 9 of region 5"),
              std::string::npos);
  }
}

TEST(RegionLogTest, GroupsOfAnotherLogAreNotTaken) {
  SimulatedFiles files;
  RegionLogLabel other = kLabel;
  other.snapshot.epoch = 8;
  auto log = RegionLog::Create("f/other", other, 16, files);
  log->Append({.kind = Kind::kAllocate, .range = {0, 16}});
  ASSERT_TRUE(log->Sync());
  ASSERT_TRUE(RegionLog::Create(kPath, kLabel, 16, files));
  Bytes mixed = *files.Contents(kPath);
  const Bytes stale = *files.Contents("f/other");
  mixed.insert(mixed.end(), stale.begin() + region::kLogHeaderBytes, stale.end());
  const auto replay = ReplayRegionLog(mixed, kLabel, EmptyRegion());
  ASSERT_TRUE(replay);
  EXPECT_EQ(replay->groups, 0U);
}

TEST(RegionLogTest, ChangesThatTheRegionRefusesAreDamage) {
  SimulatedFiles files;
  auto log = RegionLog::Create(kPath, kLabel, 16, files);
  log->Append({.kind = Kind::kFree, .range = {16, 32}});
  ASSERT_TRUE(log->Sync());
  const auto replay = ReplayRegionLog(kPath, kLabel, EmptyRegion(), files);
  ASSERT_FALSE(replay);
  EXPECT_EQ(replay.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(replay.error().message,
            "f/log: change 0, at byte 72, of kind 2, cannot be of this region: offset 16, size 32, "
            "number 0");
}

TEST(RegionLogTest, ContinuesBehindATornTail) {
  const Written written = WriteGroups(1);
  for (size_t bytes = written.ends[3]; bytes <= written.log.size(); bytes += 5) {
    SimulatedFiles files;
    files.Put(kPath, std::span(written.log).first(bytes));
    auto replay = ReplayRegionLog(kPath, kLabel, EmptyRegion(), files);
    ASSERT_TRUE(replay);
    auto log = RegionLog::Continue(kPath, kLabel, 16, replay->good_bytes, replay->changes, files);
    ASSERT_TRUE(log) << log.error().message;
    ASSERT_EQ(files.Contents(kPath)->size(), replay->good_bytes);
    const Range range = *replay->region.Allocate(500);
    log->Append({.kind = Kind::kAllocate, .range = range});
    ASSERT_TRUE(log->Sync());
    const auto again = ReplayRegionLog(kPath, kLabel, EmptyRegion(), files);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->changes, replay->changes + 1);
    EXPECT_EQ(StateOf(again->region), StateOf(replay->region));
  }
}

TEST(RegionLogTest, OneSyncIsOneWriteAndOneSyncOfTheDisk) {
  SimulatedFiles files;
  auto log = RegionLog::Create(kPath, kLabel, 16, files);
  files.ForgetCalls();
  for (uint64_t i = 0; i < 1000; ++i) {
    log->Append({.kind = Kind::kAllocate, .range = {16 * i, 16}});
    if (i % 10 == 0) log->EndGroup();
  }
  ASSERT_TRUE(log->Sync());
  EXPECT_EQ(files.calls(), 2U);
  EXPECT_EQ(log->bytes(), files.Contents(kPath)->size());
}

}  // namespace
}  // namespace granary
