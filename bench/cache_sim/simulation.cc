#include "bench/cache_sim/simulation.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace granary::bench {

Expected<PageKey> FirstScanPage(std::span<const uint64_t> trace) {
  const uint64_t last = trace.empty() ? 0 : *std::ranges::max_element(trace);
  if (last < std::numeric_limits<uint64_t>::max() - ScanMix::kPages) return last + 1;
  return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                              .message = "a scan needs " + std::to_string(ScanMix::kPages) +
                                         " pages above the recording's last, " +
                                         std::to_string(last),
                              .where = "FirstScanPage"});
}

SimulationCounts Simulate(std::span<const uint64_t> trace, const ScanMix& scan,
                          CacheUnderTest& cache) {
  SimulationCounts counts;
  counts.trace.requests = trace.size();
  uint64_t until_scan = scan.is_on() ? scan.after_requests : std::numeric_limits<uint64_t>::max();
  for (const uint64_t page : trace) {
    if (cache.Access(page, granary::Access::kNormal)) ++counts.trace.hits;
    if (--until_scan != 0) continue;
    until_scan = scan.after_requests;
    for (uint64_t i = 0; i < scan.scan_requests; ++i) {
      const PageKey scanned = scan.first_page + counts.scan.requests++ % ScanMix::kPages;
      if (cache.Access(scanned, scan.access)) ++counts.scan.hits;
    }
  }
  return counts;
}

SimulationCounts SimulateThreads(std::span<const uint64_t> trace, const ScanMix& scan,
                                 CacheUnderTest& cache, size_t threads) {
  std::atomic<size_t> next = 0;
  std::atomic<uint64_t> next_scanned = 0;
  std::vector<SimulationCounts> counts(threads);
  const auto run = [&](SimulationCounts& mine) {
    // A few at a time, or the threads would do little else than take numbers.
    constexpr size_t kTaken = 16;
    HitCounts own;
    HitCounts scanned;
    for (size_t first; (first = next.fetch_add(kTaken)) < trace.size();) {
      const size_t last = std::min(first + kTaken, trace.size());
      for (size_t i = first; i < last; ++i) {
        ++own.requests;
        if (cache.Access(trace[i], granary::Access::kNormal)) ++own.hits;
        if (!scan.is_on() || (i + 1) % scan.after_requests != 0) continue;
        for (uint64_t n = 0; n < scan.scan_requests; ++n) {
          ++scanned.requests;
          const PageKey page = scan.first_page + next_scanned.fetch_add(1) % ScanMix::kPages;
          if (cache.Access(page, scan.access)) ++scanned.hits;
        }
      }
    }
    mine = {own, scanned};
  };
  std::vector<std::thread> running;
  for (size_t t = 1; t < threads; ++t) running.emplace_back(run, std::ref(counts[t]));
  run(counts[0]);
  for (std::thread& thread : running) thread.join();
  SimulationCounts all;
  for (const SimulationCounts& one : counts) {
    all.trace.requests += one.trace.requests;
    all.trace.hits += one.trace.hits;
    all.scan.requests += one.scan.requests;
    all.scan.hits += one.scan.hits;
  }
  return all;
}

}  // namespace granary::bench
