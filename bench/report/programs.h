// The programs that the report starts: Google Benchmark's. Others that start programs find theirs
// in the same way.
#ifndef GRANARY_BENCH_REPORT_PROGRAMS_H_
#define GRANARY_BENCH_REPORT_PROGRAMS_H_

#include <filesystem>
#include <string>
#include <vector>

#include "bench/report/benchmark_name.h"
#include "bench/report/failure.h"
#include "bench/report/run_parser.h"

namespace granary::bench {

struct Program {
  std::filesystem::path path;
  std::vector<BenchmarkName> benchmarks;
  // How long it takes to start, list its benchmarks, and end.
  double startup_seconds = 0;

  std::string name() const { return path.filename(); }
};

struct Suites {
  // Where the programs expect to be started, as their data is found from there.
  std::filesystem::path root;
  std::vector<std::filesystem::path> programs;
};

// The programs that `NAME.helpers` beside `argv0` lists, in the runfiles of `argv0` or in those
// that it is a part of itself.
OrFailure<Suites> FindSuites(const std::filesystem::path& argv0);

// Why a program's listing or run gave nothing. Never a reason to stop the other programs, except
// when it was interrupted.
struct ProgramError {
  bool interrupted = false;
  std::string message;
};

// Asks the program for its benchmarks.
tl::expected<Program, ProgramError> ListProgram(const std::filesystem::path& path);

struct RunRequest {
  std::vector<std::string> full_names;
  double min_time_seconds = 0;
  // Where the program writes its results; overwritten.
  std::filesystem::path scratch;
};

// Runs some of the program's benchmarks, each once, in random order.
tl::expected<ProgramRun, ProgramError> RunProgram(const Program& program,
                                                  const RunRequest& request);

// The value of context `granary_build` with which measuring makes sense.
inline constexpr const char* kOptimizedBuild = "opt";

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_PROGRAMS_H_
