// PagePoolResource: a page pool behind the MemoryResource interface.
//
// Every request up to a page gets a page of its own; larger ones are refused. Put it under arenas,
// whose blocks it takes back a whole chain at a time:
//
//   granary::PagePoolResource pages(*pool);
//   granary::Arena arena({.upstream = &pages});   // its blocks are pages, headers included
//
// Costs and threading are the pool's; so is `LocalPagePoolResource`, for one thread. Stats counts
// whole pages. What the pool reports of misuse through this interface names no call.
#ifndef GRANARY_POOL_PAGE_POOL_RESOURCE_H_
#define GRANARY_POOL_PAGE_POOL_RESOURCE_H_

#include <cstddef>

#include "memory/memory_resource.h"
#include "pool/local_page_pool.h"
#include "pool/page_pool.h"

namespace granary {

template <class Pool>
class BasicPagePoolResource final : public MemoryResource {
 public:
  // The pool outlives the resource.
  explicit BasicPagePoolResource(Pool& pool) noexcept
      : MemoryResource(Deallocation::kFrees, pool.page_bytes()), pool_(pool) {}

  // A page; nullptr if `bytes` or `alignment` is more than a page, or the pool is exhausted.
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override {
    if (bytes > pool_.page_bytes() || alignment > pool_.page_bytes() || !IsPowerOfTwo(alignment))
        [[unlikely]] {
      return nullptr;
    }
    return pool_.Allocate(CallSite{});
  }

  // True for any size within the page.
  [[nodiscard]] bool TryResize(void*, size_t, size_t new_bytes, size_t) noexcept override {
    return new_bytes <= pool_.page_bytes();
  }

  // O(1), whatever the chain's length.
  void ReleaseChain(const BlockChain& chain) noexcept override { pool_.ReleaseBlocks(chain); }

  size_t Trim() noexcept override { return pool_.Trim(); }

  MemoryStats Stats() const noexcept override {
    const PagePoolStats stats = pool_.Stats();
    const size_t live = stats.live_pages * pool_.page_bytes();
    return {.asked_bytes = live,
            .used_bytes = live,
            .held_bytes = (stats.live_pages + stats.free_pages) * pool_.page_bytes()};
  }

  // The size of every block.
  size_t block_bytes() const noexcept override { return pool_.page_bytes(); }

  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override {
    const MemoryBudget* const budget = pool_.budget();
    if (budget != nullptr && bytes <= pool_.page_bytes() && budget->has_refused()) {
      budget->ThrowRefusal(pool_.page_bytes());
    }
    MemoryResource::ThrowRefusal(bytes, alignment);
    __builtin_unreachable();
  }

  // So that a later one of somebody else's is not taken for it.
  void ForgetRefusal() const noexcept {
    if (pool_.budget() != nullptr) pool_.budget()->ForgetRefusal();
  }

  Pool& pool() const noexcept { return pool_; }

 private:
  void do_deallocate(void* p, size_t, size_t) override {
    pool_.Deallocate(static_cast<std::byte*>(p), CallSite{});
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    const auto* const same = dynamic_cast<const BasicPagePoolResource*>(&other);
    return same != nullptr && &same->pool_ == &pool_;
  }

  Pool& pool_;
};

// Any thread, and one.
using PagePoolResource = BasicPagePoolResource<PagePool>;
using LocalPagePoolResource = BasicPagePoolResource<LocalPagePool>;

}  // namespace granary

#endif  // GRANARY_POOL_PAGE_POOL_RESOURCE_H_
