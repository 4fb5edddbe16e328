// Runs a pattern on some threads and times it by the clock on the wall: from the moment at which
// all of them are ready until the last has done its batches.
#ifndef GRANARY_BENCH_POOL_PATTERN_RUN_H_
#define GRANARY_BENCH_POOL_PATTERN_RUN_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "bench/threads.h"

namespace granary::bench {

// What a pool needs to hear of the threads that use it, if anything.
template <class Pool>
class ThreadOfPool {
 public:
  explicit ThreadOfPool(Pool& pool) : pool_(pool) {
    if constexpr (requires { pool.EnterThread(); }) pool_.EnterThread();
  }
  ~ThreadOfPool() {
    if constexpr (requires { pool_.LeaveThread(); }) pool_.LeaveThread();
  }
  ThreadOfPool(const ThreadOfPool&) = delete;
  ThreadOfPool& operator=(const ThreadOfPool&) = delete;

 private:
  Pool& pool_;
};

// What a thread allocates from.
template <class Pool>
using HandleOf = std::remove_reference_t<decltype(std::declval<Pool&>().ForThread(0))>;

// `Worker` is a pattern over a pool, as patterns.h has them. The pool, on the heap, where engines
// have theirs, and the threads are made anew for each call of the benchmark; before the timed
// batches comes one that is not timed, and has touched what is touched.
template <class Pool, class Worker>
void RunPattern(benchmark::State& state, size_t thread_count) {
  const auto pool = std::make_unique<Pool>(thread_count, Worker::kLivePages);
  benchmark::DoNotOptimize(static_cast<void*>(pool.get()));
  typename Worker::Shared shared(thread_count);
  const auto batches = static_cast<size_t>(state.max_iterations);
  while (state.KeepRunningBatch(state.max_iterations)) {
    state.SetIterationTime(SecondsOnThreads(thread_count, [&](size_t thread, StartLine& line) {
      const ThreadOfPool<Pool> thread_of_pool(*pool);
      Worker worker(pool->ForThread(thread), shared, thread);
      worker.RunBatch();
      line.Wait();
      for (size_t i = 0; i < batches; ++i) worker.RunBatch();
      return StartLine::Clock::now();
    }));
  }
  state.SetItemsProcessed(static_cast<int64_t>(batches * Worker::Pairs(thread_count)));
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_POOL_PATTERN_RUN_H_
