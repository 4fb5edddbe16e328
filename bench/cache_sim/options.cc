#include "bench/cache_sim/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "bench/report/command_line.h"

namespace granary::bench {
namespace {

constexpr std::string_view kAllPolicies = "all";
constexpr size_t kThreadsMax = 1024;
// Of each side of --scan.
constexpr uint64_t kScanShareMax = 1'000'000;
constexpr uint64_t kUnitBytesMax = uint64_t{1} << 40;

OrFailure<void> ChoosePolicies(const std::vector<std::string>& names, CacheSimOptions& options) {
  for (const std::string& name : names) {
    bool is_known = false;
    for (const EvictionKind kind : kEvictionKinds) {
      if (name != kAllPolicies && name != EvictionKindName(kind)) continue;
      is_known = true;
      if (std::ranges::find(options.policies, kind) == options.policies.end()) {
        options.policies.push_back(kind);
      }
    }
    if (!is_known) {
      return Fail(kExitUsage, fmt::format("--policy: '{}' is none of s3fifo,twoq,clock,lru,all",
                                          OneLine(name)));
    }
  }
  return {};
}

std::optional<uint64_t> ShareOf(std::string_view text) {
  uint64_t share = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), share);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (share == 0 || share > kScanShareMax) return std::nullopt;
  return share;
}

OrFailure<void> ParseScan(CacheSimOptions& options) {
  const std::string_view text = options.scan;
  const size_t colon = text.find(':');
  const auto requests = ShareOf(text.substr(0, colon));
  const auto scans =
      colon == std::string_view::npos ? std::nullopt : ShareOf(text.substr(colon + 1));
  if (!requests || !scans) {
    return Fail(kExitUsage, fmt::format("--scan: '{}' is not REQUESTS:SCANNED, two numbers from 1 "
                                        "to {}",
                                        OneLine(options.scan), kScanShareMax));
  }
  options.scan_mix.after_requests = *requests;
  options.scan_mix.scan_requests = *scans;
  return {};
}

}  // namespace

OrFailure<CacheSimOptions> ParseCacheSimOptions(int argc, const char* const* argv) {
  CacheSimOptions options;
  std::string format = PageTraceFormatName(options.format.format);
  std::vector<std::string> policies = {std::string(kAllPolicies)};
  std::string json;
  bool scan_hints = false;
  CLI::App app("Sends a recording of page requests through the buffer pool's eviction policies.",
               "cache_sim");
  app.add_option("--trace", options.trace,
                 "The recording, plain, .gz or .zst; relative to the folder you stand in.")
      ->required()
      ->type_name("PATH");
  app.add_option("--format", format, "lis, lines, be32 or be64: see bench/traces/README.md.")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--block-bytes,--block_bytes", options.format.block_bytes,
                 "What a lis recording counts in.")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{1}, kUnitBytesMax))
      ->type_name("BYTES");
  app.add_option("--page-bytes,--page_bytes", options.format.page_bytes,
                 "The pages that the blocks of a lis recording lie in.")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{1}, kUnitBytesMax))
      ->type_name("BYTES");
  app.add_option("--pages", options.pages, "How many pages the pool has room for.")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(size_t{1}, kEvictionFramesMax))
      ->type_name("N[,N...]");
  app.add_option("--policy", policies, "s3fifo, twoq, clock, lru or all.")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str()
      ->type_name("NAME[,NAME...]");
  app.add_option("--threads", options.threads, "How many threads send the requests.")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1}, kThreadsMax))
      ->type_name("N");
  app.add_flag("--model", options.model,
               "Run the plain sequential model of each policy beside it.");
  const CLI::Option* const scan =
      app.add_option("--scan", options.scan,
                     "After so many requests, so many of a scan that goes round over 200,000 pages "
                     "which are not in the recording; its hits are counted apart.")
          ->type_name("REQUESTS:SCANNED");
  app.add_flag("--scan-hints,--scan_hints", scan_hints, "The scan says that it is one.");
  const CLI::Option* const json_option =
      app.add_option("--json", json, "Write the results here as well.")->type_name("PATH");
  app.footer(
      "Exit status: 0 all is simulated; 1 something failed; 2 the arguments or the "
      "recording make no sense.");
  auto help = ParseCommandLine(app, argc, argv);
  if (!help) return tl::unexpected<Failure>(help.error());
  options.help = *std::move(help);
  if (!options.help.empty()) return options;

  if (options.trace.empty()) return Fail(kExitUsage, "--trace: the path is empty");
  options.trace_path = AsThePersonMeans(options.trace);
  const auto known = PageTraceFormatOf(format);
  if (!known) {
    return Fail(kExitUsage,
                fmt::format("--format: '{}' is none of lis,lines,be32,be64", OneLine(format)));
  }
  options.format.format = *known;
  if (auto chosen = ChoosePolicies(policies, options); !chosen) {
    return tl::unexpected<Failure>(chosen.error());
  }
  if (scan->count() != 0) {
    if (auto parsed = ParseScan(options); !parsed) return tl::unexpected<Failure>(parsed.error());
  }
  if (scan_hints) {
    if (scan->count() == 0) return Fail(kExitUsage, "--scan-hints: there is no --scan to tell of");
    options.scan_mix.access = granary::Access::kScan;
  }
  if (json_option->count() != 0) {
    auto path = OutputPath("--json", json);
    if (!path) return tl::unexpected<Failure>(path.error());
    options.json_path = *std::move(path);
  }
  return options;
}

}  // namespace granary::bench
