// What replays found out, and how it is shown.
#ifndef GRANARY_BENCH_REPLAY_RESULTS_H_
#define GRANARY_BENCH_REPLAY_RESULTS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tl/expected.hpp"

namespace granary::bench {

// One recording on one allocator.
struct ReplayResult {
  std::string trace;
  std::string allocator;
  size_t operations = 0;
  // One for each repetition.
  std::vector<double> operations_per_second;
  // The rest is of the first repetition.
  size_t peak_live_bytes = 0;
  // A region's high-water mark is its highest end, a malloc's the resident memory.
  bool is_region = false;
  // Nothing where it could not be measured.
  std::optional<size_t> high_water_bytes;
  // When the peak was reached. Nothing for those that do not tell.
  std::optional<size_t> free_ranges;
  size_t failures = 0;
  bool verified = false;

  // Live bytes at the peak for each byte below the high-water mark.
  std::optional<double> utilization() const;
};

// Adds what a worker has printed; says what is wrong with it otherwise.
tl::expected<void, std::string> AddRepetition(std::string_view json, ReplayResult& result);

// A table for each recording.
std::string RenderReplayText(const std::vector<ReplayResult>& results);

// {"results": [{"trace", "allocator", "operations_per_second", ...}]}, as bench/README.md has it.
std::string RenderReplayJson(const std::vector<ReplayResult>& results);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPLAY_RESULTS_H_
