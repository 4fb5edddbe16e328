// The orders in which pages are allocated and freed. An operation is a pair: one page allocated,
// and one freed.
//
// Each pattern is what one thread does, a class over the pool and over whether the first word of
// each page is written: it is constructed on its thread, RunBatch() is called again and again, and
// it frees what it still has in the end. `Shared` is what the threads of a run have in common,
// kLivePages how many pages a thread has out at most, Pairs(threads) how many pairs all threads
// together make in a batch.
//
// The batches are functions of their own: nothing of the benchmark's loop competes for their
// registers.
#ifndef GRANARY_BENCH_POOL_PATTERNS_H_
#define GRANARY_BENCH_POOL_PATTERNS_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "bench/pool/page_ring.h"

namespace granary::bench {

// Pages live at once, and pairs of a batch.
inline constexpr size_t kPages = 1000;

template <bool kTouch, class Pool>
[[gnu::always_inline]] inline std::byte* AllocatePage(Pool& pool) {
  void* const page = pool.Allocate();
  if constexpr (kTouch) *static_cast<uint64_t*>(page) = 1;
  benchmark::DoNotOptimize(page);
  return static_cast<std::byte*>(page);
}

// The clobber keeps the compiler from seeing that the page which is freed is the one that is
// allocated next, and from leaving both out.
template <class Pool>
[[gnu::always_inline]] inline void FreePage(Pool& pool, std::byte* page) {
  pool.Deallocate(page);
  benchmark::ClobberMemory();
}

struct NothingShared {
  explicit NothingShared(size_t /*thread_count*/) {}
};

// Allocates a page and frees it.
template <class Pool, bool kTouch>
class Lifo {
 public:
  using Shared = NothingShared;
  static constexpr size_t kLivePages = 1;
  static constexpr size_t Pairs(size_t thread_count) { return kPages * thread_count; }

  Lifo(Pool& pool, Shared&, size_t /*thread*/) : pool_(pool) {}

  [[gnu::noinline]] void RunBatch() {
    Pool& pool = pool_;
    for (size_t i = 0; i < kPages; ++i) FreePage(pool, AllocatePage<kTouch>(pool));
  }

 private:
  Pool& pool_;
};

// Among 1000 live pages, replaces one after the other at random: the new page is allocated before
// the old one is freed.
template <class Pool, bool kTouch>
class RandomReplacement {
 public:
  using Shared = NothingShared;
  static constexpr size_t kLivePages = kPages + 1;
  static constexpr size_t Pairs(size_t thread_count) { return kOrder * thread_count; }

  RandomReplacement(Pool& pool, Shared&, size_t thread) : pool_(pool) {
    std::minstd_rand random(static_cast<uint32_t>(thread + 1));
    std::uniform_int_distribution<uint32_t> slot(0, kPages - 1);
    std::ranges::generate(order_, [&] { return static_cast<uint16_t>(slot(random)); });
    std::ranges::generate(pages_, [&] { return AllocatePage<kTouch>(pool_); });
  }
  ~RandomReplacement() {
    for (std::byte* const page : pages_) FreePage(pool_, page);
  }
  RandomReplacement(const RandomReplacement&) = delete;
  RandomReplacement& operator=(const RandomReplacement&) = delete;

  [[gnu::noinline]] void RunBatch() {
    Pool& pool = pool_;
    for (const uint16_t slot : order_) {
      std::byte* const page = AllocatePage<kTouch>(pool);
      FreePage(pool, pages_[slot]);
      pages_[slot] = page;
    }
  }

 private:
  // Long enough that the processor does not learn it by heart.
  static constexpr size_t kOrder = 4096;

  Pool& pool_;
  std::array<std::byte*, kPages> pages_;
  std::array<uint16_t, kOrder> order_;
};

// Allocates 1000 pages, then frees them all, in the order in which they came or in reverse.
template <class Pool, bool kTouch, bool kReverse>
class Burst {
 public:
  using Shared = NothingShared;
  static constexpr size_t kLivePages = kPages;
  static constexpr size_t Pairs(size_t thread_count) { return kPages * thread_count; }

  Burst(Pool& pool, Shared&, size_t /*thread*/) : pool_(pool) {}

  [[gnu::noinline]] void RunBatch() {
    Pool& pool = pool_;
    for (size_t i = 0; i < kPages; ++i) pages_[i] = AllocatePage<kTouch>(pool);
    for (size_t i = 0; i < kPages; ++i) {
      FreePage(pool, pages_[kReverse ? kPages - 1 - i : i]);
    }
  }

 private:
  Pool& pool_;
  std::array<std::byte*, kPages> pages_;
};

// Threads in twos: one allocates and hands over, the other frees.
template <class Pool, bool kTouch>
class ProducerConsumer {
 public:
  class Shared {
   public:
    explicit Shared(size_t thread_count) : rings_(thread_count / 2) {}
    PageRing& RingOf(size_t thread) { return rings_[thread / 2]; }

   private:
    std::vector<PageRing> rings_;
  };
  // With what the pools' own caches may keep back.
  static constexpr size_t kLivePages = 2 * PageRing::kCapacity;
  static constexpr size_t Pairs(size_t thread_count) { return kBatch * (thread_count / 2); }

  ProducerConsumer(Pool& pool, Shared& shared, size_t thread)
      : pool_(pool), ring_(shared.RingOf(thread)), produces_(thread % 2 == 0) {
    // How many pages are on their way changes all the time; what may be needed has its memory
    // first.
    if (!produces_) return;
    std::vector<std::byte*> pages(kLivePages);
    std::ranges::generate(pages, [&] { return AllocatePage<kTouch>(pool); });
    for (std::byte* const page : pages) FreePage(pool, page);
  }

  // Both sides pass as many pages in all their batches, so that none are left in the ring.
  void RunBatch() {
    if (produces_) {
      Produce();
    } else {
      Consume();
    }
  }

 private:
  // Short, as there are pools that take 50 µs for a page which another thread allocated.
  static constexpr size_t kBatch = 100;

  [[gnu::noinline]] void Produce() {
    Pool& pool = pool_;
    PageRing& ring = ring_;
    for (size_t i = 0; i < kBatch; ++i) ring.Push(AllocatePage<kTouch>(pool));
  }
  [[gnu::noinline]] void Consume() {
    Pool& pool = pool_;
    PageRing& ring = ring_;
    for (size_t i = 0; i < kBatch; ++i) FreePage(pool, ring.Pop());
  }

  Pool& pool_;
  PageRing& ring_;
  const bool produces_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_POOL_PATTERNS_H_
