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

// The batches are functions of their own: nothing of the benchmark's loop competes for their
// registers.

template <class Ask, class Implementation>
[[gnu::noinline]] void AllocateSizes(Implementation& implementation,
                                     std::span<const uint32_t> sizes) {
  for (const uint32_t bytes : sizes) {
    benchmark::DoNotOptimize(Ask::Allocate(implementation, bytes));
  }
  implementation.Reset();
}

// The compiler knows the size, as it knows a type's.
template <class Ask, size_t kBytes, class Implementation>
[[gnu::noinline]] void AllocateConstant(Implementation& implementation, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    benchmark::DoNotOptimize(Ask::Allocate(implementation, kBytes));
  }
  implementation.Reset();
}

// Only the program's input knows the size.
template <class Ask, class Implementation>
[[gnu::noinline]] void AllocateSize(Implementation& implementation, size_t bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    benchmark::DoNotOptimize(Ask::Allocate(implementation, bytes));
  }
  implementation.Reset();
}

// What the cases run. An operation is one allocation with its share of starting over.

template <class Implementation, class Ask>
void RunSizes(benchmark::State& state, std::span<const uint32_t> sizes) {
  const Subject<Implementation> subject;
  AllocateSizes<Ask>(*subject, sizes);
  for (auto _ : state) AllocateSizes<Ask>(*subject, sizes);
  SetOperations(state, sizes.size());
}

template <class Implementation, class Ask, size_t kBytes>
void RunConstant(benchmark::State& state, size_t batch_bytes) {
  const size_t count = batch_bytes / kBytes;
  const Subject<Implementation> subject;
  AllocateConstant<Ask, kBytes>(*subject, count);
  for (auto _ : state) AllocateConstant<Ask, kBytes>(*subject, count);
  SetOperations(state, count);
}

template <class Implementation, class Ask>
void RunSize(benchmark::State& state, size_t bytes, size_t batch_bytes) {
  const size_t count = batch_bytes / bytes;
  const Subject<Implementation> subject;
  AllocateSize<Ask>(*subject, bytes, count);
  for (auto _ : state) AllocateSize<Ask>(*subject, bytes, count);
  SetOperations(state, count);
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_BATCH_H_
