// Starting over alone, after N blocks of 4 KiB were filled. An operation is one Reset().
//
// Filling costs thousands of times what a good reset costs, and the library would go on until the
// time that counts is long enough. So its time covers both, and decides how often the round is
// repeated; the resets alone are timed here, those of four arenas to one reading of the processor's
// own counter, and published under the name that all other cases publish their rate under. One
// reset would be below what the counter can tell; more arenas of 100k blocks would need gigabytes.
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
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
constexpr int kRounds = 9;

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

// The ticks that `run` takes, without those that reading them takes.
template <class Function>
double TicksOf(const Function& run) {
  benchmark::DoNotOptimize(Ticks());
  const uint64_t before = Ticks();
  const uint64_t start = Ticks();
  run();
  const uint64_t end = Ticks();
  return static_cast<double>(end - start) - static_cast<double>(start - before);
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
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

template <class Implementation>
[[gnu::noinline]] void Reset(const Subjects<Implementation>& arenas) {
  for (const auto& arena : arenas) {
    (*arena).Reset();
    benchmark::ClobberMemory();
  }
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
  Reset(arenas);

  std::vector<double> rounds;
  for (auto _ : state) {
    // Several rounds, so that one that was interrupted tells nothing; but a deep fill may be dear.
    const auto enough = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
    for (int round = 0;
         round == 0 || (round < kRounds && std::chrono::steady_clock::now() < enough); ++round) {
      Fill(arenas, block_count);
      Fill(others, 1);
      benchmark::DoNotOptimize(TicksOf([&] { Reset(others); }));
      rounds.push_back(TicksOf([&] { Reset(arenas); }) / static_cast<double>(kArenas));
    }
  }
  // Nothing is published as faster than a tenth of a nanosecond.
  constexpr double kSecondsMin = 1e-10;
  state.counters["items_per_second"] =
      1 / std::max(Median(std::move(rounds)) * SecondsPerTick(), kSecondsMin);
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
