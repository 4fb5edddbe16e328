// Magazine: the free pages that one thread of a PagePool keeps at hand.
//
// A stack of page numbers behind an OwnerGate: the thread pushes and pops without an atomic
// read-modify-write, and the pool can stop it and look for the last free pages.
//
// Source: J. Bonwick and J. Adams, "Magazines and Vmem", USENIX 2001.
#ifndef GRANARY_POOL_MAGAZINE_H_
#define GRANARY_POOL_MAGAZINE_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "pool/owner_gate.h"
#include "pool/page_pool_options.h"

namespace granary {

class alignas(64) Magazine {
 public:
  static constexpr uint32_t kCapacity = 2 * PagePoolOptions::kMagazinePagesMax;

  // `limit` pages, at most kCapacity, make it full.
  explicit Magazine(uint32_t limit) noexcept : limit_(limit) {}

  OwnerGate<>& gate() noexcept { return gate_; }

  // The owner's calls. False if it is empty, full, or stopped, and then nothing has changed.
  [[gnu::always_inline]] bool TryPop(PageIndex& page) noexcept {
    if (!gate_.Enter()) [[unlikely]]
      return false;
    const uint32_t count = count_.load(std::memory_order_relaxed);
    if (count == 0) [[unlikely]] {
      gate_.Leave();
      return false;
    }
    page = pages_[count - 1].load(std::memory_order_relaxed);
    count_.store(count - 1, std::memory_order_relaxed);
    gate_.Leave();
    return true;
  }
  [[gnu::always_inline]] bool TryPush(PageIndex page) noexcept {
    if (!gate_.Enter()) [[unlikely]]
      return false;
    const uint32_t count = count_.load(std::memory_order_relaxed);
    if (count == limit_) [[unlikely]] {
      gate_.Leave();
      return false;
    }
    pages_[count].store(page, std::memory_order_relaxed);
    count_.store(count + 1, std::memory_order_relaxed);
    gate_.Leave();
    return true;
  }

  // Within the gate, or by who has stopped it. The oldest page is the first.
  PageIndex page(uint32_t i) const noexcept { return pages_[i].load(std::memory_order_relaxed); }
  void Append(PageIndex page) noexcept {
    const uint32_t count = this->count();
    pages_[count].store(page, std::memory_order_relaxed);
    count_.store(count + 1, std::memory_order_relaxed);
  }
  void DropNewest() noexcept { count_.store(count() - 1, std::memory_order_relaxed); }
  // Forgets the oldest `dropped` pages.
  void DropOldest(uint32_t dropped) noexcept {
    const uint32_t left = count() - dropped;
    for (uint32_t i = 0; i < left; ++i) {
      pages_[i].store(page(i + dropped), std::memory_order_relaxed);
    }
    count_.store(left, std::memory_order_relaxed);
  }

  // From any thread; of this moment.
  uint32_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  uint32_t limit() const noexcept { return limit_; }

 private:
  OwnerGate<> gate_;
  std::atomic<uint32_t> count_ = 0;
  const uint32_t limit_;
  std::array<std::atomic<PageIndex>, kCapacity> pages_;
};

}  // namespace granary

#endif  // GRANARY_POOL_MAGAZINE_H_
