// MagazineDepot: full magazines' contents, between the threads that have too many pages and those
// that have none.
//
// A thread gives half a magazine's pages as a whole, and another takes them so: two
// compare-and-swaps and a copy, where the free list needs a walk from link to link. There is room
// for a bounded number; what does not fit goes to the list.
//
// Threading: any thread. Lock-free.
//
// Source: the depot of J. Bonwick and J. Adams, "Magazines and Vmem", USENIX 2001.
#ifndef GRANARY_POOL_MAGAZINE_DEPOT_H_
#define GRANARY_POOL_MAGAZINE_DEPOT_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pool/index_stack.h"
#include "pool/page_pool_options.h"

namespace granary {

class MagazineDepot {
 public:
  // Bytes of memory for a pool: room for a quarter of its pages, and for some in any case.
  static size_t BytesFor(const PagePoolOptions& options) noexcept {
    return size_t{CapacityFor(options)} *
           (options.magazine_pages * sizeof(std::byte*) + sizeof(PageIndex));
  }

  // `memory` has BytesFor(options) bytes, zeros, and is touched as it fills.
  MagazineDepot(const PagePoolOptions& options, std::byte* memory) noexcept
      : magazine_pages_(options.magazine_pages),
        capacity_(CapacityFor(options)),
        pages_(reinterpret_cast<std::byte**>(memory)),
        links_(reinterpret_cast<PageIndex*>(pages_ + size_t{capacity_} * magazine_pages_)) {}

  // How many pages go in and out at once.
  uint32_t magazine_pages() const noexcept { return magazine_pages_; }

  // Puts magazine_pages() pages in; false if there is no room.
  [[nodiscard]] bool Push(std::byte* const* pages) noexcept {
    uint32_t slot;
    if (empty_.Pop(Links{links_}, 1, &slot) == 0) {
      slot = made_.load(std::memory_order_relaxed);
      do {
        if (slot == capacity_) return false;
      } while (!made_.compare_exchange_weak(slot, slot + 1, std::memory_order_relaxed));
    }
    std::copy_n(pages, magazine_pages_, pages_ + size_t{slot} * magazine_pages_);
    full_.Push(Links{links_}, slot, slot);
    full_count_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  // Takes magazine_pages() pages out, in the order in which they were put in; false if there are
  // none.
  [[nodiscard]] bool Pop(std::byte** out) noexcept {
    uint32_t slot;
    if (full_.Pop(Links{links_}, 1, &slot) == 0) return false;
    full_count_.fetch_sub(1, std::memory_order_relaxed);
    std::copy_n(pages_ + size_t{slot} * magazine_pages_, magazine_pages_, out);
    empty_.Push(Links{links_}, slot, slot);
    return true;
  }

  // How many are in it; a moment late.
  size_t page_count() const noexcept {
    const int64_t full = full_count_.load(std::memory_order_relaxed);
    return static_cast<size_t>(std::max<int64_t>(full, 0)) * magazine_pages_;
  }

 private:
  static constexpr uint32_t kCapacityMin = 64;

  struct Links {
    PageIndex* links;
    PageIndex Load(PageIndex slot) const noexcept {
      return std::atomic_ref(links[slot]).load(std::memory_order_relaxed);
    }
    void Store(PageIndex slot, PageIndex next) const noexcept {
      std::atomic_ref(links[slot]).store(next, std::memory_order_relaxed);
    }
  };

  static uint32_t CapacityFor(const PagePoolOptions& options) noexcept {
    const size_t quarter = options.reserved_pages() / 4 / options.magazine_pages;
    return static_cast<uint32_t>(std::max<size_t>(quarter, kCapacityMin));
  }

  const uint32_t magazine_pages_;
  const uint32_t capacity_;
  std::byte** const pages_;
  PageIndex* const links_;
  alignas(64) IndexStack<> full_;
  std::atomic<int64_t> full_count_ = 0;
  alignas(64) IndexStack<> empty_;
  std::atomic<uint32_t> made_ = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_MAGAZINE_DEPOT_H_
