// RoutedResource: pages for what fills most of one, LargeResource for other blocks of 16 KiB and
// more, malloc for smaller ones; every byte charged.
//
// What a scope's arena stands on, and what an engine's general allocations come from. A page or a
// large block is charged to the scope and what is above it up to `physical`, where the pool and
// LargeResource have charged their memory already; what malloc gives is charged all the way up.
// Large blocks are not malloc's because what it keeps of them when they are freed nobody could
// charge.
#ifndef GRANARY_INTEGRATION_ROUTED_RESOURCE_H_
#define GRANARY_INTEGRATION_ROUTED_RESOURCE_H_

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "integration/large_resource.h"
#include "memory/charged_resource.h"
#include "memory/malloc_resource.h"
#include "memory/memory_budget.h"
#include "memory/memory_resource.h"
#include "memory/sanitizer.h"
#include "pool/page_pool_resource.h"

namespace granary {

// `Account` is CountingBudgetAccount for one thread at a time, SharedBudgetAccount for any.
template <class Account>
class BasicRoutedResource final : public MemoryResource {
 public:
  // Where blocks are asked for: an arena makes its own of that size, containers do not care.
  enum class Blocks { kPages, kAnySize };

  // All of these outlive it; `physical`, which pages and large blocks are charged to by themselves,
  // is `budget` or above it.
  BasicRoutedResource(MemoryBudget& budget, const MemoryBudget& physical, PagePoolResource& pages,
                      LargeResource& large, Blocks blocks) noexcept
      : MemoryResource(Deallocation::kFrees, MallocResource::kMaxAlignment),
        pages_(pages),
        large_(large),
        blocks_(blocks),
        own_calls_(budget, &physical),
        heap_calls_(budget) {}

  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override {
    switch (RouteOf(bytes, alignment)) {
      case Route::kPage:
        return own_calls_.TryAllocate(pages_, bytes, alignment);
      case Route::kLarge:
        return own_calls_.TryAllocate(large_, bytes, alignment, HeldBytes(bytes));
      case Route::kHeap:
        break;
    }
    return Remembered(heap_calls_.TryAllocate(heap(), bytes, alignment));
  }

  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override {
    const Route route = RouteOf(old_bytes, alignment);
    if (route != RouteOf(new_bytes, alignment)) return false;
    switch (route) {
      case Route::kPage:
        return own_calls_.TryResize(pages_, p, old_bytes, new_bytes, alignment);
      case Route::kLarge:
        return own_calls_.TryResize(large_, p, old_bytes, new_bytes, alignment,
                                    HeldBytes(old_bytes), HeldBytes(new_bytes));
      case Route::kHeap:
        break;
    }
    return heap_calls_.TryResize(heap(), p, old_bytes, new_bytes, alignment);
  }

  // Of pages, as an arena on this has them, or of anything.
  void ReleaseChain(const BlockChain& chain) noexcept override {
    if (chain.bytes == chain.count * pages_.block_bytes()) {
      if constexpr (kEndsWithItsBudget) {
        if (is_ending_) return own_calls_.ReleaseChainAtEnd(pages_, chain);
      }
      own_calls_.ReleaseChain(pages_, chain);
    } else {
      MemoryResource::ReleaseChain(chain);
    }
  }

  size_t block_bytes() const noexcept override {
    return blocks_ == Blocks::kPages ? pages_.block_bytes() : 0;
  }

  // asked, used and held are all what is charged.
  MemoryStats Stats() const noexcept override {
    const size_t charged = own_calls_.charged_bytes() + heap_calls_.charged_bytes();
    return {.asked_bytes = charged, .used_bytes = charged, .held_bytes = charged};
  }

  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override {
    // Whatever the size: an arena was refused a block of another one than its caller asked for.
    if (budget().has_refused()) budget().ThrowRefusal(bytes);
    if (large_.refused_budget().has_refused()) large_.ThrowRefusal(bytes, alignment);
    pages_.ThrowRefusal(std::min(bytes, pages_.block_bytes()), alignment);
    __builtin_unreachable();
  }

  MemoryBudget& budget() const noexcept { return own_calls_.budget(); }

  // The budget is about to end, with EndAccounts of both accounts: what is released in chains until
  // then is released there.
  void BeginEnd() noexcept { is_ending_ = true; }
  BudgetAccount& own_account() noexcept { return own_calls_.account(); }
  BudgetAccount& heap_account() noexcept { return heap_calls_.account(); }

  // Charges here what `other` has charged, and calls `move`, during which the two are equal: memory
  // of the one may become the other's. False, and nothing has changed, if it would not fit here or
  // `move` returns false. Both are of one engine.
  template <class Move>
  [[nodiscard]] bool Adopt(BasicRoutedResource& other, const Move& move) noexcept {
    const auto move_between_equals = [&] {
      adopted_ = &other;
      const bool done = move();
      adopted_ = nullptr;
      return done;
    };
    return other.own_calls_.TransferTo(own_calls_, other.own_calls_.charged_bytes(), [&] {
      return other.heap_calls_.TransferTo(heap_calls_, other.heap_calls_.charged_bytes(),
                                          move_between_equals);
    });
  }

 private:
  // Accounts of threads end when those do.
  static constexpr bool kEndsWithItsBudget = std::is_same_v<Account, CountingBudgetAccount>;

  enum class Route { kPage, kLarge, kHeap };

  // Below it malloc's caches for each thread are faster than anything that is shared.
  static constexpr size_t kLargeMin = size_t{16} << 10;

  Route RouteOf(size_t bytes, size_t alignment) const noexcept {
    const size_t page_bytes = pages_.block_bytes();
    if (bytes > page_bytes / 2 && bytes <= page_bytes && alignment <= page_bytes) {
      return Route::kPage;
    }
    // A sanitizer sees what is wrong with a block of malloc's.
    return bytes < kLargeMin || alignment > LargeResource::kMaxAlignment || kAddressSanitizer
               ? Route::kHeap
               : Route::kLarge;
  }
  static size_t HeldBytes(size_t bytes) noexcept { return LargeResource::BlockBytes(bytes); }

  // What malloc refuses is not to be taken for an earlier refusal of the pool's.
  void* Remembered(void* p) const noexcept {
    if (p == nullptr && !budget().has_refused()) [[unlikely]] {
      pages_.ForgetRefusal();
      large_.ForgetRefusal();
    }
    return p;
  }

  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    switch (RouteOf(bytes, alignment)) {
      case Route::kPage:
        return own_calls_.Deallocate(pages_, p, bytes, alignment);
      case Route::kLarge:
        return own_calls_.Deallocate(large_, p, bytes, alignment, HeldBytes(bytes));
      case Route::kHeap:
        return heap_calls_.Deallocate(heap(), p, bytes, alignment);
    }
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other || (adopted_ != nullptr && adopted_ == &other);
  }

  static MallocResource& heap() noexcept { return MallocResource::Default(); }

  PagePoolResource& pages_;
  LargeResource& large_;
  const Blocks blocks_;
  // Of pages and large blocks; and of malloc.
  ChargedCalls<Account> own_calls_;
  ChargedCalls<Account> heap_calls_;
  const std::pmr::memory_resource* adopted_ = nullptr;
  bool is_ending_ = false;
};

using RoutedResource = BasicRoutedResource<CountingBudgetAccount>;
using SharedRoutedResource = BasicRoutedResource<SharedBudgetAccount>;

}  // namespace granary

#endif  // GRANARY_INTEGRATION_ROUTED_RESOURCE_H_
