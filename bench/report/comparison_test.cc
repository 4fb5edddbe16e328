#include "bench/report/comparison.h"

#include <gtest/gtest.h>

#include "bench/report/implementations.h"
#include "bench/report/testing/sample_results.h"

namespace granary::bench {
namespace {

TEST(Implementations, HaveRoles) {
  EXPECT_EQ(RoleOf("granary"), Role::kGranary);
  EXPECT_EQ(RoleOf("granary_lane"), Role::kGranary);
  EXPECT_EQ(RoleOf("raw"), Role::kLimit);
  EXPECT_EQ(RoleOf("rocksdb"), Role::kPeer);
  EXPECT_EQ(RoleOf("rocksdb_concurrent"), Role::kPeer);
  EXPECT_EQ(RoleOf("something_new"), Role::kPeer);
  EXPECT_TRUE(IsReference("rocksdb"));
  EXPECT_TRUE(IsReference("rocksdb_concurrent"));
  EXPECT_TRUE(IsReference("rocksdb_hyper_clock"));
  EXPECT_FALSE(IsReference("rocksdb_lru"));
  EXPECT_FALSE(IsReference("rocksdb_interface"));
  EXPECT_EQ(ColorOf("something_new").size(), 7u);
}

TEST(Comparison, BestPeerIsNeitherTheLimitNorAVariant) {
  const auto comparisons = Compare(SampleResults());
  ASSERT_EQ(comparisons.size(), 4u);
  const Comparison& bump = comparisons[0];
  ASSERT_TRUE(bump.best_peer);
  EXPECT_EQ(bump.best_peer->implementation, "leveldb");
  EXPECT_EQ(bump.best_peer->ratio.median, 2.5);
  EXPECT_EQ(bump.reference->ratio.median, 3);
  EXPECT_EQ(bump.limit, 1);
  EXPECT_FALSE(bump.loses());
}

TEST(Comparison, VariantsHaveRowsBehindGranaryItself) {
  const auto comparisons = Compare(SampleResults());
  EXPECT_EQ(comparisons[0].subject, "granary");
  EXPECT_FALSE(comparisons[0].is_variant);
  EXPECT_EQ(comparisons[1].subject, "granary_fresh");
  EXPECT_TRUE(comparisons[1].is_variant);
  EXPECT_EQ(comparisons[1].best_peer->ratio.median, 1.25);
}

TEST(Comparison, AVariantStandsForGranaryWhereItIsAlone) {
  const auto comparisons = Compare({Timed("a/b/granary_lane", {4}), Timed("a/b/rocksdb", {2})});
  ASSERT_EQ(comparisons.size(), 1u);
  EXPECT_FALSE(comparisons[0].is_variant);
  EXPECT_EQ(Losses(comparisons).size(), 1u);
}

TEST(Comparison, CasesWithoutGranaryAreLeftOut) {
  EXPECT_TRUE(Compare({Timed("a/b/leveldb", {4}), Timed("a/b/rocksdb", {2})}).empty());
}

TEST(Comparison, LossesAreOfTimesAndOfCounts) {
  const auto losses = Losses(Compare(SampleResults()));
  ASSERT_EQ(losses.size(), 2u);
  EXPECT_EQ(losses[0].case_name, "reset");
  EXPECT_EQ(losses[0].best_peer->ratio.median, 0.8);
  EXPECT_EQ(losses[1].case_name, "held");
  EXPECT_FALSE(losses[1].timed);
}

TEST(Comparison, VariantsLoseNothing) {
  EXPECT_TRUE(Losses(Compare({Timed("a/b/granary", {1}), Timed("a/b/granary_fresh", {4}),
                              Timed("a/b/rocksdb", {2})}))
                  .empty());
}

TEST(Comparison, FamiliesAreSummarizedByGeometricMeans) {
  const auto families = Summarize(
      Compare({Timed("a/x/1/granary", {1}), Timed("a/x/1/rocksdb", {2}),
               Timed("a/x/2/granary", {1}), Timed("a/x/2/rocksdb", {8}), Timed("a/y/granary", {1}),
               Timed("a/y/malloc", {3}), Counted("a/held/granary", "held_per_asked", 1)}));
  ASSERT_EQ(families.size(), 2u);
  EXPECT_EQ(families[0].name, "x");
  EXPECT_EQ(families[0].cases_count, 2);
  EXPECT_DOUBLE_EQ(families[0].versus_reference.value(), 4);
  EXPECT_FALSE(families[1].versus_reference);
  EXPECT_DOUBLE_EQ(families[1].versus_best_peer.value(), 3);
}

}  // namespace
}  // namespace granary::bench
