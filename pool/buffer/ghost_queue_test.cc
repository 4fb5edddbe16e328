#include "pool/buffer/ghost_queue.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <random>
#include <set>

#include "gtest/gtest.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

GhostQueue MakeGhosts(size_t ghosts_max) {
  GhostQueue ghosts;
  EXPECT_TRUE(ghosts.Reserve(ghosts_max, nullptr));
  ghosts.SetLimit(static_cast<uint32_t>(ghosts_max));
  return ghosts;
}

TEST(GhostQueueTest, TellsHowManyDeparturesAgoAPageLeft) {
  GhostQueue ghosts = MakeGhosts(3);
  EXPECT_EQ(ghosts.Take(1), 0U);
  for (uint32_t page = 1; page <= 4; ++page) ghosts.Push(page);
  EXPECT_EQ(ghosts.Take(1), 0U);
  EXPECT_EQ(ghosts.Take(2), 3U);
  EXPECT_EQ(ghosts.Take(4), 1U);
  EXPECT_EQ(ghosts.Take(3), 2U);
}

TEST(GhostQueueTest, APageThatWasTakenIsForgottenAndItsPlaceStaysEmpty) {
  GhostQueue ghosts = MakeGhosts(3);
  for (uint32_t page = 1; page <= 3; ++page) ghosts.Push(page);
  EXPECT_EQ(ghosts.Take(2), 2U);
  EXPECT_EQ(ghosts.Take(2), 0U);
  ghosts.Push(4);
  EXPECT_EQ(ghosts.Take(1), 0U);
}

TEST(GhostQueueTest, PagesThatLookAlikeInTheirLowBitsAreToldApart) {
  constexpr uint32_t kPages = 64;
  GhostQueue ghosts = MakeGhosts(kPages);
  for (uint32_t page = 0; page < kPages; ++page) ghosts.Push(page << 16);
  for (uint32_t page = 0; page < kPages; ++page) EXPECT_EQ(ghosts.Take(page << 16), kPages - page);
}

TEST(GhostQueueTest, ALimitThatShrinksIsKeptAfterSoManyDepartures) {
  GhostQueue ghosts = MakeGhosts(100);
  for (uint32_t page = 0; page < 100; ++page) ghosts.Push(page);
  ghosts.SetLimit(10);
  for (uint32_t page = 100; page < 200; ++page) ghosts.Push(page);
  for (uint32_t page = 0; page < 190; ++page) EXPECT_EQ(ghosts.Take(page), 0U);
  for (uint32_t page = 190; page < 200; ++page) EXPECT_EQ(ghosts.Take(page), 200 - page);
}

TEST(GhostQueueTest, ALimitThatGrowsIsUsedWhenTheRingComesRound) {
  GhostQueue ghosts = MakeGhosts(100);
  ghosts.SetLimit(10);
  for (uint32_t page = 0; page < 15; ++page) ghosts.Push(page);
  ghosts.SetLimit(20);
  for (uint32_t page = 15; page < 30; ++page) ghosts.Push(page);
  for (uint32_t page = 0; page < 10; ++page) EXPECT_EQ(ghosts.Take(page), 0U);
  for (uint32_t page = 10; page < 30; ++page) EXPECT_EQ(ghosts.Take(page), 30 - page);
}

// Limits change as well; only a limit that shrank lately makes a difference to what is remembered.
TEST(GhostQueueTest, RemembersWhatAListWould) {
  constexpr uint32_t kPages = 500;
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    const auto limit = static_cast<uint32_t>(1 + random() % 200);
    GhostQueue ghosts = MakeGhosts(limit);
    // Which pages left, the last one last; kPages for one that came back.
    std::deque<uint32_t> left;
    for (int step = 0; step < 5000; ++step) {
      const auto page = static_cast<uint32_t>(random() % kPages);
      const auto found = std::find(left.rbegin(), left.rend(), page);
      const uint32_t expected =
          found == left.rend() ? 0 : static_cast<uint32_t>(found - left.rbegin()) + 1;
      ASSERT_EQ(ghosts.Take(FingerprintOf(page)), expected) << "step " << step;
      if (found != left.rend()) *found = kPages;
      if (random() % 4 == 0) continue;
      ghosts.Push(FingerprintOf(page));
      left.push_back(page);
      if (left.size() > limit) left.pop_front();
    }
  }
}

TEST(GhostQueueTest, RandomLimitsLoseNothingOfWhatIsInTheSmallestOfThem) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  GhostQueue ghosts = MakeGhosts(300);
  uint32_t page = 0;
  for (int round = 0; round < 300; ++round) {
    const auto limit = static_cast<uint32_t>(1 + random() % 300);
    ghosts.SetLimit(limit);
    // So many that what is too much is gone.
    for (int i = 0; i < 600; ++i) ghosts.Push(FingerprintOf(page++));
    for (uint32_t age = 1; age <= limit; age += 7) {
      ASSERT_EQ(ghosts.Take(FingerprintOf(page - age)), age) << "limit " << limit;
    }
    ASSERT_EQ(ghosts.Take(FingerprintOf(page - limit - 1)), 0U) << "limit " << limit;
  }
}

TEST(GhostQueueTest, NoTwoPagesOfAFileHaveTheSameFingerprint) {
  std::set<uint32_t> seen;
  for (uint64_t page = 0; page < 100'000; ++page) {
    EXPECT_TRUE(seen.insert(FingerprintOf(KeyOf({.file = 7, .page = page}))).second);
  }
}

}  // namespace
}  // namespace granary
