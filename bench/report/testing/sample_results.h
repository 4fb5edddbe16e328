// Results for tests, written down in one line each.
#ifndef GRANARY_BENCH_REPORT_TESTING_SAMPLE_RESULTS_H_
#define GRANARY_BENCH_REPORT_TESTING_SAMPLE_RESULTS_H_

#include <string>
#include <vector>

#include "bench/report/results.h"

namespace granary::bench {

// A timed benchmark, with a time for each of the rounds 1, 2, ...
inline Result Timed(const std::string& name, const std::vector<double>& ns) {
  Result result;
  result.name = ParseBenchmarkName(name).value();
  result.timed = true;
  int round = 0;
  for (const double value : ns) {
    result.samples.push_back({++round, value});
  }
  return result;
}

inline Result Counted(const std::string& name, const std::string& counter, double value) {
  Result result;
  result.name = ParseBenchmarkName(name).value();
  result.samples = {{0, value}};
  result.main_counter = counter;
  result.counters = {{counter, value}};
  return result;
}

// granary wins `bump`, loses `reset`, and holds more than rocksdb.
inline std::vector<Result> SampleResults() {
  return {Timed("arena/bump/8/granary", {2, 4, 2}),
          Timed("arena/bump/8/granary_fresh", {4, 8, 4}),
          Timed("arena/bump/8/rocksdb", {6, 12, 6}),
          Timed("arena/bump/8/leveldb", {5, 10, 5}),
          Timed("arena/bump/8/raw", {1, 2, 1}),
          Timed("arena/reset/granary", {5000, 5000, 5000}),
          Timed("arena/reset/leveldb", {4000, 4000, 4500}),
          Timed("arena/reset/rocksdb", {10000, 10000, 10000}),
          Counted("arena/held/granary", "held_per_asked", 1.2),
          Counted("arena/held/rocksdb", "held_per_asked", 1.1)};
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_TESTING_SAMPLE_RESULTS_H_
