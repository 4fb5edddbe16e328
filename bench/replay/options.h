// What the command line of the replay asks for.
#ifndef GRANARY_BENCH_REPLAY_OPTIONS_H_
#define GRANARY_BENCH_REPLAY_OPTIONS_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report/failure.h"

namespace granary::bench {

struct ReplayAllocator {
  std::string_view name;
  // The one that has it among the replay's helpers.
  std::string_view program;
};

// In the order of the results.
inline constexpr std::array kReplayAllocators = {
    ReplayAllocator{"region", "replay_worker"},
    ReplayAllocator{"region_best_lowest", "replay_worker"},
    ReplayAllocator{"region_tracked", "replay_worker"},
    ReplayAllocator{"malloc", "replay_worker"},
    ReplayAllocator{"jemalloc", "replay_worker_jemalloc"},
    ReplayAllocator{"mimalloc", "replay_worker_mimalloc"},
    ReplayAllocator{"tcmalloc", "replay_worker_tcmalloc"},
    ReplayAllocator{"boost_rbtree", "replay_worker"},
    ReplayAllocator{"boost_rbtree_offset", "replay_worker"},
};

struct ReplayOptions {
  struct Trace {
    // As the person gave it.
    std::string name;
    std::filesystem::path path;
  };
  std::vector<Trace> traces;
  std::vector<ReplayAllocator> allocators;
  int repetitions = 9;
  bool verify = false;
  // Of regions; 0 is what each trace needs.
  uint64_t region_bytes = 0;
  // Empty without --json.
  std::filesystem::path json_path;
  // The answer to --help, if that was asked for; everything else is meaningless then.
  std::string help;
};

// Checks everything but what is in the traces.
OrFailure<ReplayOptions> ParseReplayOptions(int argc, const char* const* argv);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPLAY_OPTIONS_H_
