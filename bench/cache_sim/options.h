// The command line of the page-trace simulator.
#ifndef GRANARY_BENCH_CACHE_SIM_OPTIONS_H_
#define GRANARY_BENCH_CACHE_SIM_OPTIONS_H_

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/cache_sim/simulation.h"
#include "bench/report/failure.h"
#include "bench/traces/page_trace.h"
#include "pool/buffer/eviction.h"

namespace granary::bench {

struct CacheSimOptions {
  // As it was given, and where that is.
  std::string trace;
  std::filesystem::path trace_path;
  PageTraceOptions format;
  std::vector<size_t> pages;
  std::vector<EvictionKind> policies;
  size_t threads = 1;
  bool model = false;
  // As it was given, and what it means; nothing where there is no scan.
  std::string scan;
  ScanMix scan_mix;
  // Empty where no JSON is wished for.
  std::filesystem::path json_path;
  // Not empty where only this is to be shown.
  std::string help;
};

// Exit status 2 and one line where the arguments make no sense.
OrFailure<CacheSimOptions> ParseCacheSimOptions(int argc, const char* const* argv);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CACHE_SIM_OPTIONS_H_
