// The steady state: a batch of allocations, then start over, again and again. One batch goes before
// the timed ones: where blocks are kept, fetching them is nobody's steady state. Nothing is written
// to what is allocated, so that what is timed is the allocator and not the memory.
#ifndef GRANARY_BENCH_ARENA_BATCH_H_
#define GRANARY_BENCH_ARENA_BATCH_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "bench/arena/cases.h"

namespace granary::bench {

// The ways to ask, as types, so that each loop is compiled for its own.
struct AskAligned {
  template <class Implementation>
  static void* Allocate(Implementation& implementation, size_t bytes) {
    return implementation.Aligned(bytes);
  }
};
struct AskAligned8 {
  template <class Implementation>
  static void* Allocate(Implementation& implementation, size_t bytes) {
    return implementation.Aligned8(bytes);
  }
};
struct AskBytes {
  template <class Implementation>
  static void* Allocate(Implementation& implementation, size_t bytes) {
    return implementation.Bytes(bytes);
  }
};

inline void SetOperations(benchmark::State& state, size_t operations_per_iteration) {
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(operations_per_iteration));
}

// An operation is one allocation with its share of starting over.
template <class Implementation, class Ask>
void RunSizes(benchmark::State& state, std::span<const uint32_t> sizes) {
  Implementation implementation;
  LetEscape(implementation);
  const auto run_batch = [&] {
    for (const uint32_t bytes : sizes) {
      benchmark::DoNotOptimize(Ask::Allocate(implementation, bytes));
    }
    implementation.Reset();
  };
  run_batch();
  for (auto _ : state) run_batch();
  SetOperations(state, sizes.size());
}

// The same with one size that the compiler knows, as it knows a type's.
template <class Implementation, class Ask, size_t kBytes>
void RunConstant(benchmark::State& state, size_t batch_bytes) {
  const size_t count = batch_bytes / kBytes;
  Implementation implementation;
  LetEscape(implementation);
  const auto run_batch = [&] {
    for (size_t i = 0; i < count; ++i) {
      benchmark::DoNotOptimize(Ask::Allocate(implementation, kBytes));
    }
    implementation.Reset();
  };
  run_batch();
  for (auto _ : state) run_batch();
  SetOperations(state, count);
}

// The same with one size that only the program's input knows.
template <class Implementation, class Ask>
void RunSize(benchmark::State& state, size_t bytes, size_t batch_bytes) {
  const size_t count = batch_bytes / bytes;
  benchmark::DoNotOptimize(bytes);
  Implementation implementation;
  LetEscape(implementation);
  const auto run_batch = [&] {
    for (size_t i = 0; i < count; ++i) {
      benchmark::DoNotOptimize(Ask::Allocate(implementation, bytes));
    }
    implementation.Reset();
  };
  run_batch();
  for (auto _ : state) run_batch();
  SetOperations(state, count);
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_BATCH_H_
