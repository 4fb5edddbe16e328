// Starting over alone, after N blocks of 4 KiB were filled. An operation is one Reset().
//
// Filling costs thousands of times what a good reset costs, and the library would go on until the
// time that counts is long enough. So its time covers both, and decides how often the round is
// repeated; the resets alone are timed here, those of four arenas to one reading of the processor's
// own counter, and published under the name that all other cases publish their rate under. More
// arenas of 100k blocks would need gigabytes.
//
// That counter may advance in steps as long as four resets (10 ns is usual). So every timing begins
// at a random place within a step, and what counts is the mean: the steps average out.
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"

namespace granary::bench {
namespace {

constexpr size_t kBlockBytes = 4096;
// An eighth of a block: no implementation gives it a block of its own.
constexpr size_t kObjectBytes = kBlockBytes / 8;
// Rounds go on until there are as many as are wanted or the time is up; one is always done.
constexpr size_t kRoundsWanted = 400;
constexpr std::chrono::milliseconds kRoundsTime(400);

// The time in ticks, read after everything before it has been done and before anything after it
// begins: otherwise the processor reads it while a few stores are still under way.
uint64_t Ticks() {
#if defined(__x86_64__)
  _mm_mfence();
  _mm_lfence();
  const uint64_t ticks = __rdtsc();
  _mm_lfence();
  return ticks;
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

double SecondsPerTick() {
  static const double seconds_per_tick = [] {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    const uint64_t ticks = Ticks();
    while (Clock::now() - start < std::chrono::milliseconds(5)) {
    }
    const std::chrono::duration<double> seconds = Clock::now() - start;
    return seconds.count() / static_cast<double>(Ticks() - ticks);
  }();
  return seconds_per_tick;
}

// Lets a random part of a step of the counter pass.
void Dither() {
  static uint32_t random = 1;
  random = random * 1664525 + 1013904223;
  for (uint32_t i = random >> 26; i > 0; --i) benchmark::DoNotOptimize(i);
}

template <class Function>
double TicksAround(const Function& run) {
  Dither();
  const uint64_t start = Ticks();
  run();
  return static_cast<double>(Ticks() - start);
}

// Without those that were interrupted, or found the caches empty.
double MeanOfUsual(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  const double most = *middle * 1.25;
  std::erase_if(values, [most](double value) { return value > most; });
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The ticks that reading them takes.
double TicksAroundNothing() {
  static const double ticks = [] {
    std::vector<double> values(10'000);
    for (double& value : values) value = TicksAround([] {});
    return MeanOfUsual(std::move(values));
  }();
  return ticks;
}

// One arena has 400 MB at 100k blocks.
constexpr size_t kArenas = 4;

template <class Implementation>
using Subjects = std::array<Subject<Implementation>, kArenas>;

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

// A function, so that all resets run the same instructions.
template <class Implementation>
[[gnu::noinline]] double TicksOfReset(const Subjects<Implementation>& arenas) {
  return TicksAround([&arenas] {
    for (const auto& arena : arenas) {
      (*arena).Reset();
      benchmark::ClobberMemory();
    }
  });
}

template <class Implementation>
void RunReset(benchmark::State& state, size_t block_count) {
  const Subjects<Implementation> arenas;
  // Filling goes through all caches; others that are hardly filled, and reset first, bring the code
  // back.
  const Subjects<Implementation> others;
  // The first round fetches blocks from malloc and faults their pages in; it is nobody's steady
  // state.
  Fill(arenas, block_count);
  TicksOfReset(arenas);

  std::vector<double> rounds;
  const double ticks_around_nothing = TicksAroundNothing();
  for (auto _ : state) {
    const auto time_up = std::chrono::steady_clock::now() + kRoundsTime;
    do {
      Fill(arenas, block_count);
      Fill(others, 1);
      benchmark::DoNotOptimize(TicksOfReset(others));
      rounds.push_back(TicksOfReset(arenas));
    } while (rounds.size() < kRoundsWanted && std::chrono::steady_clock::now() < time_up);
  }
  const double ticks = MeanOfUsual(std::move(rounds)) - ticks_around_nothing;
  // Nothing is published as faster than a tenth of a nanosecond.
  constexpr double kSecondsMin = 1e-10;
  state.counters["items_per_second"] =
      1 / std::max(ticks / static_cast<double>(kArenas) * SecondsPerTick(), kSecondsMin);
}

struct Depth {
  const char* name;
  size_t block_count;
};

constexpr Depth kDepths[] = {{"1", 1}, {"1k", 1'000}, {"100k", 100'000}};

}  // namespace

void RegisterResetCases() {
  ForEach<kBlockBytes>(ResetImplementations(), []<class I>() {
    for (const Depth& depth : kDepths) {
      Register(std::string("reset/") + depth.name, I::kName,
               [depth](benchmark::State& state) { RunReset<I>(state, depth.block_count); });
    }
  });
}

}  // namespace granary::bench
