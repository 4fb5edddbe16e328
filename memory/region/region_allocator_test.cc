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

// --- Bitcoin's Arena: 1 MiB, placed at the tail
// ---------------------------------------------------

TEST(RegionAllocatorTest, FitHighestPlacesAtTheTail) {
  RegionAllocator arena = Region(1 << 20, {.fit = Fit::kHighest, .track_used = true});
  EXPECT_FALSE(arena.Allocate(0));
  const Range first = arena.Allocate(1000).value();
  EXPECT_EQ(first, (Range{1047568, 1008}));
  EXPECT_EQ(arena.Stats().used_bytes, 1008U);
  EXPECT_EQ(arena.Stats().free_bytes, 1047568U);
  EXPECT_EQ(arena.Stats().live_ranges, 1U);
  EXPECT_EQ(arena.Stats().free_ranges, 1U);
  EXPECT_EQ(arena.Free(first), FreeStatus::kOk);
  EXPECT_EQ(arena.Stats().free_bytes, 1048576U);
  EXPECT_EQ(arena.Free(first), FreeStatus::kOverlapsFree);
  EXPECT_EQ(arena.FreeAt(first.offset), FreeStatus::kNotAllocated);
}

TEST(RegionAllocatorTest, FreeNeighboursBecomeOneAndServeAgain) {
  RegionAllocator arena = Region(1 << 20, {.fit = Fit::kHighest, .track_used = true});
  const auto expect = [&](uint64_t used, uint64_t free_ranges) {
    EXPECT_EQ(arena.Stats().used_bytes, used);
    EXPECT_EQ(arena.Stats().free_ranges, free_ranges);
  };
  const Range a0 = arena.Allocate(128).value();
  const Range a1 = arena.Allocate(256).value();
  const Range a2 = arena.Allocate(512).value();
  EXPECT_EQ(a0.offset, 1048448U);
  EXPECT_EQ(a1.offset, 1048192U);
  EXPECT_EQ(a2.offset, 1047680U);
  expect(896, 1);
  EXPECT_EQ(arena.Free(a0), FreeStatus::kOk);
  expect(768, 2);
  EXPECT_EQ(arena.Free(a1), FreeStatus::kOk);
  expect(512, 2);
  const Range a3 = arena.Allocate(128).value();
  EXPECT_EQ(a3.offset, 1048448U);
  expect(640, 2);
  EXPECT_EQ(arena.Free(a2), FreeStatus::kOk);
  expect(128, 1);
  EXPECT_EQ(arena.Free(a3), FreeStatus::kOk);
  expect(0, 1);
}

// --- MemoryRegion -------------------------------------------------------------------------------

TEST(RegionAllocatorTest, WhatIsFreedIsTakenAgainFirst) {
  RegionAllocator region = Region(4, {.grain = 1});
  const Range blob = region.Allocate(4).value();
  EXPECT_EQ(region.Free(blob), FreeStatus::kOk);
  EXPECT_THAT(FreeRanges(region), ElementsAre(blob));
  EXPECT_EQ(*region.Allocate(4), blob);
  EXPECT_THAT(FreeRanges(region), IsEmpty());
  for (int i = 0; i < 10'000; ++i) EXPECT_FALSE(region.Allocate(0));
  EXPECT_EQ(region.Stats().failures, 0U);
}

TEST(RegionAllocatorTest, SmallAllocationsAreConsecutiveAndBecomeOneRangeAgain) {
  RegionAllocator region = Region(65536, {.grain = 1});
  std::vector<Range> ranges;
  uint64_t sum = 0;
  for (uint64_t i = 0; i < 10'000; ++i) {
    ranges.push_back(region.Allocate(1 + i % 3).value());
    EXPECT_EQ(ranges.back().offset, sum);
    sum += ranges.back().size;
  }
  ASSERT_TRUE(region.Truncate(sum));
  EXPECT_THAT(FreeRanges(region), IsEmpty());
  std::vector<Range> freed;
  for (size_t i = 0; i < ranges.size(); i += 2) {
    EXPECT_EQ(region.Free(ranges[i]), FreeStatus::kOk);
    freed.push_back(ranges[i]);
  }
  EXPECT_EQ(FreeRanges(region), freed);
  EXPECT_EQ(region.Stats().largest_free_bytes, 3U);
  ExpectValid(region);
  for (size_t i = 1; i < ranges.size(); i += 2) EXPECT_EQ(region.Free(ranges[i]), FreeStatus::kOk);
  EXPECT_THAT(FreeRanges(region), ElementsAre(Range{0, sum}));
}

TEST(RegionAllocatorTest, PartsOfOneAllocationAreFreedOnTheirOwn) {
  for (const bool track_used : {false, true}) {
    RegionAllocator region = Region(1000, {.grain = 1, .track_used = track_used});
    ASSERT_TRUE(region.Allocate(1000));
    std::vector<Range> parts = {{300, 70}, {100, 35}, {200, 50}};
    EXPECT_EQ(region.FreeMany(parts), FreeStatus::kOk);
    EXPECT_EQ(region.Stats().used_bytes, 845U);
    EXPECT_EQ(region.Stats().free_bytes, 155U);
    EXPECT_THAT(FreeRanges(region), ElementsAre(Range{100, 35}, Range{200, 50}, Range{300, 70}));
    EXPECT_EQ(region.Free({990, 11}), FreeStatus::kOutOfRange);
    EXPECT_EQ(region.Free({200, 50}), FreeStatus::kOverlapsFree);
    EXPECT_EQ(region.Free({210, 1}), FreeStatus::kOverlapsFree);
    EXPECT_EQ(region.Free({134, 10}), FreeStatus::kOverlapsFree);
    EXPECT_EQ(region.Stats().live_ranges, track_used ? 4U : 0U);
    ExpectValid(region);
  }
}

TEST(RegionAllocatorTest, ResizeToTheSameSizeChangesNothing) {
  RegionAllocator region = Region(1024);
  const Range range = region.Allocate(100).value();
  const RegionStats before = region.Stats();
  EXPECT_EQ(*region.Resize(range, 100), range);
  EXPECT_EQ(*region.Resize(range, 112, Grow::kBackward), range);
  EXPECT_EQ(region.Stats(), before);
}

TEST(RegionAllocatorTest, FreeAndUsedPartsOfAWindowComplementEachOther) {
  RegionAllocator region = UsedRegion(100, {.grain = 1});
  for (uint64_t i = 0; i < 100; i += 10) ASSERT_EQ(region.Free({i, 4}), FreeStatus::kOk);
  for (uint64_t begin = 0; begin <= 100; ++begin) {
    for (uint64_t end = begin; end <= 110; ++end) {
      std::vector<Range> parts;
      const auto add = [&](Range range) { parts.push_back(range); };
      region.ForEachFree({begin, end - begin}, add);
      const size_t free_count = parts.size();
      region.ForEachUsed({begin, end - begin}, add);
      for (size_t i = 0; i < parts.size(); ++i) {
        for (uint64_t at = parts[i].offset; at < parts[i].end(); ++at) {
          ASSERT_EQ(at % 10 < 4, i < free_count);
        }
      }
      std::sort(parts.begin(), parts.end(), [](Range a, Range b) { return a.offset < b.offset; });
      uint64_t at = begin;
      for (const Range& part : parts) {
        ASSERT_EQ(part.offset, at);
        at = part.end();
      }
      ASSERT_EQ(at, std::max(begin, std::min<uint64_t>(end, 100)));
    }
  }
}

// --- WiredTiger, bbolt, Boost.Interprocess, tlsf-bsd
// ----------------------------------------------

TEST(RegionAllocatorTest, AFreeRangeJoinsItsNeighboursOnBothSides) {
  RegionAllocator region = UsedRegion(32768, {.grain = 64});
  for (const uint64_t offset : {12288U, 4096U, 20480U}) {
    ASSERT_EQ(region.Free({offset, 4096}), FreeStatus::kOk);
  }
  EXPECT_THAT(FreeRanges(region),
              ElementsAre(Range{4096, 4096}, Range{12288, 4096}, Range{20480, 4096}));
  ASSERT_EQ(region.Free({4032, 64}), FreeStatus::kOk);
  EXPECT_EQ(FreeRanges(region).front(), (Range{4032, 4160}));
  ASSERT_EQ(region.Free({8192, 64}), FreeStatus::kOk);
  EXPECT_EQ(FreeRanges(region).front(), (Range{4032, 4224}));
  ASSERT_EQ(region.Free({8256, 4032}), FreeStatus::kOk);
  EXPECT_THAT(FreeRanges(region), ElementsAre(Range{4032, 12352}, Range{20480, 4096}));
  ASSERT_EQ(region.Free({24576, 64}), FreeStatus::kOk);
  EXPECT_THAT(FreeRanges(region), ElementsAre(Range{4032, 12352}, Range{20480, 4160}));
}

TEST(RegionAllocatorTest, ExtendAddsFreeBytesAtTheEndAndRefusesTooMany) {
  RegionAllocator file = UsedRegion(4096, {.grain = 1024});
  ASSERT_TRUE(file.Extend(4096 + 2048));
  EXPECT_EQ(file.Allocate(2048)->offset, 4096U);
  ASSERT_TRUE(file.Extend(6144 + 2048));
  EXPECT_EQ(file.Allocate(2048)->offset, 6144U);
  const uint64_t too_large = RegionAllocator::kSizeMax + 1024;
  EXPECT_EQ(file.Extend(too_large).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(file.Extend(8192 + 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(file.Extend(4096).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(file.size_bytes(), 8192U);
}

TEST(RegionAllocatorTest, ReserveWithinAFreeRangeLeavesBothSides) {
  RegionAllocator region = Region(1024);
  EXPECT_TRUE(region.Reserve({256, 100}));
  EXPECT_THAT(FreeRanges(region), ElementsAre(Range{0, 256}, Range{368, 656}));
  EXPECT_FALSE(region.Reserve({352, 32}));
  EXPECT_FALSE(region.Reserve({240, 32}));
  EXPECT_FALSE(region.Reserve({264, 16}));
  EXPECT_FALSE(region.Reserve({0, 0}));
  EXPECT_FALSE(region.Reserve({1008, 32}));
}

TEST(RegionAllocatorTest, PagesComeFromTheSmallestRunThatHoldsThem) {
  // bbolt's free pages 3 to 7, 9, 12, 13 and 18.
  RegionAllocator pages = UsedRegion(32, {.grain = 1, .lowest_among_equals = true});
  for (const Range run : {Range{3, 5}, Range{9, 1}, Range{12, 2}, Range{18, 1}}) {
    ASSERT_EQ(pages.Free(run), FreeStatus::kOk);
  }
  const auto next = [&](uint64_t count) {
    const auto range = pages.Allocate(count);
    return range ? std::optional(range->offset) : std::nullopt;
  };
  EXPECT_EQ(next(3), 3U);
  EXPECT_EQ(next(1), 9U);
  EXPECT_EQ(next(3), std::nullopt);
  EXPECT_EQ(next(2), 6U);
  EXPECT_EQ(next(1), 18U);
  EXPECT_EQ(next(1), 12U);
  EXPECT_EQ(next(1), 13U);
  EXPECT_THAT(FreeRanges(pages), IsEmpty());
}

TEST(RegionAllocatorTest, PagesMergeWithTheRunsBesideThem) {
  // bbolt's mergeWithExist: pages that are free, a run that becomes free, and what is free then.
  struct Case {
    std::vector<Range> before;
    Range freed;
    std::vector<Range> after;
  };
  const Case cases[] = {
      {{{1, 2}, {4, 3}}, {3, 1}, {{1, 6}}}, {{{1, 2}, {5, 2}}, {3, 1}, {{1, 3}, {5, 2}}},
      {{{1, 2}}, {3, 1}, {{1, 3}}},         {{{2, 2}}, {1, 1}, {{1, 3}}},
      {{{1, 2}, {6, 1}}, {3, 3}, {{1, 6}}}, {{{1, 2}, {6, 1}}, {3, 2}, {{1, 4}, {6, 1}}}};
  for (const auto& [before, freed, after] : cases) {
    RegionAllocator pages = UsedRegion(16, {.grain = 1});
    std::vector<Range> first = before;
    ASSERT_EQ(pages.FreeMany(first), FreeStatus::kOk);
    ASSERT_EQ(pages.Free(freed), FreeStatus::kOk);
    EXPECT_EQ(FreeRanges(pages), after);
  }
}

TEST(RegionAllocatorTest, AFullRegionFreedInAnyOrderIsOneRangeAgain) {
  // Boost.Interprocess: i = 0, 1, 2... until full; direct, inverse and mixed.
  for (const uint64_t grain : {8U, 16U, 32U, 64U}) {
    for (int order = 0; order < 3; ++order) {
      RegionAllocator region = Region(16384, {.grain = grain, .track_used = true});
      std::vector<Range> ranges;
      for (uint64_t i = 1;; ++i) {
        const auto range = region.Allocate(i);
        if (!range) break;
        ranges.push_back(*range);
      }
      // Each gives up half of it, and takes it again.
      for (Range& range : ranges) {
        const Range half = region.Resize(range, (range.size + 1) / 2).value();
        EXPECT_EQ(*region.Resize(half, range.size), range);
      }
      while (!ranges.empty()) {
        const size_t j = ranges.size();
        const size_t at = order == 0 ? 0 : order == 1 ? j - 1 : (j % 4) * j / 4;
        EXPECT_EQ(region.FreeAt(ranges[at].offset), FreeStatus::kOk);
        ranges.erase(ranges.begin() + static_cast<std::ptrdiff_t>(at));
      }
      EXPECT_THAT(FreeRanges(region), ElementsAre(Range{0, 16384}));
      ExpectValid(region);
    }
  }
}

TEST(RegionAllocatorTest, ALastRangeGrowsBackwardsToTheWholeRegion) {
  RegionAllocator region = Region(16384);
  std::vector<Range> ranges;
  while (const auto range = region.Allocate(1000)) ranges.push_back(*range);
  Range last = ranges.back();
  ranges.pop_back();
  EXPECT_EQ(region.FreeMany(ranges), FreeStatus::kOk);
  last = region.Resize(last, last.end(), Grow::kBackward).value();
  EXPECT_EQ(*region.Resize(last, 16384), (Range{0, 16384}));
  EXPECT_THAT(FreeRanges(region), IsEmpty());
}

TEST(RegionAllocatorTest, EveryPowerOfTwoIsAnAlignmentAndNothingElse) {
  RegionAllocator region = Region(uint64_t{3} << 40, {.grain = 24 * 1024});
  for (const uint64_t alignment : {0U, 3U, 5U, 6U}) EXPECT_FALSE(region.Allocate(1, alignment));
  ASSERT_TRUE(region.Reserve({0, 1}));
  for (int log2 = 0; log2 < 40; ++log2) {
    const auto range = region.Allocate(1, uint64_t{1} << log2);
    if (!range) {
      EXPECT_FALSE(region.CanAllocate(1, uint64_t{1} << log2));
      continue;
    }
    EXPECT_EQ(range->offset % (uint64_t{1} << log2), 0U);
  }
  EXPECT_TRUE(Region(1 << 20).CanAllocate(1 << 20, uint64_t{1} << 63));
}

TEST(RegionAllocatorTest, RoundingUpTakesLessThanAGrain) {
  for (const uint64_t bytes : {257U, 400U, 511U, 513U, 800U, 100000U}) {
    RegionAllocator region = Region(1 << 20);
    EXPECT_LT(region.Allocate(bytes)->size - bytes, 16U);
  }
}

// --- Generated patterns: the highest end that a range ever had
// -------------------------------------

TEST(RegionAllocatorTest, BinaryPatternsTakeWhatEveryFitTakes) {
  const auto high_water = [](uint64_t count, uint64_t small, uint64_t large) {
    RegionAllocator region = Region(uint64_t{1} << 30);
    std::vector<Range> freed;
    for (uint64_t i = 0; i < count; ++i) {
      (void)region.Allocate(small).value();
      freed.push_back(region.Allocate(large).value());
    }
    EXPECT_EQ(region.FreeMany(freed), FreeStatus::kOk);
    for (uint64_t i = 0; i < count; ++i) (void)region.Allocate(small + large).value();
    return region.Stats().high_water_bytes;
  };
  EXPECT_EQ(high_water(1000, 64, 448), 1'023'552U);
  EXPECT_EQ(high_water(1200, 16, 112), 307'088U);
}

TEST(RegionAllocatorTest, CoalescingPatternStaysInTwoRanges) {
  RegionAllocator region = Region(uint64_t{1} << 20);
  for (int i = 0; i < 1000; ++i) {
    std::vector<Range> halves = {region.Allocate(4095).value(), region.Allocate(4095).value()};
    EXPECT_EQ(region.FreeMany(halves), FreeStatus::kOk);
    EXPECT_EQ(region.Stats().free_ranges, 1U);
    EXPECT_EQ(region.Free(region.Allocate(8190).value()), FreeStatus::kOk);
  }
  EXPECT_EQ(region.Stats().high_water_bytes, 8192U);
}

TEST(RegionAllocatorTest, ReallocPatternGrowsOverWhatItFreed) {
  constexpr uint64_t kSteps = 4799;
  RegionAllocator region = Region(uint64_t{1} << 30);
  Range large = region.Allocate(512).value();
  Range small = region.Allocate(128).value();
  for (uint64_t i = 0; i < kSteps; ++i) {
    const uint64_t wanted = large.size + 128;
    if (const auto grown = region.Resize(large, wanted)) {
      large = *grown;
    } else {
      const Range moved = region.Allocate(wanted).value();
      EXPECT_EQ(region.Free(large), FreeStatus::kOk);
      large = moved;
    }
    const Range next = region.Allocate(128).value();
    EXPECT_EQ(region.Free(small), FreeStatus::kOk);
    small = next;
  }
  EXPECT_EQ(region.Stats().high_water_bytes, 128 * kSteps + 1152);
}

// --- Options, moves, widths, refusals -----------------------------------------------------------

TEST(RegionAllocatorTest, OptionsThatMakeNoSenseAreRefused) {
  const auto code = [](uint64_t size, const RegionOptions& options) {
    const auto region = RegionAllocator::Create(size, options);
    EXPECT_FALSE(region);
    return region ? ErrorCode::kIo : region.error().code;
  };
  EXPECT_EQ(code(1024, {.grain = 0}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(1000, {.grain = 16}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(RegionAllocator::kSizeMax + 1, {.grain = 1}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(1024, {.max_ranges = 0}), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(RegionAllocator::Create(RegionAllocator::kSizeMax, {.grain = 1}));
  EXPECT_TRUE(RegionAllocator::Create(0));
}

TEST(RegionAllocatorTest, MovesTakeEverythingAlong) {
  RegionAllocator region = Region(1024);
  const Range range = region.Allocate(100).value();
  RegionAllocator moved = std::move(region);
  RegionAllocator assigned = Region(16);
  assigned = std::move(moved);
  EXPECT_EQ(assigned.size_bytes(), 1024U);
  EXPECT_EQ(assigned.Free(range), FreeStatus::kOk);
  EXPECT_THAT(FreeRanges(assigned), ElementsAre(Range{0, 1024}));
}

constexpr uint64_t kCompactMax = UINT32_MAX;

// A region with ranges of every state, of the largest size that compact records allow.
RegionAllocator Mixed(bool track_used, SystemCalls& calls = SystemCalls::Real()) {
  RegionAllocator region =
      RegionAllocator::Create(kCompactMax, {.grain = 1, .track_used = track_used}, calls).value();
  std::vector<Range> ranges;
  for (uint64_t i = 0; i < 300; ++i) ranges.push_back(region.Allocate(1 + i).value());
  for (size_t i = 0; i < 300; i += 3) EXPECT_EQ(region.Free(ranges[i]), FreeStatus::kOk);
  for (size_t i = 1; i < 300; i += 30) {
    EXPECT_EQ(region.FreeDeferred(ranges[i], (uint64_t{i} << 32) + i), FreeStatus::kOk);
  }
  return region;
}

TEST(RegionAllocatorTest, ExtendToWideRecordsKeepsEveryRange) {
  for (const bool track_used : {false, true}) {
    RegionAllocator region = Mixed(track_used);
    RegionStats expected = region.Stats();
    std::vector<Range> free = FreeRanges(region);
    ASSERT_TRUE(region.Extend(uint64_t{1} << 40));
    expected.size_bytes = uint64_t{1} << 40;
    expected.free_bytes += expected.size_bytes - kCompactMax;
    expected.largest_free_bytes += expected.size_bytes - kCompactMax;
    free.back().size += expected.size_bytes - kCompactMax;
    EXPECT_EQ(region.Stats(), expected);
    EXPECT_EQ(FreeRanges(region), free);
    ExpectValid(region);
    EXPECT_EQ(region.ReleaseUpTo((uint64_t{31} << 32) + 30), 2U);
    EXPECT_EQ(region.ReleaseUpTo(UINT64_MAX), expected.pending_bytes - 2);
    EXPECT_EQ(region.Allocate(uint64_t{1} << 39)->offset, free.back().offset);
    ExpectValid(region);
  }
}

TEST(RegionAllocatorTest, ARefusedMappingLeavesEverythingAsItWas) {
  FailingCalls calls;
  calls.RefuseCall(1, ENOMEM);
  const auto refused = RegionAllocator::Create(1024, {}, calls);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(refused.error().system_errno, ENOMEM);
  EXPECT_EQ(calls.mapped_bytes(), 0);
  {
    RegionAllocator region = Mixed(true, calls);
    const RegionStats before = region.Stats();
    calls.RefuseCall(1, ENOMEM);
    EXPECT_EQ(region.Extend(uint64_t{1} << 40).error().code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(region.Stats(), before);
    ExpectValid(region);
    EXPECT_TRUE(region.Extend(uint64_t{1} << 40));
    ExpectValid(region);

    RegionAllocator small = RegionAllocator::Create(1024, {}, calls).value();
    calls.RefuseCall(1, ENOMEM);
    EXPECT_EQ(small.Extend(1 << 20).error().code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(small.size_bytes(), 1024U);
    EXPECT_TRUE(small.Extend(1 << 20));
  }
  EXPECT_EQ(calls.mapped_bytes(), 0);
}

TEST(RegionAllocatorTest, FreeManyWithABadRangeChangesNothing) {
  RegionAllocator region = Region(1024, {.track_used = true});
  const Range a = region.Allocate(64).value();
  const Range b = region.Allocate(64).value();
  const RegionStats before = region.Stats();
  const auto status = [&](std::vector<Range> ranges) { return region.FreeMany(ranges); };
  EXPECT_EQ(status({a, {1024, 16}}), FreeStatus::kOutOfRange);
  EXPECT_EQ(status({b, {8, 16}}), FreeStatus::kMisaligned);
  EXPECT_EQ(status({a, b, {112, 16}}), FreeStatus::kOverlapsFree);
  EXPECT_EQ(status({a, {512, 16}}), FreeStatus::kOverlapsFree);
  EXPECT_EQ(status({{32, 64}}), FreeStatus::kNotAllocated);
  EXPECT_EQ(status({}), FreeStatus::kOk);
  EXPECT_EQ(region.Stats(), before);
  EXPECT_EQ(status({b, a}), FreeStatus::kOk);
  EXPECT_EQ(region.Stats().used_bytes, 0U);
}

TEST(RegionAllocatorTest, AllocateManyIsAllOrNothing) {
  RegionAllocator region = Region(1024);
  const std::vector<uint64_t> sizes = {16, 512, 400};
  std::vector<Range> out(3);
  ASSERT_TRUE(region.AllocateMany(sizes, out));
  EXPECT_THAT(out, ElementsAre(Range{912, 16}, Range{0, 512}, Range{512, 400}));
  EXPECT_FALSE(region.AllocateMany(std::vector<uint64_t>{32, 64, 16}, out));
  EXPECT_THAT(FreeRanges(region), ElementsAre(Range{928, 96}));
}

TEST(RegionAllocatorTest, DumpJsonSaysWhatThereIs) {
  RegionAllocator region = Region(1024);
  ASSERT_TRUE(region.Reserve({256, 256}));
  ASSERT_EQ(region.FreeDeferred({256, 32}, 1), FreeStatus::kOk);
  std::ostringstream text;
  region.DumpJson(text);
  const auto json = nlohmann::json::parse(text.str());
  EXPECT_EQ(json["size"], 1024);
  EXPECT_EQ(json["grain"], 16);
  EXPECT_EQ(json["used"], 224);
  EXPECT_EQ(json["pending"], 32);
  EXPECT_EQ(json["free"], (nlohmann::json{{0, 256}, {512, 512}}));
}

}  // namespace
}  // namespace granary
