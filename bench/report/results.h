// What has been measured so far: for every (suite, case, implementation) its samples, one a round.
#ifndef GRANARY_BENCH_REPORT_RESULTS_H_
#define GRANARY_BENCH_REPORT_RESULTS_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/report/benchmark_name.h"
#include "bench/report/statistics.h"

namespace granary::bench {

// What one run of one benchmark says.
struct Measurement {
  BenchmarkName name;
  // Timed benchmarks count their items, and the time of an item is their result. The others count
  // something: their counters are the result.
  bool timed = false;
  double ns_per_op = 0;
  std::map<std::string, double> counters;
};

struct Result {
  BenchmarkName name;
  bool timed = false;
  // Of a timed benchmark: ns an operation. Of a counted one: its main counter.
  std::vector<Sample> samples;
  // What `samples` are of, for a counted benchmark: `held_per_asked`, `instructions`, or else its
  // first counter.
  std::string main_counter;
  // The last round's.
  std::map<std::string, double> counters;

  std::vector<double> values() const;
};

// In the order in which benchmarks were first recorded, but with the cases of a suite, and the
// implementations of a case, together.
class Results {
 public:
  // Benchmarks must be announced before they are recorded, in the order that tables shall have.
  void Announce(const BenchmarkName& name);
  void Record(int round, const Measurement& measurement);

  // Those that have at least one sample.
  std::vector<Result> Measured() const;

 private:
  std::vector<Result> results_;
};

// The results of one case, which are adjacent in `results`.
struct CaseResults {
  std::vector<const Result*> implementations;

  const BenchmarkName& name() const { return implementations.front()->name; }
  bool timed() const { return implementations.front()->timed; }
  // The one of this name, or nullptr.
  const Result* Find(std::string_view implementation) const;
};

// `results` has to outlive what is returned.
std::vector<CaseResults> GroupByCase(const std::vector<Result>& results);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_RESULTS_H_
