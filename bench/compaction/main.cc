// The program of the compaction suite: registers the cases, and runs those that Google Benchmark's
// flags select.
#include <benchmark/benchmark.h>
#include <sqlite3.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/compaction/blob_cases.h"
#include "bench/compaction/counted.h"
#include "bench/compaction/shrink_cases.h"
#include "bench/compaction/snapshot_cases.h"
#include "bench/compaction/workload_cases.h"
#include "bench/program.h"

namespace granary::bench {
namespace {

std::vector<CountedCase> AllCounted() {
  std::vector<CountedCase> counted = CountedWorkloads();
  for (CountedCase& one : CountedShrink()) counted.push_back(std::move(one));
  return counted;
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first.starts_with(kCountFlag)) {
    const std::string name(first.substr(std::string_view(kCountFlag).size()));
    return PrintCounts(AllCounted(), name) ? 0 : 1;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  AddProgramContext();
  benchmark::AddCustomContext("sqlite_version", ::sqlite3_libversion());
  RegisterWorkloads();
  RegisterBlobs();
  RegisterSnapshots();
  RegisterShrink();
  RegisterCounted(AllCounted());
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) { return granary::bench::Main(argc, argv); }
