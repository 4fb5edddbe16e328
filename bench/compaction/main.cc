// The program of the compaction suite: registers the cases, and runs those that Google Benchmark's
// flags select.
#include <benchmark/benchmark.h>
#include <sqlite3.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/compaction/blob_cases.h"
#include "bench/compaction/counted.h"
#include "bench/compaction/shrink_cases.h"
#include "bench/compaction/snapshot_cases.h"
#include "bench/compaction/workload_cases.h"
#include "bench/compaction/workload_picture.h"
#include "bench/program.h"

namespace granary::bench {
namespace {

std::vector<CountedCase> AllCounted() {
  std::vector<CountedCase> counted = CountedWorkloads();
  for (CountedCase& one : CountedShrink()) counted.push_back(std::move(one));
  return counted;
}

// Those that this program draws for the report (docs/report.md).
constexpr const char* kPictureFlag = "--granary_picture=";

std::string PictureNames() {
  std::string names;
  for (const std::string& name : WorkloadPictures()) names += (names.empty() ? "" : ",") + name;
  return names;
}

// False if there is none by this name.
bool PrintPicture(std::string_view name) {
  const auto picture = WorkloadPicture(name);
  if (picture) std::fwrite(picture->data(), 1, picture->size(), stdout);
  return picture.has_value();
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first.starts_with(kCountFlag)) {
    const std::string name(first.substr(std::string_view(kCountFlag).size()));
    return PrintCounts(AllCounted(), name) ? 0 : 1;
  }
  if (first.starts_with(kPictureFlag)) {
    return PrintPicture(first.substr(std::string_view(kPictureFlag).size())) ? 0 : 1;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  AddProgramContext();
  benchmark::AddCustomContext("sqlite_version", ::sqlite3_libversion());
  benchmark::AddCustomContext("granary_pictures", PictureNames());
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
