// The page-trace simulator: reads a recording, sends it through each policy and shows the hits.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/cache_sim/models.h"
#include "bench/cache_sim/options.h"
#include "bench/cache_sim/pool_cache.h"
#include "bench/cache_sim/results.h"
#include "bench/cache_sim/simulation.h"
#include "bench/report/output_file.h"
#include "bench/report/progress.h"
#include "bench/traces/page_trace.h"

namespace granary::bench {
namespace {

OrFailure<CacheResult> RunOne(const std::vector<uint64_t>& trace, const CacheSimOptions& options,
                              EvictionKind kind, size_t pages) {
  CacheResult result;
  result.policy = EvictionKindName(kind);
  result.pages = pages;
  result.threads = options.threads;
  {
    const auto cache = PoolCache::Create(kind, pages);
    if (!cache) return Fail(kExitIncomplete, cache.error().message);
    result.counts = SimulateThreads(trace, options.scan_mix, **cache, options.threads);
  }
  if (options.model) {
    result.model = Simulate(trace, options.scan_mix, *MakeModel(kind, pages));
  }
  return result;
}

OrFailure<int> Run(int argc, char** argv) {
  auto options = ParseCacheSimOptions(argc, argv);
  if (!options) return tl::unexpected<Failure>(options.error());
  if (!options->help.empty()) {
    std::printf("%s", options->help.c_str());
    return kExitSuccess;
  }
  Progress progress;
  progress.Show("reading " + options->trace);
  const auto trace = ReadPageTrace(options->trace_path.string(), options->format);
  if (!trace) return Fail(kExitUsage, trace.error().message);
  if (options->scan_mix.is_on()) {
    const auto first = FirstScanPage(*trace);
    if (!first) return Fail(kExitUsage, "--scan: " + first.error().message);
    options->scan_mix.first_page = *first;
  }

  CacheResults results{.trace = options->trace,
                       .format = PageTraceFormatName(options->format.format),
                       .scan = options->scan,
                       .scan_hints = options->scan_mix.access == granary::Access::kScan,
                       .results = {}};
  for (const size_t pages : options->pages) {
    for (const EvictionKind kind : options->policies) {
      progress.Show(std::string(EvictionKindName(kind)) + ", " + std::to_string(pages) + " pages");
      auto result = RunOne(*trace, *options, kind, pages);
      if (!result) return tl::unexpected<Failure>(result.error());
      results.results.push_back(*std::move(result));
    }
  }
  progress.Clear();
  std::printf("%s", RenderCacheText(results).c_str());
  std::fflush(stdout);
  if (!options->json_path.empty()) {
    if (auto written = WriteWhole(options->json_path, RenderCacheJson(results)); !written) {
      return tl::unexpected<Failure>(written.error());
    }
  }
  return kExitSuccess;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) {
  const auto status = granary::bench::Run(argc, argv);
  if (status) return *status;
  std::fprintf(stderr, "cache_sim: %s\n", status.error().message.c_str());
  return status.error().exit_status;
}
