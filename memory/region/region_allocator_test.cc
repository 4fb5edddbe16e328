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

}  // namespace
}  // namespace granary
