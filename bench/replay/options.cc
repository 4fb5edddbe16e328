#include "bench/replay/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "bench/report/command_line.h"

namespace granary::bench {
namespace {

constexpr int kRepetitionsMax = 10'000;
constexpr uint64_t kRegionBytesMin = 4096;
constexpr uint64_t kRegionBytesMax = uint64_t{1} << 62;

std::string AllocatorNames() {
  std::vector<std::string_view> names;
  names.reserve(std::size(kReplayAllocators));
  for (const ReplayAllocator& allocator : kReplayAllocators) names.push_back(allocator.name);
  return fmt::format("{}", fmt::join(names, ","));
}

OrFailure<void> ChooseAllocators(const std::vector<std::string>& names, ReplayOptions& options) {
  if (names.empty()) {
    options.allocators.assign(kReplayAllocators.begin(), kReplayAllocators.end());
    return {};
  }
  for (const std::string& name : names) {
    const auto* const known = std::ranges::find(kReplayAllocators, name, &ReplayAllocator::name);
    if (known == kReplayAllocators.end()) {
      return Fail(kExitUsage,
                  fmt::format("--allocator: '{}' is none of {}", OneLine(name), AllocatorNames()));
    }
    if (std::ranges::find(options.allocators, name, &ReplayAllocator::name) ==
        options.allocators.end()) {
      options.allocators.push_back(*known);
    }
  }
  return {};
}

}  // namespace

OrFailure<ReplayOptions> ParseReplayOptions(int argc, const char* const* argv) {
  ReplayOptions options;
  std::vector<std::string> traces;
  std::vector<std::string> allocators;
  std::string json;
  CLI::App app("Replays recordings of malloc (.rep, .rep.gz) on granary's regions and their peers.",
               "replay");
  app.add_option("--trace", traces, "The recordings; relative to the folder you stand in.")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("PATH[,PATH...]");
  app.add_option("--allocator", allocators,
                 fmt::format("Replay on these alone; there are {}.", AllocatorNames()))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME[,NAME...]");
  app.add_option("--repetitions", options.repetitions, "Replay so often on each.")
      ->capture_default_str()
      ->check(CLI::Range(1, kRepetitionsMax))
      ->type_name("N");
  app.add_flag("--verify", options.verify,
               "Write and check every payload, before the timed replay.");
  const CLI::Option* const size =
      app.add_option("--region_bytes", options.region_bytes,
                     "The size of the regions. Without it: four times the recording's peak of live "
                     "bytes, at least 1 GiB.")
          ->check(CLI::Range(kRegionBytesMin, kRegionBytesMax))
          ->type_name("BYTES");
  const CLI::Option* const json_option =
      app.add_option("--json", json, "Write the results here as well.")->type_name("PATH");
  app.footer(
      "Exit status: 0 all is replayed; 1 something failed, the rest is replayed; 2 the arguments "
      "or "
      "a recording make no sense.");
  auto help = ParseCommandLine(app, argc, argv);
  if (!help) return tl::unexpected<Failure>(help.error());
  options.help = *std::move(help);
  if (!options.help.empty()) return options;

  if (auto chosen = ChooseAllocators(allocators, options); !chosen) {
    return tl::unexpected<Failure>(chosen.error());
  }
  for (const std::string& trace : traces) {
    if (trace.empty()) return Fail(kExitUsage, "--trace: a path is empty");
    options.traces.push_back({trace, AsThePersonMeans(trace)});
  }
  if (size->count() != 0) options.region_bytes -= options.region_bytes % kRegionBytesMin;
  if (json_option->count() != 0) {
    auto path = OutputPath("--json", json);
    if (!path) return tl::unexpected<Failure>(path.error());
    options.json_path = *std::move(path);
  }
  return options;
}

}  // namespace granary::bench
