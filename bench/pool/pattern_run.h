// Runs a pattern on some threads and times it by the clock on the wall: from the moment at which
// all of them are ready until the last has done its batches.
#ifndef GRANARY_BENCH_POOL_PATTERN_RUN_H_
#define GRANARY_BENCH_POOL_PATTERN_RUN_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "bench/pool/waiting.h"

namespace granary::bench {

// Where threads wait for each other. They wait awake: a thread that sleeps begins microseconds
// after the others.
class StartLine {
 public:
  using Clock = std::chrono::steady_clock;

  explicit StartLine(size_t thread_count) : missing_(thread_count) {}

  void Wait() {
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      start_ = Clock::now();
      open_.store(true, std::memory_order_release);
      return;
    }
    Waiting waiting;
    while (!open_.load(std::memory_order_acquire)) waiting.Pause();
  }

  Clock::time_point start() const { return start_; }

 private:
  std::atomic<size_t> missing_;
  std::atomic<bool> open_ = false;
  Clock::time_point start_;
};

// Calls `run(thread, start_line)` for each thread, the first of which is the caller's own; returns
// the seconds from the start to the last one's end.
template <class Run>
double SecondsOnThreads(size_t thread_count, const Run& run) {
  StartLine line(thread_count);
  std::vector<StartLine::Clock::time_point> ends(thread_count);
  std::vector<std::thread> others;
  for (size_t thread = 1; thread < thread_count; ++thread) {
    others.emplace_back([&, thread] { ends[thread] = run(thread, line); });
  }
  ends[0] = run(0, line);
  for (std::thread& other : others) other.join();
  const std::chrono::duration<double> seconds = *std::ranges::max_element(ends) - line.start();
  return seconds.count();
}

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
