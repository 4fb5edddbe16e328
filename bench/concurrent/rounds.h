// Rounds: several threads do the same piece of work at the same time, again and again.
#ifndef GRANARY_BENCH_CONCURRENT_ROUNDS_H_
#define GRANARY_BENCH_CONCURRENT_ROUNDS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace granary::bench {

// One thread leads: the one that calls Run. Where there is a processor for every thread, the others
// spin between rounds, so that a round costs little more than the work; where there is not, they
// sleep.
class Rounds {
 public:
  // Work is called with the thread's number; the leader's is 0.
  using Work = std::function<void(size_t thread)>;

  // Starts the others, each of which calls `prepare` first.
  Rounds(size_t threads, const Work& prepare, Work work)
      : spin_(threads <= std::thread::hardware_concurrency()), work_(std::move(work)) {
    for (size_t thread = 1; thread < threads; ++thread) {
      others_.emplace_back([this, thread, prepare] {
        prepare(thread);
        Finish();
        for (uint64_t round = 1; WaitForRound(round); ++round) {
          work_(thread);
          Finish();
        }
      });
    }
    WaitForOthers();
  }

  ~Rounds() {
    stop_ = true;
    BeginRound();
    for (std::thread& other : others_) other.join();
  }

  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;

  // Everyone works once; returns when all have.
  void Run() {
    finished_.store(0, std::memory_order_relaxed);
    BeginRound();
    work_(0);
    WaitForOthers();
  }

 private:
  // Long enough for what the leader does between two rounds, and no longer.
  static constexpr int kSpins = 20'000;

  void BeginRound() {
    round_.fetch_add(1, std::memory_order_release);
    if (!spin_) round_.notify_all();
  }

  // False if there is none any more.
  bool WaitForRound(uint64_t round) {
    uint64_t seen;
    for (int spins = 0; (seen = round_.load(std::memory_order_acquire)) < round; ++spins) {
      Pause(round_, seen, spins);
    }
    return !stop_;
  }

  void Finish() {
    finished_.fetch_add(1, std::memory_order_release);
    if (!spin_) finished_.notify_all();
  }

  void WaitForOthers() {
    uint64_t seen;
    for (int spins = 0; (seen = finished_.load(std::memory_order_acquire)) < others_.size();
         ++spins) {
      Pause(finished_, seen, spins);
    }
  }

  void Pause(const std::atomic<uint64_t>& value, uint64_t seen, int spins) const {
    if (!spin_) {
      value.wait(seen, std::memory_order_acquire);
    } else if (spins < kSpins) {
      __builtin_ia32_pause();
    } else {
      std::this_thread::yield();
    }
  }

  const bool spin_;
  const Work work_;
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint64_t> round_{0};
  alignas(64) std::atomic<uint64_t> finished_{0};
  std::vector<std::thread> others_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CONCURRENT_ROUNDS_H_
