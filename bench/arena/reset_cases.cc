// Starting over alone, after N blocks of 4 KiB were filled. An operation is one Reset().
//
// Filling costs thousands of times what a good reset costs, and the library would go on until the
// time that counts is long enough. So its time covers both, and decides how often the round is
// repeated; the resets alone are timed here, many arenas to one reading of the clock where memory
// allows it, and published under the name that all other cases publish their rate under.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"

namespace granary::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBlockBytes = 4096;
// An eighth of a block: no implementation gives it a block of its own.
constexpr size_t kObjectBytes = kBlockBytes / 8;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What reading the clock twice adds to what is between.
double ClockSeconds() {
  static const double seconds = [] {
    constexpr int kReadings = 100'000;
    double sum = 0;
    for (int i = 0; i < kReadings; ++i) sum += SecondsSince(Clock::now());
    return sum / kReadings;
  }();
  return seconds;
}

template <class Implementation>
void RunReset(benchmark::State& state, size_t block_count, size_t arena_count) {
  const auto arenas = std::make_unique<Implementation[]>(arena_count);
  const auto fill = [&](Implementation& arena) {
    for (size_t i = 0; i < block_count * (kBlockBytes / kObjectBytes); ++i) {
      benchmark::DoNotOptimize(arena.Aligned(kObjectBytes));
    }
  };
  // The first round fetches blocks from malloc and faults their pages in; it is nobody's steady
  // state.
  for (size_t i = 0; i < arena_count; ++i) {
    LetEscape(arenas[i]);
    fill(arenas[i]);
    arenas[i].Reset();
  }

  double seconds = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < arena_count; ++i) fill(arenas[i]);
    const Clock::time_point start = Clock::now();
    for (size_t i = 0; i < arena_count; ++i) {
      arenas[i].Reset();
      benchmark::ClobberMemory();
    }
    seconds += SecondsSince(start) - ClockSeconds();
  }
  const auto resets = static_cast<double>(state.iterations()) * static_cast<double>(arena_count);
  // A reset that is as fast as the clock's error must not come out as negative or infinite.
  constexpr double kSecondsMin = 1e-10;
  state.counters["items_per_second"] = 1 / std::max(seconds / resets, kSecondsMin);
}

struct Depth {
  const char* name;
  size_t block_count;
  // As many as stay in the first-level cache, and 400 MB of blocks at most.
  size_t arena_count;
};

constexpr Depth kDepths[] = {{"1", 1, 32}, {"1k", 1'000, 8}, {"100k", 100'000, 1}};

}  // namespace

void RegisterResetCases() {
  ForEach<kBlockBytes>(ResetImplementations(), []<class I>() {
    for (const Depth& depth : kDepths) {
      Register(std::string("reset/") + depth.name, I::kName, [depth](benchmark::State& state) {
        RunReset<I>(state, depth.block_count, depth.arena_count);
      });
    }
  });
}

}  // namespace granary::bench
