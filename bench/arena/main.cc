// A program of the arena suite: registers the cases for the implementations that it is built with,
// and runs those that Google Benchmark's flags select.
#include <benchmark/benchmark.h>

#include "bench/arena/cases.h"
#include "bench/arena/sizes.h"
#include "bench/program.h"
#include "bench/traces/rep_trace.h"

namespace granary::bench {
namespace {

void AddContext() {
  AddProgramContext();
#ifdef GRANARY_BENCH_ROCKSDB_VERSION
  benchmark::AddCustomContext("rocksdb_version", GRANARY_BENCH_ROCKSDB_VERSION);
  benchmark::AddCustomContext("leveldb_version", GRANARY_BENCH_LEVELDB_VERSION);
#endif
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  // That nothing is found there is an error of those cases alone, and they report it.
  SetTracesDirectory(TakeTracesDirectory(&argc, argv));
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
