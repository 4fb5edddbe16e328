#include "bench/report/run_parser.h"

#include <gtest/gtest.h>

namespace granary::bench {
namespace {

constexpr const char* kRun = R"({
  "context": {"granary_build": "opt", "num_cpus": 2, "rocksdb_version": "7.8.3"},
  "benchmarks": [
    {"name": "arena/bump/8/granary", "family_index": 0, "per_family_instance_index": 0,
     "run_name": "arena/bump/8/granary", "run_type": "iteration", "repetitions": 1,
     "repetition_index": 0, "threads": 1, "iterations": 100, "real_time": 1.0, "cpu_time": 1.0,
     "time_unit": "ns", "items_per_second": 5e8},
    {"name": "arena/held/granary/iterations:1", "run_type": "iteration", "iterations": 1,
     "real_time": 1.0, "cpu_time": 1.0, "time_unit": "ns", "held_per_asked": 1.25, "label": "x"},
    {"name": "arena/broken/granary", "run_type": "iteration", "error_occurred": true,
     "error_message": "no memory"},
    {"name": "arena/bump/8/elsewhere", "run_type": "iteration", "error_occurred": true,
     "error_message": "skipped: it does not start"}
  ]})";

TEST(RunParser, TurnsRatesIntoTimes) {
  const auto run = ParseRun(kRun);
  ASSERT_TRUE(run) << run.error();
  ASSERT_EQ(run->measurements.size(), 2u);
  EXPECT_TRUE(run->measurements[0].timed);
  EXPECT_DOUBLE_EQ(run->measurements[0].ns_per_op, 2);
  EXPECT_TRUE(run->measurements[0].counters.empty());
}

TEST(RunParser, FindsTheCountersOfCountedCases) {
  const auto run = ParseRun(kRun);
  ASSERT_TRUE(run);
  EXPECT_FALSE(run->measurements[1].timed);
  EXPECT_EQ(run->measurements[1].counters,
            (std::map<std::string, double>{{"held_per_asked", 1.25}}));
}

TEST(RunParser, ReadsTheContext) {
  const auto run = ParseRun(kRun);
  ASSERT_TRUE(run);
  EXPECT_EQ(run->context.at("granary_build"), "opt");
  EXPECT_EQ(run->context.at("num_cpus"), "2");
}

TEST(RunParser, ReportsBenchmarksThatGaveUp) {
  const auto run = ParseRun(kRun);
  ASSERT_TRUE(run);
  EXPECT_EQ(run->errors, std::vector<std::string>{"arena/broken/granary: no memory"});
}

TEST(RunParser, KnowsWhatCannotRunHereFromWhatFailed) {
  const auto run = ParseRun(kRun);
  ASSERT_TRUE(run);
  ASSERT_EQ(run->skipped.size(), 1u);
  EXPECT_EQ(run->skipped[0].first.full, "arena/bump/8/elsewhere");
  EXPECT_EQ(run->skipped[0].second, "it does not start");
}

TEST(RunParser, RefusesWhatIsNoRun) {
  EXPECT_FALSE(ParseRun(""));
  EXPECT_FALSE(ParseRun("this is not JSON"));
  EXPECT_FALSE(ParseRun("{}"));
  EXPECT_FALSE(ParseRun(R"({"context": {}, "benchmarks": [{"name": 7}]})"));
}

}  // namespace
}  // namespace granary::bench
