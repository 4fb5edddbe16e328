// A ring of page pointers from one thread to one other, of fixed capacity: what carries pages from
// a producer to its consumer. It costs two stores and two loads a page, and each side looks at the
// other's position only when it seems full or empty.
#ifndef GRANARY_BENCH_POOL_PAGE_RING_H_
#define GRANARY_BENCH_POOL_PAGE_RING_H_

#include <array>
#include <atomic>
#include <cstddef>

#include "bench/waiting.h"

namespace granary::bench {

class PageRing {
 public:
  static constexpr size_t kCapacity = 1024;

  void Push(std::byte* page) {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ == kCapacity) {
      Waiting waiting;
      while (tail - (head_seen_ = head_.load(std::memory_order_acquire)) == kCapacity) {
        waiting.Pause();
      }
    }
    pages_[tail % kCapacity] = page;
    tail_.store(tail + 1, std::memory_order_release);
  }

  std::byte* Pop() {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      Waiting waiting;
      while (head == (tail_seen_ = tail_.load(std::memory_order_acquire))) waiting.Pause();
    }
    std::byte* const page = pages_[head % kCapacity];
    head_.store(head + 1, std::memory_order_release);
    return page;
  }

 private:
  // The producer's line, and the consumer's.
  alignas(64) std::atomic<size_t> tail_ = 0;
  size_t head_seen_ = 0;
  alignas(64) std::atomic<size_t> head_ = 0;
  size_t tail_seen_ = 0;
  alignas(64) std::array<std::byte*, kCapacity> pages_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_POOL_PAGE_RING_H_
