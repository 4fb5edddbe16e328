// Reads what a Google Benchmark program writes to --benchmark_out.
#ifndef GRANARY_BENCH_REPORT_RUN_PARSER_H_
#define GRANARY_BENCH_REPORT_RUN_PARSER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report/results.h"
#include "tl/expected.hpp"

namespace granary::bench {

struct ProgramRun {
  std::map<std::string, std::string> context;
  std::vector<Measurement> measurements;
  // `NAME: MESSAGE` of benchmarks that gave up (State::SkipWithError).
  std::vector<std::string> errors;
};

// The error says what is not as Google Benchmark 1.7 writes it.
tl::expected<ProgramRun, std::string> ParseRun(std::string_view json);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_RUN_PARSER_H_
