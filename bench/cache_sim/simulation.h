// A recording through a cache, with or without a table scan beside it.
#ifndef GRANARY_BENCH_CACHE_SIM_SIMULATION_H_
#define GRANARY_BENCH_CACHE_SIM_SIMULATION_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "bench/cache_sim/simulated_cache.h"
#include "memory/error.h"

namespace granary::bench {

// A scan that goes round and round over pages which are not in the recording.
struct ScanMix {
  static constexpr uint64_t kPages = 200'000;

  // After so many requests of the recording so many of the scan; no scan if either is 0.
  uint64_t after_requests = 0;
  uint64_t scan_requests = 0;
  // What the cache is told of the scan's requests.
  granary::Access access = granary::Access::kNormal;
  // The scan's pages are [first_page, first_page + kPages).
  PageKey first_page = 0;

  bool is_on() const { return after_requests != 0 && scan_requests != 0; }
};

// The first page of a scan over pages above all of the recording's. kInvalidArgument if there are
// not so many numbers left.
Expected<PageKey> FirstScanPage(std::span<const uint64_t> trace);

struct HitCounts {
  uint64_t requests = 0;
  uint64_t hits = 0;

  uint64_t misses() const { return requests - hits; }
  // 0 to 1; of no request 0.
  double hit_ratio() const {
    return requests == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(requests);
  }
};

struct SimulationCounts {
  HitCounts trace;
  HitCounts scan;
};

SimulationCounts Simulate(std::span<const uint64_t> trace, const ScanMix& scan,
                          CacheUnderTest& cache);

// The same by several threads, each of which takes the next request that nobody has taken; the scan
// is one for all. `cache` is for any number of threads.
SimulationCounts SimulateThreads(std::span<const uint64_t> trace, const ScanMix& scan,
                                 CacheUnderTest& cache, size_t threads);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CACHE_SIM_SIMULATION_H_
