#include "bench/report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace granary::bench {
namespace {

TEST(Statistics, MedianOfAnOddNumberIsTheMiddle) { EXPECT_EQ(Median({9, 1, 5}), 5); }

TEST(Statistics, MedianOfAnEvenNumberIsHalfwayBetweenTheMiddleTwo) {
  EXPECT_EQ(Median({1, 100, 3, 2}), 2.5);
}

TEST(Statistics, MedianOfNothingIsNotANumber) { EXPECT_TRUE(std::isnan(Median({}))); }

TEST(Statistics, QuantilesInterpolate) {
  EXPECT_EQ(Quantile({1, 2, 3, 4, 5}, 0.25), 2);
  EXPECT_EQ(Quantile({1, 2}, 0.25), 1.25);
  EXPECT_EQ(Quantile({7, 8}, 1), 8);
}

TEST(Statistics, GeometricMeanOfAHalfAndATwoIsOne) { EXPECT_DOUBLE_EQ(GeometricMean({0.5, 2}), 1); }

TEST(Statistics, GeometricMeanNeedsPositiveValues) {
  EXPECT_TRUE(std::isnan(GeometricMean({})));
  EXPECT_TRUE(std::isnan(GeometricMean({1, 0})));
}

TEST(Statistics, PairedRatioIsUnmovedByARoundThatIsSlowForBoth) {
  const auto ratio = PairedRatio({{1, 4}, {2, 40}, {3, 4}}, {{1, 2}, {2, 20}, {3, 2}});
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->median, 2);
  EXPECT_EQ(ratio->low, 2);
  EXPECT_EQ(ratio->high, 2);
  EXPECT_EQ(ratio->rounds_count, 3);
}

TEST(Statistics, PairedRatioTakesOnlyRoundsThatHaveBoth) {
  const auto ratio = PairedRatio({{1, 100}, {2, 6}}, {{2, 2}, {3, 1}});
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->median, 3);
  EXPECT_EQ(ratio->rounds_count, 1);
}

TEST(Statistics, PairedRatioNeedsAPair) {
  EXPECT_FALSE(PairedRatio({{1, 4}}, {{2, 4}}));
  EXPECT_FALSE(PairedRatio({{1, 4}}, {{1, 0}}));
}

}  // namespace
}  // namespace granary::bench
