// What a RegionAllocator does, much of it as the tests of other systems say; these are named where
// their numbers are used.
#include "memory/region/region_allocator.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "memory/testing/failing_calls.h"
#include "nlohmann/json.hpp"

namespace granary {

void PrintTo(const Range& range, std::ostream* out) {
  *out << "[" << range.offset << ", +" << range.size << ")";
}
void PrintTo(FreeStatus status, std::ostream* out) { *out << FreeStatusName(status); }

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Grow = RegionAllocator::Grow;

RegionAllocator Region(uint64_t size, const RegionOptions& options = {}) {
  return RegionAllocator::Create(size, options).value();
}

// A region in which nothing is free yet.
RegionAllocator UsedRegion(uint64_t size, const RegionOptions& options = {}) {
  RegionAllocator region = Region(size, options);
  EXPECT_TRUE(region.Reserve({0, size}));
  return region;
}

std::vector<Range> FreeRanges(const RegionAllocator& region) {
  std::vector<Range> ranges;
  region.ForEachFree([&](Range range) { ranges.push_back(range); });
  return ranges;
}

void ExpectValid(const RegionAllocator& region) {
  const auto valid = region.Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

TEST(RegionAllocatorTest, WhatIsPendingIsNeitherFreedNorResizedAgain) {
  for (const bool track_used : {false, true}) {
    RegionAllocator region = Region(160, {.track_used = track_used});
    const Range range = *region.Allocate(64);
    ASSERT_EQ(region.FreeDeferred(range, 1), FreeStatus::kOk);
    EXPECT_EQ(region.Free(range), FreeStatus::kNotAllocated);
    EXPECT_EQ(region.Free({48, 16}), FreeStatus::kNotAllocated);
    EXPECT_EQ(region.FreeDeferred(range, 2), FreeStatus::kNotAllocated);
    std::vector<Range> many = {range};
    EXPECT_EQ(region.FreeMany(many), FreeStatus::kNotAllocated);
    EXPECT_FALSE(region.Resize(range, 32));
    EXPECT_EQ(region.ReleaseUpTo(2), 64U);
    EXPECT_THAT(FreeRanges(region), ElementsAre(Range{0, 160}));
    ExpectValid(region);
  }
}

TEST(RegionAllocatorTest, ResizeOfWhatIsNotLiveIsRefused) {
  RegionAllocator region = Region(160);
  const Range range = *region.Allocate(64);
  EXPECT_FALSE(region.Resize({64, 32}, 32));
  EXPECT_FALSE(region.Resize({64, 32}, 16));
  // Its begin is free, and its end is not.
  ASSERT_EQ(region.Free({0, 16}), FreeStatus::kOk);
  EXPECT_FALSE(region.Resize(range, 32));
  EXPECT_FALSE(region.Resize(range, 64));
  EXPECT_EQ(region.Stats().used_bytes, 48U);

  RegionAllocator tracked = Region(160, {.track_used = true});
  ASSERT_TRUE(tracked.Allocate(64));
  for (const uint64_t bytes : {16U, 32U, 48U}) EXPECT_FALSE(tracked.Resize({16, 32}, bytes));
  EXPECT_EQ(tracked.Stats().used_bytes, 64U);
}

TEST(RegionAllocatorTest, FitHighestRefusesWhatFitsNowhere) {
  for (uint64_t ranges = 0; ranges < 20; ++ranges) {
    RegionAllocator region = UsedRegion(1024, {.grain = 1});
    for (uint64_t i = 0; i < ranges; ++i) {
      ASSERT_EQ(region.Free({i * 32, 8 + i % 3}), FreeStatus::kOk);
    }
    EXPECT_FALSE(region.Allocate(11, 1, Fit::kHighest));
    EXPECT_EQ(FreeRanges(region).size(), ranges);
    ExpectValid(region);
  }
}

TEST(RegionAllocatorTest, EveryGrainMayBePendingOnItsOwn) {
  RegionAllocator region = UsedRegion(100, {.grain = 1});
  for (uint64_t i = 0; i < 100; ++i) ASSERT_EQ(region.FreeDeferred({i, 1}, i), FreeStatus::kOk);
  EXPECT_EQ(region.ReleaseUpTo(49), 50U);
  EXPECT_THAT(FreeRanges(region), ElementsAre(Range{0, 50}));
  EXPECT_EQ(region.ReleaseUpTo(99), 50U);
  EXPECT_THAT(FreeRanges(region), ElementsAre(Range{0, 100}));
}

TEST(RegionAllocatorTest, FreeManyFreesEveryGrainAtOnce) {
  for (const bool track_used : {false, true}) {
    RegionAllocator region = UsedRegion(100, {.grain = 1, .track_used = track_used});
    std::vector<Range> ranges;
    for (uint64_t i = 0; i < 100; ++i) ranges.push_back({99 - i, 1});
    EXPECT_EQ(region.FreeMany(ranges), FreeStatus::kOk);
    EXPECT_THAT(FreeRanges(region), ElementsAre(Range{0, 100}));
  }
}

TEST(RegionAllocatorTest, BadDeferredFreesAreNamedSoWhereMaxRangesAreThere) {
  for (const bool track_used : {false, true}) {
    RegionAllocator region =
        UsedRegion(100, {.grain = 1, .track_used = track_used, .max_ranges = 3});
    ASSERT_EQ(region.FreeDeferred({10, 10}, 1), FreeStatus::kOk);
    if (!track_used) {
      ASSERT_EQ(region.FreeDeferred({30, 10}, 1), FreeStatus::kOk);
      ASSERT_EQ(region.FreeDeferred({50, 10}, 1), FreeStatus::kOk);
    }
    EXPECT_EQ(region.FreeDeferred({70, 10}, 2), FreeStatus::kTooManyRanges);
    EXPECT_EQ(region.FreeDeferred({10, 10}, 2), FreeStatus::kNotAllocated);
    EXPECT_EQ(region.FreeDeferred({101, 1}, 2), FreeStatus::kOutOfRange);
  }
}

}  // namespace
}  // namespace granary
