// A program of the region suite: registers the cases for the implementations that it is built with,
// and runs those that Google Benchmark's flags select.
//
//   region/CASE/IMPLEMENTATION          timed
//   region/space_CASE/IMPLEMENTATION    how much is held for what is live
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "bench/program.h"
#include "bench/region/cases.h"
#include "bench/region/implementations.h"
#include "bench/region/space_cases.h"
#include "bench/traces/rep_trace.h"

namespace granary::bench {
namespace {

// The rest of an argument that begins with `flag`, or nothing.
std::string ValueOf(int argc, char** argv, std::string_view flag) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(flag)) return std::string(argument.substr(flag.size()));
  }
  return "";
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  if (const std::string name = ValueOf(argc, argv, kSpaceFlag); !name.empty()) {
    bool is_found = false;
    ForEachImplementation([&]<class I>() {
      is_found = is_found || PrintHeldPerAsked<I>(name, ValueOf(argc, argv, kRecordingFlag));
    });
    return is_found ? 0 : 1;
  }
  // That nothing is found there is an error of those cases alone, and they report it.
  TracesDirectory() = TakeTracesDirectory(&argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  AddProgramContext();
  ForEachImplementation([]<class I>() {
    RegisterTimedCases<I>();
    RegisterSpaceCases<I>();
  });
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) { return granary::bench::Main(argc, argv); }
