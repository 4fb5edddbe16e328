#include "bench/report/results.h"

#include <gtest/gtest.h>

#include "bench/report/units.h"

namespace granary::bench {
namespace {

Measurement TimedMeasurement(const std::string& name, double ns) {
  Measurement measurement;
  measurement.name = ParseBenchmarkName(name).value();
  measurement.timed = true;
  measurement.ns_per_op = ns;
  return measurement;
}

TEST(Results, CollectOneSampleARound) {
  Results results;
  const Measurement first = TimedMeasurement("a/b/granary", 3);
  results.Announce(first.name);
  results.Record(1, first);
  results.Record(2, TimedMeasurement("a/b/granary", 4));
  const auto measured = results.Measured();
  ASSERT_EQ(measured.size(), 1u);
  EXPECT_EQ(measured[0].values(), (std::vector<double>{3, 4}));
  EXPECT_EQ(measured[0].samples[1].round, 2);
}

TEST(Results, LeaveOutWhatHasNoSample) {
  Results results;
  results.Announce(ParseBenchmarkName("a/b/granary").value());
  EXPECT_TRUE(results.Measured().empty());
}

TEST(Results, KeepCasesTogetherThatComeFromSeveralPrograms) {
  Results results;
  for (const char* name : {"a/x/1/granary", "a/y/granary", "b/z/granary", "a/x/1/malloc",
                           "a/x/2/malloc", "a/y/malloc"}) {
    results.Announce(ParseBenchmarkName(name).value());
    results.Record(1, TimedMeasurement(name, 1));
  }
  std::vector<std::string> order;
  for (const Result& result : results.Measured()) {
    order.push_back(result.name.full);
  }
  EXPECT_EQ(order, (std::vector<std::string>{"a/x/1/granary", "a/x/1/malloc", "a/x/2/malloc",
                                             "a/y/granary", "a/y/malloc", "b/z/granary"}));
}

TEST(Results, KnownCountersAreTheMainOnes) {
  Measurement measurement;
  measurement.name = ParseBenchmarkName("a/held/granary").value();
  measurement.counters = {{"blocks", 3}, {"held_per_asked", 1.5}};
  Results results;
  results.Announce(measurement.name);
  results.Record(0, measurement);
  const Result result = results.Measured().at(0);
  EXPECT_FALSE(result.timed);
  EXPECT_EQ(result.main_counter, "held_per_asked");
  EXPECT_EQ(result.values(), std::vector<double>{1.5});
  EXPECT_EQ(result.counters.size(), 2u);
}

TEST(Units, ShowThreeDigits) {
  EXPECT_EQ(FormatNs(4.3712), "4.37 ns");
  EXPECT_EQ(FormatNs(12.34), "12.3 ns");
  EXPECT_EQ(FormatNs(9.997), "10.0 ns");
  EXPECT_EQ(FormatNs(999.7), "1.00 µs");
  EXPECT_EQ(FormatNs(4.5e6), "4.50 ms");
  EXPECT_EQ(FormatNs(2e9), "2.00 s");
  EXPECT_EQ(FormatRatio(1.416), "1.42x");
  EXPECT_EQ(FormatCount(1024), "1024");
  EXPECT_EQ(FormatSeconds(130.2), "2 min 10 s");
}

}  // namespace
}  // namespace granary::bench
