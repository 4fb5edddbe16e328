// Starting over alone, after N blocks of 4 KiB were filled. An operation is one Reset().
//
// Filling costs thousands of times what a good reset costs, and the library would go on until the
// time that counts is long enough. So its time covers both, and decides how often the round is
// repeated; the resets alone are timed here, several arenas to one reading of the clock where
// memory allows it, and published under the name that all other cases publish their rate under.
// With a single arena, at 100k, the figure is good to a few nanoseconds.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <numeric>
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

// The time, after everything before it has been done: otherwise the processor reads the clock while
// the last resets are still under way, and a few stores seem to take no time at all.
Clock::time_point Now() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return Clock::now();
}

// The seconds that `run` takes, without those that reading the clock takes: the first reading
// brings the clock's code back into the cache, the next two tell what a reading costs here and now.
template <class Function>
double TimeAlone(const Function& run) {
  benchmark::DoNotOptimize(Now());
  const Clock::time_point before = Now();
  const Clock::time_point start = Now();
  run();
  const Clock::time_point end = Now();
  return std::chrono::duration<double>((end - start) - (start - before)).count();
}

// The mean of the middle half: unlike the whole mean it is not moved by a round that was
// interrupted, and unlike the median it sees below the clock's resolution, 10 ns on some virtual
// machines.
double MiddleMean(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto quarter = static_cast<ptrdiff_t>(values.size() / 4);
  const auto first = values.begin() + quarter;
  const auto last = values.end() - quarter;
  return std::accumulate(first, last, 0.0) / static_cast<double>(last - first);
}

template <class Implementation>
using Subjects = std::vector<Subject<Implementation>>;

// The last block of each is filled when all others are full: a reset follows on the last use, and
// finds the arena itself in the cache.
template <class Implementation>
void Fill(const Subjects<Implementation>& arenas, size_t block_count) {
  constexpr size_t kObjectsPerBlock = kBlockBytes / kObjectBytes;
  for (const size_t objects : {(block_count - 1) * kObjectsPerBlock, kObjectsPerBlock}) {
    for (const auto& arena : arenas) {
      for (size_t i = 0; i < objects; ++i) {
        benchmark::DoNotOptimize((*arena).Aligned(kObjectBytes));
      }
    }
  }
}

template <class Implementation>
[[gnu::noinline]] void Reset(const Subjects<Implementation>& arenas) {
  for (const auto& arena : arenas) {
    (*arena).Reset();
    benchmark::ClobberMemory();
  }
}

template <class Implementation>
void RunReset(benchmark::State& state, size_t block_count, size_t arena_count) {
  const Subjects<Implementation> arenas(arena_count);
  // Filling goes through all caches; one that is hardly filled, and reset first, brings the code
  // back.
  const Subjects<Implementation> other(1);
  // The first round fetches blocks from malloc and faults their pages in; it is nobody's steady
  // state.
  Fill(arenas, block_count);
  Reset(arenas);

  std::vector<double> rounds;
  for (auto _ : state) {
    Fill(arenas, block_count);
    Fill(other, 1);
    benchmark::DoNotOptimize(TimeAlone([&] { Reset(other); }));
    rounds.push_back(TimeAlone([&] { Reset(arenas); }));
  }
  // Nothing is published as faster than a nanosecond to one reading, which is the clock's unit.
  constexpr double kSecondsMin = 1e-9;
  const double seconds = std::max(MiddleMean(std::move(rounds)), kSecondsMin);
  state.counters["items_per_second"] = static_cast<double>(arena_count) / seconds;
}

struct Depth {
  const char* name;
  size_t block_count;
  // Filled at once, and reset to one reading of the clock: 400 MB of blocks at most.
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
