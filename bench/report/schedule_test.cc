#include "bench/report/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace granary::bench {
namespace {

std::vector<Program> TwoPrograms() {
  std::vector<Program> programs(2);
  for (const char* name : {"a/x/granary", "a/x/rocksdb", "a/y/granary", "a/z/granary"}) {
    programs[0].benchmarks.push_back(ParseBenchmarkName(name).value());
  }
  for (const char* name : {"a/x/malloc", "a/z/malloc"}) {
    programs[1].benchmarks.push_back(ParseBenchmarkName(name).value());
  }
  return programs;
}

TEST(Schedule, ARoundTakesEveryBenchmarkOnce) {
  std::mt19937_64 random(1);
  for (const size_t cases_per_group : {size_t{1}, size_t{2}, size_t{16}}) {
    std::multiset<std::string> taken;
    for (const Step& step : OrderRound(TwoPrograms(), cases_per_group, random)) {
      taken.insert(step.full_names.begin(), step.full_names.end());
    }
    EXPECT_EQ(taken, (std::multiset<std::string>{"a/x/granary", "a/x/malloc", "a/x/rocksdb",
                                                 "a/y/granary", "a/z/granary", "a/z/malloc"}));
  }
}

TEST(Schedule, ImplementationsOfACaseAreNeighbours) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20; ++round) {
    const auto steps = OrderRound(TwoPrograms(), 1, random);
    ASSERT_EQ(steps.size(), 5u);
    const auto has_x = [](const Step& step) { return step.full_names.front().starts_with("a/x/"); };
    const auto first = std::ranges::find_if(steps, has_x);
    ASSERT_NE(first + 1, steps.end());
    EXPECT_TRUE(has_x(first[1]));
    EXPECT_NE(first[0].program, first[1].program);
  }
}

TEST(Schedule, TheOrderChangesFromRoundToRoundAndNotFromRunToRun) {
  std::set<std::vector<std::string>> orders;
  for (int run = 0; run < 2; ++run) {
    std::mt19937_64 random(7);
    for (int round = 0; round < 10; ++round) {
      std::vector<std::string> order;
      for (const Step& step : OrderRound(TwoPrograms(), 1, random)) {
        order.push_back(step.full_names.front());
      }
      orders.insert(order);
    }
  }
  EXPECT_GT(orders.size(), 3u);
  EXPECT_LE(orders.size(), 10u);
}

TEST(Schedule, GroupsGrowWhereStartingTakesLong) {
  EXPECT_EQ(CasesPerGroup(0.005, 0.05), 1u);
  EXPECT_EQ(CasesPerGroup(0.04, 0.05), 4u);
  EXPECT_EQ(CasesPerGroup(100, 0.05), 16u);
}

// Makes rounds that take what the benchmarks cost, and returns when the last one is over.
double Simulate(const Budget& budget, int count, double cost_of_each, int& rounds) {
  const double pilot_seconds = count * cost_of_each;
  Planner planner(budget, {.timed_count = count, .seconds = pilot_seconds}, pilot_seconds);
  double spent = pilot_seconds;
  rounds = 0;
  while (planner.WantsAnotherRound()) {
    const double round = pilot_seconds + 1.7 * count * planner.min_time();
    spent += round;
    ++rounds;
    planner.RoundTook(round, spent);
  }
  return spent;
}

TEST(Planner, AFullRunMakesNineRoundsWithinItsBudget) {
  int rounds = 0;
  EXPECT_LE(Simulate(kFullBudget, 500, 0.005, rounds), kFullBudget.seconds);
  EXPECT_GE(rounds, 9);
}

TEST(Planner, AQuickRunMakesThreeRoundsWithinItsBudget) {
  int rounds = 0;
  EXPECT_LE(Simulate(kQuickBudget, 500, 0.005, rounds), kQuickBudget.seconds);
  EXPECT_GE(rounds, 3);
}

TEST(Planner, AFewBenchmarksAreOverSoon) {
  int rounds = 0;
  EXPECT_LE(Simulate(kFullBudget, 10, 0.001, rounds), 20);
  EXPECT_EQ(rounds, kFullBudget.rounds_max);
}

TEST(Planner, MakesThreeRoundsEvenIfTheyAreTooLong) {
  int rounds = 0;
  Simulate(kQuickBudget, 500, 1, rounds);
  EXPECT_EQ(rounds, 3);
}

TEST(Planner, WantsNothingOfNothing) {
  int rounds = 0;
  Simulate(kQuickBudget, 0, 1, rounds);
  EXPECT_EQ(rounds, 0);
}

}  // namespace
}  // namespace granary::bench
