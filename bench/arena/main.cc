// A program of the arena suite: registers the cases for the implementations that it is built with,
// and runs those that Google Benchmark's flags select.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "bench/arena/cases.h"
#include "bench/arena/sizes.h"
#include "bench/program.h"
#include "bench/traces/rep_trace.h"

namespace granary::bench {
namespace {

// Takes --granary_traces=DIR out of the arguments; without it the runfiles are searched. That
// nothing is found is an error of those cases alone, and they report it.
void ChooseTracesDirectory(int* argc, char** argv) {
  constexpr std::string_view kFlag = "--granary_traces=";
  std::string directory = FindTracesDirectory(argv[0]).value_or("bench/traces");
  int kept = 0;
  for (int i = 0; i < *argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.substr(0, kFlag.size()) == kFlag) {
      directory = argument.substr(kFlag.size());
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
  SetTracesDirectory(directory);
}

void AddContext() {
  AddProgramContext();
#ifdef GRANARY_BENCH_ROCKSDB_VERSION
  benchmark::AddCustomContext("rocksdb_version", GRANARY_BENCH_ROCKSDB_VERSION);
  benchmark::AddCustomContext("leveldb_version", GRANARY_BENCH_LEVELDB_VERSION);
#endif
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  ChooseTracesDirectory(&argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  AddContext();
  RegisterAlignedCases();
  RegisterMemtableCases();
  RegisterTraceCases();
  RegisterQueryCases();
  RegisterContainerCases();
#ifndef GRANARY_BENCH_MALLOC_ONLY
  // A malloc has neither byte strings nor a reset, and what it holds it does not tell in the same
  // terms.
  RegisterBytesCases();
  RegisterResetCases();
  RegisterSpaceCases();
#endif
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) { return granary::bench::Main(argc, argv); }
