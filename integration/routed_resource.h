// RoutedResource: pages for what fills most of one, mappings of their own for larger blocks, malloc
// for smaller ones; every byte charged.
//
// What a scope's arena stands on, and what an engine's general allocations come from. A page is
// charged to the scope and what is above it up to `physical`, where the pool has charged its memory
// already; what the system gives is charged all the way up. Large blocks are mappings because what
// malloc keeps of them when they are freed nobody could charge.
#ifndef GRANARY_INTEGRATION_ROUTED_RESOURCE_H_
#define GRANARY_INTEGRATION_ROUTED_RESOURCE_H_

#include <algorithm>
#include <cstddef>

#include "memory/charged_resource.h"
#include "memory/malloc_resource.h"
#include "memory/mapped_resource.h"
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

  // All of these outlive it; `physical` is `budget` or above it.
  BasicRoutedResource(MemoryBudget& budget, const MemoryBudget& physical, PagePoolResource& pages,
                      Blocks blocks) noexcept
      : MemoryResource(Deallocation::kFrees, MallocResource::kMaxAlignment),
        pages_(pages),
        blocks_(blocks),
        page_calls_(budget, &physical),
        system_calls_(budget) {}

  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override {
    switch (RouteOf(bytes, alignment)) {
      case Route::kPage:
        return page_calls_.TryAllocate(pages_, bytes, alignment);
      case Route::kMapping:
        return Remembered(
            system_calls_.TryAllocate(mappings(), bytes, alignment, HeldBytes(bytes)));
      case Route::kHeap:
        break;
    }
    return Remembered(system_calls_.TryAllocate(heap(), bytes, alignment));
  }

  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override {
    const Route route = RouteOf(old_bytes, alignment);
    if (route != RouteOf(new_bytes, alignment)) return false;
    switch (route) {
      case Route::kPage:
        return page_calls_.TryResize(pages_, p, old_bytes, new_bytes, alignment);
      case Route::kMapping:
        return system_calls_.TryResize(mappings(), p, old_bytes, new_bytes, alignment,
                                       HeldBytes(old_bytes), HeldBytes(new_bytes));
      case Route::kHeap:
        break;
    }
    return system_calls_.TryResize(heap(), p, old_bytes, new_bytes, alignment);
  }

  // Of pages, as an arena on this has them, or of anything.
  void ReleaseChain(const BlockChain& chain) noexcept override {
    if (chain.bytes == chain.count * pages_.block_bytes()) {
      page_calls_.ReleaseChain(pages_, chain);
    } else {
      MemoryResource::ReleaseChain(chain);
    }
  }

  size_t block_bytes() const noexcept override {
    return blocks_ == Blocks::kPages ? pages_.block_bytes() : 0;
  }

  // asked, used and held are all what is charged.
  MemoryStats Stats() const noexcept override {
    const size_t charged = page_calls_.charged_bytes() + system_calls_.charged_bytes();
    return {.asked_bytes = charged, .used_bytes = charged, .held_bytes = charged};
  }

  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override {
    // Whatever the size: an arena was refused a block of another one than its caller asked for.
    if (budget().has_refused()) budget().ThrowRefusal(bytes);
    pages_.ThrowRefusal(std::min(bytes, pages_.block_bytes()), alignment);
    __builtin_unreachable();
  }

  MemoryBudget& budget() const noexcept { return page_calls_.budget(); }

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
    return other.page_calls_.TransferTo(page_calls_, other.page_calls_.charged_bytes(), [&] {
      return other.system_calls_.TransferTo(system_calls_, other.system_calls_.charged_bytes(),
                                            move_between_equals);
    });
  }

 private:
  enum class Route { kPage, kMapping, kHeap };

  Route RouteOf(size_t bytes, size_t alignment) const noexcept {
    const size_t page_bytes = pages_.block_bytes();
    if (bytes <= page_bytes / 2) return Route::kHeap;
    if (bytes <= page_bytes && alignment <= page_bytes) return Route::kPage;
    // A sanitizer sees what is wrong with a block of malloc's.
    return bytes < MappedResource::kPageBytes || kAddressSanitizer ? Route::kHeap : Route::kMapping;
  }
  static size_t HeldBytes(size_t bytes) noexcept { return MappedResource::BlockBytes(bytes); }

  // What the system itself refuses is not to be taken for an earlier refusal of the pool's.
  void* Remembered(void* p) const noexcept {
    if (p == nullptr && !budget().has_refused()) [[unlikely]]
      pages_.ForgetRefusal();
    return p;
  }

  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    switch (RouteOf(bytes, alignment)) {
      case Route::kPage:
        return page_calls_.Deallocate(pages_, p, bytes, alignment);
      case Route::kMapping:
        return system_calls_.Deallocate(mappings(), p, bytes, alignment, HeldBytes(bytes));
      case Route::kHeap:
        return system_calls_.Deallocate(heap(), p, bytes, alignment);
    }
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other || (adopted_ != nullptr && adopted_ == &other);
  }

  static MallocResource& heap() noexcept { return MallocResource::Default(); }
  static MappedResource& mappings() noexcept { return MappedResource::Default(); }

  PagePoolResource& pages_;
  const Blocks blocks_;
  ChargedCalls<Account> page_calls_;
  ChargedCalls<Account> system_calls_;
  const std::pmr::memory_resource* adopted_ = nullptr;
};

using RoutedResource = BasicRoutedResource<CountingBudgetAccount>;
using SharedRoutedResource = BasicRoutedResource<SharedBudgetAccount>;

}  // namespace granary

#endif  // GRANARY_INTEGRATION_ROUTED_RESOURCE_H_
