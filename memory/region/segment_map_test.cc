#include "memory/region/segment_map.h"

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/random_seed.h"

namespace granary::region {
namespace {

TEST(SegmentMapTest, SegmentsDoubleAsTheSpaceGrows) {
  SegmentMap map(16);
  map.Add({0, 16});
  EXPECT_EQ(map.segment_bytes(), 16u);
  map.Add({16 * 63, 16});
  EXPECT_EQ(map.segment_bytes(), 16u);
  map.Add({16 * 64, 16});
  EXPECT_EQ(map.segment_bytes(), 32u);
  map.Add({uint64_t{1} << 62, 16});
  EXPECT_EQ(map.segment_bytes(), uint64_t{1} << 57);
  map.Reset();
  EXPECT_EQ(map.segment_bytes(), 16u);
}

TEST(SegmentMapTest, FindsTheEighthWithTheMostFreeBytes) {
  SegmentMap map(1);
  map.Add({0, 64});
  EXPECT_EQ(map.EmptiestWindow(64), std::nullopt);
  EXPECT_EQ(map.FullUpTo(64), 64u);
  map.Remove({3, 2});
  map.Remove({40, 5});
  EXPECT_EQ(map.FullUpTo(64), 3u);
  const auto emptiest = map.EmptiestWindow(64);
  ASSERT_TRUE(emptiest);
  EXPECT_EQ(emptiest->size, 8u);
  EXPECT_LE(emptiest->offset, 40u);
  EXPECT_GE(emptiest->end(), 45u);
  map.MarkSlid(*emptiest);
  const auto next = map.EmptiestWindow(64);
  ASSERT_TRUE(next);
  EXPECT_LE(next->offset, 3u);
  map.MarkSlid(*next);
  EXPECT_EQ(map.EmptiestWindow(64), std::nullopt);
  map.Remove({41 + 8, 1});
  EXPECT_TRUE(map.EmptiestWindow(64));
  map.ForgetSlid();
  EXPECT_EQ(map.EmptiestWindow(64), emptiest);
}

TEST(SegmentMapTest, FreeBytesAreThoseOfEachSegment) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  SegmentMap map(4);
  // In units of four bytes.
  std::vector<bool> used(4096);
  uint64_t units = 0;
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t limit = step < 5000 ? 100 : used.size();
    const uint64_t begin = random() % limit;
    const bool is_used = used[begin];
    uint64_t end = begin;
    while (end < limit && used[end] == is_used && end - begin < 50) used[end++] = !is_used;
    units = std::max(units, end);
    const Range range = {begin * 4, (end - begin) * 4};
    is_used ? map.Remove(range) : map.Add(range);
    if (step % 100 != 0) continue;
    // The emptiest window has at least the mean; nothing is free below FullUpTo.
    const uint64_t full = map.FullUpTo(units * 4);
    for (uint64_t i = 0; i < full / 4; ++i) ASSERT_TRUE(used[i]);
    uint64_t free = 0;
    for (uint64_t i = 0; i < units; ++i) free += !used[i];
    const auto window = map.EmptiestWindow(units * 4);
    ASSERT_EQ(window.has_value(), free != 0);
    if (!window) continue;
    uint64_t in_window = 0;
    for (uint64_t i = window->offset / 4; i < std::min(units, window->end() / 4); ++i) {
      in_window += !used[i];
    }
    const uint64_t segments = (units * 4 + map.segment_bytes() - 1) / map.segment_bytes();
    ASSERT_GE(in_window * segments, free * (window->size / map.segment_bytes()));
  }
}

}  // namespace
}  // namespace granary::region
