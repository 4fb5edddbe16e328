// Reads what a Google Benchmark program writes to --benchmark_out.
#ifndef GRANARY_BENCH_REPORT_RUN_PARSER_H_
#define GRANARY_BENCH_REPORT_RUN_PARSER_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/report/benchmark_name.h"
#include "bench/report/results.h"
#include "tl/expected.hpp"

namespace granary::bench {

struct ProgramRun {
  std::map<std::string, std::string> context;
  std::vector<Measurement> measurements;
  // `NAME: MESSAGE` of benchmarks that gave up (State::SkipWithError).
  std::vector<std::string> errors;
  // Benchmarks that cannot run on this machine: those whose message begins with `skipped: `, with
  // the rest of it.
  std::vector<std::pair<BenchmarkName, std::string>> skipped;
};

// The error says what is not as Google Benchmark 1.7 writes it.
tl::expected<ProgramRun, std::string> ParseRun(std::string_view json);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_RUN_PARSER_H_
