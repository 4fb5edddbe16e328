// IndexStack: a lock-free stack of page numbers, linked through an array beside the pages.
//
// The free pages of a pool, for all threads. A chain of any length goes on in one step, and a
// handful comes off in one. The head is one word of 64 bits: the first page's number, and a tag
// that every change increments, so that a head that was taken off and came back (ABA) is not taken
// for one that never moved. The tag repeats after 2^32 changes; a thread would have to sleep within
// a Pop through exactly so many.
//
// While a thread walks the links others may take the pages away and link them elsewhere. It then
// reads numbers that mean nothing, all of them within the array, and its compare-and-swap fails on
// the tag.
//
// `Atomic` is std::atomic, and `Links` has Load(index) and Store(index, next) of relaxed order; a
// test puts in its own and tries out the interleavings. Memory order: what a thread did with a page
// before Push happens before what the thread does that Pop gives the page to.
//
// Source: R. K. Treiber, "Systems Programming: Coping with Parallelism", 1986, with the tag of IBM
// System/370.
#ifndef GRANARY_POOL_INDEX_STACK_H_
#define GRANARY_POOL_INDEX_STACK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pool/page_pool_options.h"

namespace granary {

// kNo is the classic mistake; a test shows that it would be found.
enum class Tagged : bool { kNo, kYes };

template <template <class> class Atomic = std::atomic, Tagged kTagged = Tagged::kYes>
class IndexStack {
 public:
  bool empty() const noexcept { return TopOf(head_.load(std::memory_order_relaxed)) == kNoPage; }

  // Puts the chain from `first` to `last` on top, in its order. Lock-free.
  template <class Links>
  void Push(Links links, PageIndex first, PageIndex last) noexcept {
    uint64_t head = head_.load(std::memory_order_relaxed);
    do {
      links.Store(last, TopOf(head));
    } while (!head_.compare_exchange_weak(head, Next(head, first), std::memory_order_release,
                                          std::memory_order_relaxed));
  }

  // Takes up to `count` pages off and writes their numbers to `out`, the topmost first; returns how
  // many there were. Behind those `out` may have been written to. Lock-free; a walk over so many
  // links.
  template <class Links>
  size_t Pop(Links links, size_t count, PageIndex* out) noexcept {
    uint64_t head = head_.load(std::memory_order_acquire);
    while (true) {
      PageIndex at = TopOf(head);
      size_t taken = 0;
      while (taken < count && at != kNoPage) {
        out[taken++] = at;
        at = links.Load(at);
      }
      if (taken == 0) return 0;
      if (head_.compare_exchange_weak(head, Next(head, at), std::memory_order_acquire,
                                      std::memory_order_acquire)) {
        return taken;
      }
    }
  }

  // Takes all of it; returns the first, from which the links lead on to kNoPage.
  PageIndex PopAll() noexcept {
    uint64_t head = head_.load(std::memory_order_relaxed);
    while (!head_.compare_exchange_weak(head, Next(head, kNoPage), std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
    }
    return TopOf(head);
  }

 private:
  static constexpr uint64_t kTag = kTagged == Tagged::kYes ? uint64_t{1} << 32 : 0;

  static PageIndex TopOf(uint64_t head) noexcept { return static_cast<PageIndex>(head); }
  static uint64_t Next(uint64_t head, PageIndex top) noexcept {
    return ((head + kTag) & ~uint64_t{UINT32_MAX}) | top;
  }

  Atomic<uint64_t> head_{uint64_t{kNoPage}};
};

}  // namespace granary

#endif  // GRANARY_POOL_INDEX_STACK_H_
