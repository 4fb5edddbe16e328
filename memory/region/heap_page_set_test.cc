#include "memory/region/heap_page_set.h"

#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/random_seed.h"

namespace granary::region {
namespace {

// Sizes about those where a level is added.
class HeapPageSetTest : public testing::TestWithParam<uint32_t> {};

TEST_P(HeapPageSetTest, KnowsItsLowestAndItsHighest) {
  const uint32_t size = GetParam();
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed + size);
  std::vector<uint64_t> words(HeapPageSet::WordsFor(size));
  HeapPageSet set(words.data(), size);
  std::set<uint32_t> model;
  for (int i = 0; i < 20'000; ++i) {
    // Now few, now many.
    const bool inserts = random() % 8 < (i / 2000 % 2 == 0 ? 6u : 2u);
    const auto number = static_cast<uint32_t>(random() % size);
    if (inserts) {
      set.Insert(number);
      model.insert(number);
    } else if (!model.empty() && random() % 2 == 0) {
      const uint32_t lowest = *model.begin();
      set.Erase(lowest);
      model.erase(lowest);
    } else {
      set.Erase(number);
      model.erase(number);
    }
    ASSERT_EQ(set.Has(number), model.contains(number));
    ASSERT_EQ(set.Lowest(), model.empty() ? HeapPageSet::kNone : *model.begin());
    const auto limit = static_cast<uint32_t>(random() % 4 == 0 ? size - 1 : random() % size);
    const auto above = model.upper_bound(limit);
    ASSERT_EQ(set.HighestUpTo(limit),
              above == model.begin() ? HeapPageSet::kNone : *std::prev(above));
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, HeapPageSetTest,
                         testing::Values(1, 2, 63, 64, 65, 4095, 4096, 4097, 262'144, 262'145,
                                         20'000'000),
                         testing::PrintToStringParamName());

TEST(HeapPageSetTest, HasRoomForAsManyPagesAsAHeapMayHave) {
  // 2^26 bits, and a 64th for each level above.
  EXPECT_EQ(HeapPageSet::WordsFor(uint64_t{1} << 26), (1u << 20) + (1u << 14) + (1u << 8) + 4 + 1);
}

}  // namespace
}  // namespace granary::region
