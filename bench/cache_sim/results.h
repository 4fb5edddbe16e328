// What simulations found out, and how it is shown.
#ifndef GRANARY_BENCH_CACHE_SIM_RESULTS_H_
#define GRANARY_BENCH_CACHE_SIM_RESULTS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "bench/cache_sim/simulation.h"

namespace granary::bench {

// One policy with one number of pages.
struct CacheResult {
  std::string policy;
  size_t pages = 0;
  size_t threads = 1;
  SimulationCounts counts;
  // Of the plain sequential model, if it was asked for.
  std::optional<SimulationCounts> model;
};

// What was simulated.
struct CacheResults {
  std::string trace;
  // "lis", "lines", ...
  std::string format;
  // "1:1", or nothing.
  std::string scan;
  bool scan_hints = false;
  std::vector<CacheResult> results;
};

// A table: a row for each number of pages and each policy.
std::string RenderCacheText(const CacheResults& results);

// {"results": [{"policy", "pages", "requests", "hits", "misses", "hit_ratio", ...}]}, as
// README.md has it.
std::string RenderCacheJson(const CacheResults& results);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CACHE_SIM_RESULTS_H_
