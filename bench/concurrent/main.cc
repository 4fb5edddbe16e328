// The program of the suite `concurrent`: registers the cases, and runs those that Google
// Benchmark's flags select.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include "bench/concurrent/cases.h"

namespace granary::bench {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr const char* kBuild = "sanitized";
#elif defined(__OPTIMIZE__)
constexpr const char* kBuild = "opt";
#else
constexpr const char* kBuild = "debug";
#endif

// As in the suite `arena`: what glibc would learn in a long run it knows from the start.
void SettleGlibcMalloc() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("granary_build", kBuild);
  benchmark::AddCustomContext("rocksdb_version", GRANARY_BENCH_ROCKSDB_VERSION);
  RegisterCases();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) { return granary::bench::Main(argc, argv); }
