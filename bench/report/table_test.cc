#include "bench/report/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/report/testing/sample_results.h"

namespace granary::bench {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Table, AlignsByCharactersAndNotByBytes) {
  EXPECT_EQ(AlignColumns({{"a", "1 µs"}, {"long", "100 ns"}}), "a       1 µs\nlong  100 ns\n");
}

TEST(Table, HasARowForEachCaseAndVariant) {
  const std::string text = RenderText(Compare(SampleResults()));
  EXPECT_THAT(text, HasSubstr("arena: time of an operation\n"));
  EXPECT_THAT(text,
              testing::ContainsRegex("bump/8 +2.00 ns +leveldb 5.00 ns +6.00 ns +1.00 ns +2.50x +"
                                     "3.00x +2.50-2.50\n"));
  EXPECT_THAT(text, testing::ContainsRegex("  as granary_fresh +4.00 ns"));
  EXPECT_THAT(text, testing::ContainsRegex("reset +5.00 µs +leveldb 4.00 µs +10.0 µs +- +0.80x"));
}

TEST(Table, HasASectionForCounts) {
  const std::string text = RenderText(Compare(SampleResults()));
  EXPECT_THAT(text, HasSubstr("arena: held_per_asked\n"));
  EXPECT_THAT(text, testing::ContainsRegex("held +1.200 +rocksdb 1.100"));
}

TEST(Table, SaysWhereGranaryLoses) {
  const std::string text = RenderText(Compare(SampleResults()));
  EXPECT_THAT(text, HasSubstr("granary loses on:\n"
                              "  arena/reset: 5.00 µs against 4.00 µs of leveldb (0.800x, "
                              "quartiles 0.800-0.850)\n"
                              "  arena/held: held_per_asked 1.200 against 1.100 of rocksdb\n"));
}

TEST(Table, CollectsCountsThatAreHardlyAbove) {
  const auto comparisons = Compare({Counted("a/x/granary", "held_per_asked", 1.001),
                                    Counted("a/x/rocksdb", "held_per_asked", 1),
                                    Counted("a/y/granary", "held_per_asked", 1.002),
                                    Counted("a/y/rocksdb", "held_per_asked", 1)});
  EXPECT_EQ(DescribeLosses(Losses(comparisons)),
            std::vector<std::string>{"by less than 0.5 % each: a/x (1.00100 against 1.00000 of "
                                     "rocksdb), a/y (1.00200 against 1.00000 of rocksdb)"});
}

TEST(Table, SaysThatALossIsWithinTheSpread) {
  const auto comparisons =
      Compare({Timed("a/b/granary", {10, 10, 10}), Timed("a/b/rocksdb", {9, 9.9, 12})});
  EXPECT_THAT(DescribeLoss(comparisons.at(0)), HasSubstr("within the spread"));
}

TEST(Table, SaysThatGranaryLosesNowhere) {
  const std::string text =
      RenderText(Compare({Timed("a/b/granary", {1}), Timed("a/b/rocksdb", {2})}));
  EXPECT_THAT(text, HasSubstr("granary loses nowhere"));
  EXPECT_THAT(text, Not(HasSubstr("loses on")));
}

TEST(Table, DoesNotClaimAVictoryOverNobody) {
  EXPECT_THAT(RenderText(Compare({Timed("a/b/granary", {1})})), HasSubstr("compared with nobody"));
}

TEST(Table, EndsWithTheMeansOfFamilies) {
  EXPECT_THAT(RenderText(Compare(SampleResults())),
              testing::ContainsRegex("arena/reset +1 +2.00x +0.80x\n$"));
}

}  // namespace
}  // namespace granary::bench
