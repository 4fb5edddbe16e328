// LocalPagePool: PagePool for one thread, without its magazines and atomics.
//
// The same interface, checks and cap, so that one can be put in the other's place. Its free pages
// are one list in the order in which they were freed; the newest goes first. Choose it where one
// thread has its own partition of the memory.
//
// Costs. Allocate and Deallocate: about a dozen instructions each, with the double-free check on,
// no touch of the page. Metadata: 5 bytes a page.
//
// Threading. One thread at a time. Fork: the child has a copy of it.
#ifndef GRANARY_POOL_LOCAL_PAGE_POOL_H_
#define GRANARY_POOL_LOCAL_PAGE_POOL_H_

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
  PagePoolStats Stats() const noexcept;

 private:
  friend Chain;

  LocalPagePool(const PagePoolOptions& options, PageSlab slab) noexcept;

  PageIndex LinkOf(PageIndex index) const noexcept { return slab_.link(index); }
  void SetLink(PageIndex index, PageIndex next) const noexcept { slab_.link(index) = next; }

  std::byte* HandOut(PageIndex index, const CallSite& site) noexcept;
  PageIndex TakeBack(const std::byte* page, PageState next, const CallSite& site) noexcept;
  PageIndex TakeIntoChain(const std::byte* page, const CallSite& site) noexcept {
    return TakeBack(page, PageState::kChained, site);
  }
  void ReleaseChain(PageIndex first, PageIndex last, size_t count) noexcept;

  // A free page that is not in the list of free ones; kNoPage if there is none.
  PageIndex TakeElsewhere() noexcept;
  void UnpackReleased() noexcept;
  size_t DecommitTrimmed(PageState next) noexcept;

  PageIndex free_ = kNoPage;
  // Never handed out: [next_, end_).
  PageIndex next_ = 0;
  PageIndex end_;
  size_t free_count_ = 0;
  PageSlab slab_;
  const bool trims_;
  PageIndex cold_ = kNoPage;
  size_t cold_count_ = 0;
  size_t retired_count_ = 0;
  // First pages of the chains that ReleaseBlocks took, each linked on within its pages.
  PageIndex released_ = kNoPage;
  size_t released_count_ = 0;
};

// --- Implementation -----------------------------------------------------------------------------

[[gnu::always_inline]] inline std::byte* LocalPagePool::HandOut(PageIndex index,
                                                                const CallSite& site) noexcept {
  slab_.state(index) = PageState::kAllocated;
  slab_.RecordAllocation(index, site);
  std::byte* const page = slab_.At(index);
  MarkAllocated(page, slab_.page_bytes());
  return page;
}

[[gnu::always_inline]] inline PageIndex LocalPagePool::TakeBack(const std::byte* page,
                                                                PageState next,
                                                                const CallSite& site) noexcept {
  const PageIndex index = slab_.IndexToFree(page, PageState::kAllocated, site,
                                            [](const PageState& state) { return state; });
  slab_.state(index) = next;
  return index;
}

inline std::byte* LocalPagePool::Allocate(CallSite site) noexcept {
  PageIndex index = free_;
  if (index != kNoPage) [[likely]] {
    free_ = slab_.link(index);
    --free_count_;
  } else {
    index = TakeElsewhere();
    if (index == kNoPage) return nullptr;
  }
  return HandOut(index, site);
}

inline void LocalPagePool::Deallocate(std::byte* page, CallSite site) noexcept {
  const PageIndex index = TakeBack(page, PageState::kFree, site);
  slab_.RecordFree(index, site);
  MarkFree(page, slab_.page_bytes());
  slab_.link(index) = free_;
  free_ = index;
  ++free_count_;
}

}  // namespace granary

#endif  // GRANARY_POOL_LOCAL_PAGE_POOL_H_
