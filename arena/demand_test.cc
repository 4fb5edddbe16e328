#include "arena/demand.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

// The share of 20,000 sizes of the stream that the estimate covers at the time, after 1000 more.
double CoveredShare(Demand& demand, const auto& next) {
  for (int i = 0; i < 1000; ++i) demand.Add(next());
  int covered = 0;
  for (int i = 0; i < 20'000; ++i) {
    const size_t bytes = next();
    covered += bytes <= demand.percentile_bytes() ? 1 : 0;
    demand.Add(bytes);
  }
  return covered / 20'000.0;
}

TEST(DemandTest, KnowsNothingBeforeTheFirstSizeAndTakesThatAsItIs) {
  Demand demand;
  EXPECT_EQ(demand.percentile_bytes(), 0u);
  EXPECT_EQ(demand.target_bytes(), 0u);
  demand.Add(12'345);
  EXPECT_EQ(demand.percentile_bytes(), 12'345u);
  EXPECT_EQ(demand.target_bytes(), 12'345u + 6172u);
}

TEST(DemandTest, StaysWithAConstantDemand) {
  Demand demand;
  for (int i = 0; i < 1000; ++i) {
    demand.Add(1'000'000);
    EXPECT_EQ(demand.percentile_bytes(), 1'000'000u);
  }
}

TEST(DemandTest, CoversAboutNineInTenOfALognormalStream) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (const double sigma : {0.3, 0.6, 1.0}) {
    std::lognormal_distribution<double> sizes(std::log(1e6), sigma);
    Demand demand;
    const double share =
        CoveredShare(demand, [&] { return static_cast<size_t>(sizes(random)) + 1; });
    EXPECT_NEAR(share, 0.9, 0.05) << "sigma " << sigma;
  }
}

// Of a narrow stream the steps are coarse: the estimate covers fewer than nine sizes in ten there,
// but what it misses is little.
TEST(DemandTest, StaysNearThePercentileOfAUniformStreamAndItsTargetAboveAllOfIt) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (const size_t spread : {100'000u, 200'000u, 500'000u, 900'000u}) {
    SCOPED_TRACE(spread);
    Demand demand;
    double sum = 0;
    int above_target = 0;
    for (int i = 0; i < 21'000; ++i) {
      const size_t bytes = 1'000'000 - spread + static_cast<size_t>(random() % (2 * spread));
      if (i >= 1000) {
        sum += static_cast<double>(demand.percentile_bytes());
        above_target += bytes > demand.target_bytes() ? 1 : 0;
      }
      demand.Add(bytes);
    }
    const double percentile = 1e6 + 0.8 * static_cast<double>(spread);
    EXPECT_NEAR(sum / 20'000, percentile, percentile / 10);
    EXPECT_LT(above_target, 40);
  }
}

TEST(DemandTest, FollowsAJumpWithinThreeSizes) {
  for (const size_t factor : {2u, 10u, 1000u}) {
    Demand demand;
    for (int i = 0; i < 100; ++i) demand.Add(1'000'000);
    demand.Add(1'000'000 * factor);
    demand.Add(1'000'000 * factor);
    EXPECT_LT(demand.percentile_bytes(), 1'400'000u);
    demand.Add(1'000'000 * factor);
    EXPECT_EQ(demand.percentile_bytes(), 1'000'000 * factor);
  }
}

TEST(DemandTest, ASingleBurstRaisesItByASeventhAndIsForgotten) {
  Demand demand;
  for (int i = 0; i < 100; ++i) demand.Add(1'000'000);
  demand.Add(1'000'000'000);
  EXPECT_LE(demand.percentile_bytes(), 1'000'000u * 8 / 7);
  for (int i = 0; i < 10; ++i) demand.Add(1'000'000);
  EXPECT_NEAR(static_cast<double>(demand.percentile_bytes()), 1e6, 2e4);
}

TEST(DemandTest, DecaysToASmallerDemandAndNotBelowIt) {
  Demand demand;
  for (int i = 0; i < 10; ++i) demand.Add(100'000'000);
  int steps = 0;
  for (; demand.percentile_bytes() > 1'000'000; ++steps) {
    ASSERT_LT(steps, 1000);
    const size_t before = demand.percentile_bytes();
    demand.Add(1'000'000);
    EXPECT_LT(demand.percentile_bytes(), before);
    EXPECT_GE(demand.percentile_bytes(), before - before / 64);
  }
  EXPECT_EQ(demand.percentile_bytes(), 1'000'000u);
  // A factor of a hundred at 1/64 a step.
  EXPECT_NEAR(steps, std::log(100) / -std::log(1 - 1 / 64.0), 2);
}

TEST(DemandTest, SizesAtTheEndOfTheRangeDoNotOverflow) {
  Demand demand;
  for (int i = 0; i < 10; ++i) demand.Add(SIZE_MAX / 2);
  EXPECT_EQ(demand.percentile_bytes(), SIZE_MAX / 2);
  EXPECT_GE(demand.target_bytes(), SIZE_MAX / 2);
  for (int i = 0; i < 100; ++i) demand.Add(0);
  EXPECT_LT(demand.percentile_bytes(), SIZE_MAX / 4);
  demand.Add(1);
}

}  // namespace
}  // namespace granary
