// The steady state of arenas that several threads share: each thread asks for 2 MiB, all wait for
// each other, one starts over. The threads are new for each benchmark.
//
//   mix/THREADS            sizes uniform over 8 to 128 bytes
//   40/THREADS             40 bytes, which the compiler knows
//   contended_mix/THREADS  by threads that have met contention before
//   alternating/ARENAS     the mix on one thread, from so many arenas by turns
#include "bench/concurrent/cases.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "bench/arena/sizes.h"
#include "bench/concurrent/arenas.h"
#include "bench/concurrent/rounds.h"

namespace granary::bench {
namespace {

// How often a thread goes through a batch of 1 MiB in a round: the cost of meeting is then small.
constexpr int kBatches = 2;

// The batches are functions of their own: nothing of what is around competes for their registers.

template <class Held>
[[gnu::noinline]] void AllocateSizes(Held held, std::span<const uint32_t> sizes) {
  for (const uint32_t bytes : sizes) benchmark::DoNotOptimize(held.Aligned8(bytes));
}

template <size_t kBytes, class Held>
[[gnu::noinline]] void AllocateConstant(Held held, size_t count) {
  for (size_t i = 0; i < count; ++i) benchmark::DoNotOptimize(held.Aligned8(kBytes));
}

// The number of arenas is a power of two.
template <class Held>
[[gnu::noinline]] void AllocateByTurns(std::span<const Held> held,
                                       std::span<const uint32_t> sizes) {
  size_t turn = 0;
  for (const uint32_t bytes : sizes) {
    benchmark::DoNotOptimize(held[turn++ & (held.size() - 1)].Aligned8(bytes));
  }
}

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Calls `run` on a thread that has done nothing before.
template <class Run>
void OnANewThread(const Run& run) {
  std::thread(run).join();
}

// Rounds in which every thread calls `batch(held)`, and one warms up before the timed ones.
//
// A round's time is that of its slowest thread, from its own beginning to its own end, as if all
// had begun at once, and that of starting over. What threads wait for each other before and after
// is not in it; on a machine that does other things as well it would be most of it. Where threads
// share processors they wait for each other while they work, and all of the round counts.
template <class Implementation, class Batch>
void RunRounds(benchmark::State& state, size_t threads, bool contended, size_t batch_count,
               const Batch& batch) {
  struct alignas(64) Taken {
    double seconds = 0;
  };
  OnANewThread([&] {
    // On the heap, where others may know of it.
    const auto shared = std::make_unique<Implementation>(threads);
    std::atomic<bool> prepared = true;
    const auto prepare = [&](size_t /*thread*/) {
      if constexpr (requires { Implementation::Contend(); }) {
        if (contended && !Implementation::Contend()) prepared = false;
      }
    };
    prepare(0);
    std::vector<Taken> taken(threads);
    Rounds rounds(threads, prepare, [&](size_t thread) {
      const auto held = shared->Attach(thread);
      const Clock::time_point begin = Clock::now();
      for (int i = 0; i < kBatches; ++i) batch(held);
      taken[thread].seconds = SecondsSince(begin);
    });
    if (!prepared) state.SkipWithError("a thread met no contention");
    const bool processor_each = threads <= std::thread::hardware_concurrency();
    const auto round = [&] {
      Clock::time_point begin = Clock::now();
      rounds.Run();
      double seconds = SecondsSince(begin);
      if (processor_each) {
        seconds = 0;
        for (const Taken& one : taken) seconds = std::max(seconds, one.seconds);
      }
      begin = Clock::now();
      shared->Reset();
      return seconds + SecondsSince(begin);
    };
    round();
    for (auto _ : state) state.SetIterationTime(round());
    state.SetItemsProcessed(state.iterations() *
                            static_cast<int64_t>(threads * kBatches * batch_count));
  });
}

template <class Implementation>
void RegisterMix(const std::string& name, size_t threads, bool contended) {
  Register(name + std::to_string(threads), Implementation::kName, [=](benchmark::State& state) {
    const std::vector<uint32_t>& sizes = SmallMix();
    RunRounds<Implementation>(state, threads, contended, sizes.size(),
                              [&](auto held) { AllocateSizes(held, sizes); });
  });
}

template <class Implementation>
void RegisterConstant(size_t threads) {
  Register("40/" + std::to_string(threads), Implementation::kName, [=](benchmark::State& state) {
    constexpr size_t kCount = kBatchBytes / 40;
    RunRounds<Implementation>(state, threads, false, kCount,
                              [](auto held) { AllocateConstant<40>(held, kCount); });
  });
}

template <class Implementation>
void RegisterAlternating(size_t arenas_count) {
  Register("alternating/" + std::to_string(arenas_count), Implementation::kName,
           [=](benchmark::State& state) {
             OnANewThread([&] {
               std::vector<std::unique_ptr<Implementation>> arenas;
               for (size_t i = 0; i < arenas_count; ++i) {
                 arenas.push_back(std::make_unique<Implementation>(1));
               }
               const std::vector<uint32_t>& sizes = SmallMix();
               const auto round = [&] {
                 std::vector<decltype(arenas[0]->Attach(0))> held;
                 held.reserve(arenas.size());
                 for (const auto& arena : arenas) held.push_back(arena->Attach(0));
                 AllocateByTurns(std::span(std::as_const(held)), sizes);
                 for (const auto& arena : arenas) arena->Reset();
               };
               round();
               for (auto _ : state) {
                 const Clock::time_point begin = Clock::now();
                 round();
                 state.SetIterationTime(SecondsSince(begin));
               }
               state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(sizes.size()));
             });
           });
}

}  // namespace

void RegisterCases() {
  ForEachImplementation([]<class Implementation>() {
    for (const size_t threads : {1u, 2u, 8u}) {
      RegisterMix<Implementation>("mix/", threads, false);
      RegisterConstant<Implementation>(threads);
    }
    // Eight are contended anyway.
    for (const size_t threads : {1u, 2u}) {
      RegisterMix<Implementation>("contended_mix/", threads, true);
    }
    for (const size_t arenas : {1u, 8u}) RegisterAlternating<Implementation>(arenas);
  });
}

}  // namespace granary::bench
