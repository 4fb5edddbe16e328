// The program of the suite `buffer`: registers the cases, and runs those that Google Benchmark's
// flags select.
#include <benchmark/benchmark.h>
#include <db.h>
#include <lmdb.h>
#include <sqlite3.h>

#include <string>

#include "bench/buffer/hit_cases.h"
#include "bench/buffer/hit_ratio_cases.h"
#include "bench/buffer/miss_cases.h"
#include "bench/buffer/prepared.h"
#include "bench/buffer/tree_cases.h"
#include "bench/buffer/update_cases.h"
#include "bench/program.h"

namespace granary::bench {
namespace {

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  AddProgramContext();
  benchmark::AddCustomContext("rocksdb_version", GRANARY_BENCH_ROCKSDB_VERSION);
  benchmark::AddCustomContext("sqlite_version", ::sqlite3_libversion());
  int major = 0;
  int minor = 0;
  int patch = 0;
  ::db_version(&major, &minor, &patch);
  benchmark::AddCustomContext(
      "berkeley_db_version",
      std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch));
  ::mdb_version(&major, &minor, &patch);
  benchmark::AddCustomContext("lmdb_version", std::to_string(major) + "." + std::to_string(minor) +
                                                  "." + std::to_string(patch));
  RegisterHits();
  RegisterMisses();
  RegisterUpdates();
  RegisterTrees();
  RegisterHitRatios();
  benchmark::RunSpecifiedBenchmarks();
  Prepared::Forget();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) { return granary::bench::Main(argc, argv); }
