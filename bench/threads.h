// Threads that begin together, and the time until the last of them has ended.
#ifndef GRANARY_BENCH_THREADS_H_
#define GRANARY_BENCH_THREADS_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include "bench/waiting.h"

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

}  // namespace granary::bench

#endif  // GRANARY_BENCH_THREADS_H_
