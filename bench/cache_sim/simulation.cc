#include "bench/cache_sim/simulation.h"

#include <algorithm>
#include <limits>
#include <string>

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

}  // namespace granary::bench
