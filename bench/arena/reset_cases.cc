// Starting over alone, after N blocks of 4 KiB were filled. An operation is one Reset().
//
// Filling costs thousands of times what a good reset costs, and the library would go on until the
// time that counts is long enough. So its time covers both, and decides how often the round is
// repeated; the resets alone are timed here, many arenas to one reading of the clock where memory
// allows it, and published under the name that all other cases publish their rate under.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"

namespace granary::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBlockBytes = 4096;
// An eighth of a block: no implementation gives it a block of its own.
constexpr size_t kObjectBytes = kBlockBytes / 8;

// The seconds that `run` takes, without those that reading the clock takes: the first reading
// brings the clock's code back into the cache, the next two tell what a reading costs here and now.
template <class Function>
double TimeAlone(const Function& run) {
  benchmark::DoNotOptimize(Clock::now());
  const Clock::time_point before = Clock::now();
  const Clock::time_point start = Clock::now();
  run();
  const Clock::time_point end = Clock::now();
  return std::chrono::duration<double>((end - start) - (start - before)).count();
}

// Unlike the mean, it is not moved by a round that was interrupted.
double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <class Implementation>
void RunReset(benchmark::State& state, size_t block_count, size_t arena_count) {
  const std::vector<Subject<Implementation>> arenas(arena_count);
  const auto fill = [&](Implementation& arena) {
    for (size_t i = 0; i < block_count * (kBlockBytes / kObjectBytes); ++i) {
      benchmark::DoNotOptimize(arena.Aligned(kObjectBytes));
    }
  };
  // The first round fetches blocks from malloc and faults their pages in; it is nobody's steady
  // state.
  for (const auto& arena : arenas) {
    fill(*arena);
    (*arena).Reset();
  }

  std::vector<double> rounds;
  for (auto _ : state) {
    for (const auto& arena : arenas) fill(*arena);
    rounds.push_back(TimeAlone([&] {
      for (const auto& arena : arenas) {
        (*arena).Reset();
        benchmark::ClobberMemory();
      }
    }));
  }
  // A reset that is as fast as the clock's error must not come out as negative or infinite.
  constexpr double kSecondsMin = 1e-10;
  const double seconds = Median(std::move(rounds)) / static_cast<double>(arena_count);
  state.counters["items_per_second"] = 1 / std::max(seconds, kSecondsMin);
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
