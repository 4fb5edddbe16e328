// LocalPagePool: PagePool for one thread, without its magazines and atomics.
//
// The same interface, checks and cap, so that one can be put in the other's place. The pages freed
// last stand in an array, and go first; behind them is a list. Choose it where one thread has its
// own partition of the memory.
//
// Costs. Allocate and Deallocate: at most 10 and 19 instructions, with the double-free check on,
// no touch of the page. Metadata: at most 8 bytes a page, or 5 and 16 KiB if that is more.
//
// Threading. One thread at a time. Fork: the child has a copy of it.
#ifndef GRANARY_POOL_LOCAL_PAGE_POOL_H_
#define GRANARY_POOL_LOCAL_PAGE_POOL_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>

#include "memory/error.h"
#include "memory/memory_resource.h"
#include "memory/sanitizer.h"
#include "pool/page_chain.h"
#include "pool/page_pool_options.h"
#include "pool/page_slab.h"

namespace granary {

class LocalPagePool final {
 public:
  using Chain = PageChain<LocalPagePool>;

  // All of these are as PagePool has them.
  static Expected<std::unique_ptr<LocalPagePool>> Create(const PagePoolOptions& options);

  ~LocalPagePool();

  LocalPagePool(const LocalPagePool&) = delete;
  LocalPagePool& operator=(const LocalPagePool&) = delete;

  [[nodiscard]] std::byte* Allocate(CallSite site = CallSite::Current()) noexcept;
  void Deallocate(std::byte* page, CallSite site = CallSite::Current()) noexcept;
  [[nodiscard]] size_t AllocateBatch(std::span<std::byte*> out,
                                     CallSite site = CallSite::Current()) noexcept;
  void DeallocateBatch(std::span<std::byte* const> pages,
                       CallSite site = CallSite::Current()) noexcept;

  Chain AllocateChain(size_t count, CallSite site = CallSite::Current()) noexcept;
  Expected<Chain> Reserve(size_t count, CallSite site = CallSite::Current());
  void ReleaseBlocks(const BlockChain& blocks) noexcept;

  size_t Trim(size_t keep_pages = 0) noexcept;
  Expected<void> Resize(size_t max_pages);

  size_t page_bytes() const noexcept { return slab_.page_bytes(); }
  PageIndex IndexOf(const void* p) const noexcept { return slab_.IndexOf(p); }
  std::byte* At(PageIndex index) const noexcept { return slab_.At(index); }
  bool Owns(const void* p) const noexcept { return slab_.Owns(p); }
  const char* name() const noexcept { return slab_.name(); }
  const PageSlab& slab() const noexcept { return slab_; }
  MemoryBudget* budget() const noexcept { return nullptr; }
  PagePoolStats Stats() const noexcept;

 private:
  friend Chain;
  friend PageList;

  // A free page, with what its next allocation needs.
  struct FreePage {
    std::byte* page;
    PageState* state;
  };

  LocalPagePool(const PagePoolOptions& options, PageSlab slab) noexcept;

  PageIndex LinkOf(PageIndex index) const noexcept { return slab_.link(index); }
  void SetLink(PageIndex index, PageIndex next) const noexcept { slab_.link(index) = next; }

  // The general forms of what the two inlined calls do.
  std::byte* HandOut(PageIndex index, CallSite site) noexcept;
  PageIndex TakeBack(const std::byte* page, PageState next, CallSite site) noexcept;
  PageIndex TakeIntoChain(const std::byte* page, CallSite site) noexcept {
    return TakeBack(page, PageState::kChained, site);
  }
  std::byte* AllocateSlow(CallSite site) noexcept;
  void DeallocateSlow(std::byte* page, CallSite site) noexcept;
  void ReleaseChain(const PageList& list) noexcept;

  // A free page that is in none of the two; kNoPage if there is none.
  PageIndex TakeElsewhere() noexcept;
  PageIndex TakeListed() noexcept;
  void PushListed(PageIndex index) noexcept;
  void Refill() noexcept;
  void Spill(size_t count) noexcept;
  void PushNewest(PageIndex index) noexcept;
  size_t newest_count() const noexcept { return static_cast<size_t>(newest_ - newest_begin_); }
  void ListAll() noexcept;
  size_t DecommitTrimmed(PageState next) noexcept;

  // How many pages go between the array and the list at once.
  static constexpr size_t kMoved = 128;
  static size_t NewestMaxFor(const PagePoolOptions& options) noexcept;

  // The array's first place without a page, its begin and its end. It has no place where sites are
  // recorded, so that every call takes the long way.
  FreePage* newest_;
  FreePage* newest_begin_;
  FreePage* newest_end_;
  PageSlab slab_;
  PageIndex free_ = kNoPage;
  // Never handed out: [next_, end_).
  PageIndex next_ = 0;
  PageIndex end_;
  size_t free_count_ = 0;
  const bool trims_;
  PageIndex cold_ = kNoPage;
  size_t cold_count_ = 0;
  size_t retired_count_ = 0;
  // Last pages of the chains that ReleaseBlocks took, each linked on within its pages to a ring.
  PageIndex released_ = kNoPage;
  size_t released_count_ = 0;
};

// --- Implementation -----------------------------------------------------------------------------

[[gnu::always_inline]] inline std::byte* LocalPagePool::Allocate(CallSite site) noexcept {
  if (newest_ == newest_begin_) [[unlikely]]
    return AllocateSlow(site);
  const FreePage taken = *--newest_;
  *taken.state = PageState::kAllocated;
  MarkAllocated(taken.page, slab_.page_bytes());
  return taken.page;
}

[[gnu::always_inline]] inline void LocalPagePool::Deallocate(std::byte* page,
                                                             CallSite site) noexcept {
  const size_t number = slab_.NumberOf(page);
  if (number < slab_.page_count() && newest_ != newest_end_) [[likely]] {
    PageState& state = slab_.state(number);
    if (state == PageState::kAllocated) [[likely]] {
      state = PageState::kFree;
      MarkFree(page, slab_.page_bytes());
      newest_->page = page;
      // Keeps the two stores apart: from one store of both the next allocation's loads wait longer.
      std::atomic_signal_fence(std::memory_order_seq_cst);
      newest_->state = &state;
      ++newest_;
      return;
    }
  }
  DeallocateSlow(page, site);
}

}  // namespace granary

#endif  // GRANARY_POOL_LOCAL_PAGE_POOL_H_
