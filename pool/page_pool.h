// PagePool: pages of one size from one reserved range, for any number of threads.
//
// The physical memory under an engine: frames of the page cache, blocks of arenas, hash-table
// partitions. The cap is exact, whoever holds free pages; a page costs a few nanoseconds on the
// thread that has used one lately.
//
//   auto pool = granary::PagePool::Create({.page_bytes = 64 << 10, .max_pages = 1 << 16});
//   if (!pool) return tl::unexpected(pool.error());
//   std::byte* page = (*pool)->Allocate();   // nullptr: all are out
//   (*pool)->Deallocate(page);
//
// When not: one thread alone (LocalPagePool), sizes that differ (RegionResource), behind the
// std::pmr interface (PagePoolResource, on top of this).
//
// How it works. Each thread has a magazine of free pages. An empty one is filled from the pool's
// depot, where other threads' pages stand by the magazine, or its free stack; a full one gives half
// of itself back; all of it without a lock. Pages that were never used are taken off the range's
// end one after the other, so that creating a pool costs the same whatever its size. Before the
// pool says that it is exhausted it stops all threads' magazines (OwnerGate) and takes what is in
// them: nullptr means that every page was out at that moment, or that the budget allows no more.
//
// Costs. Allocate and Deallocate: at most 22 and 27 instructions, no atomic read-modify-write, no
// touch of the page. Every 64th time a copy of 64 addresses and a few compare-and-swaps; where the
// depot is full, a walk over 64 links. A refusal: a lock; and, if a thread has used the pool since
// the last one, a system call and a walk over the threads. Metadata: 7 bytes a page, or 5 and
// 32 KiB if that is more.
//
// Threading. Everything from any thread, but for construction and destruction. A thread that ends
// leaves its magazine to the pool. Where sites are recorded, or the kernel has no membarrier(2),
// there are no magazines, and every call takes a lock.
//
// Fork. The child has a copy of the pool as it was at that moment, as of all private memory, and
// may go on using it: what other threads had out is still out there, what their magazines held is
// free. It must not have threads inside DeallocateBatch or other calls that it cannot finish: those
// of other threads are waited for.
//
// Misuse (a double free, a pointer into a page or to none, a page of another pool) aborts in every
// build with a report that names the page, the call and, where PagePoolOptions::record_sites, the
// calls that allocated it and freed it before.
//
// Sources: the magazines and depot of J. Bonwick and J. Adams, USENIX 2001; links beside the pages
// as in orioledb's page pool.
#ifndef GRANARY_POOL_PAGE_POOL_H_
#define GRANARY_POOL_PAGE_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "memory/error.h"
#include "memory/memory_budget.h"
#include "memory/memory_resource.h"
#include "memory/per_thread.h"
#include "memory/sanitizer.h"
#include "pool/index_stack.h"
#include "pool/magazine.h"
#include "pool/magazine_depot.h"
#include "pool/page_chain.h"
#include "pool/page_list.h"
#include "pool/page_pool_options.h"
#include "pool/page_slab.h"

namespace granary {

class PagePool final : private PerThread::Owner {
 public:
  using Chain = PageChain<PagePool>;

  // Reserves the range; touches no page. kInvalidArgument for options that contradict each other,
  // and SystemMemory's errors.
  static Expected<std::unique_ptr<PagePool>> Create(const PagePoolOptions& options);

  // Gives all memory back, of pages that are still out too.
  ~PagePool();

  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // --- Pages ------------------------------------------------------------------------------------

  // A page, with whatever it contains; nullptr exactly if the cap's number of pages are out, or all
  // that the budget, if there is one, has memory for.
  [[nodiscard]] std::byte* Allocate(CallSite site = CallSite::Current()) noexcept;

  // The same of what is free: nobody releases memory that he uses (MemoryBudget::TryChargeIdle),
  // and no thread is stopped for the free pages that it has at hand. For caches, which can do with
  // the pages that they have.
  [[nodiscard]] std::byte* TryAllocate(CallSite site = CallSite::Current()) noexcept;

  // Takes back a page that was allocated, or that Chain::Take gave.
  void Deallocate(std::byte* page, CallSite site = CallSite::Current()) noexcept;

  // Fills `out` as far as there are pages; returns how many.
  [[nodiscard]] size_t AllocateBatch(std::span<std::byte*> out,
                                     CallSite site = CallSite::Current()) noexcept;
  void DeallocateBatch(std::span<std::byte* const> pages,
                       CallSite site = CallSite::Current()) noexcept;

  // --- Many at once -----------------------------------------------------------------------------

  // A chain of `count` pages; empty if there are not so many. O(count), and O(1) to give back.
  Chain AllocateChain(size_t count, CallSite site = CallSite::Current()) noexcept;

  // The same as a reservation: Take() from it cannot fail `count` times. kOutOfMemory if there are
  // not so many, and then nothing has changed.
  Expected<Chain> Reserve(size_t count, CallSite site = CallSite::Current());

  // Takes back blocks that begin with a BlockLink and are one page each, as an arena leaves them.
  // O(1): a page of the chain is looked at when it is used again. One that was freed by itself
  // after the release is reported then, unless it has been handed out in between. A few are freed
  // one by one: the thread's next page is then one that it has just used.
  void ReleaseBlocks(const BlockChain& blocks) noexcept;

  // --- Memory -----------------------------------------------------------------------------------

  // Gives the memory of free pages back to the system, all but that of `keep_pages`, in runs that
  // are as long as can be; returns bytes. Other threads go on, but for the time in which free pages
  // are collected, and who finds the pool exhausted waits. Costs a byte's look at each page ever
  // touched, and system calls.
  size_t Trim(size_t keep_pages = 0) noexcept;

  // Sets another cap, exact from then on. Pages keep their addresses. kInvalidArgument if `pages`
  // is 0 or more than were reserved; kOutOfMemory if more are out than it would allow. After an
  // error the cap is as it was.
  Expected<void> Resize(size_t max_pages);

  // --- Questions --------------------------------------------------------------------------------

  size_t page_bytes() const noexcept { return slab_.page_bytes(); }
  PageIndex IndexOf(const void* p) const noexcept { return slab_.IndexOf(p); }
  std::byte* At(PageIndex index) const noexcept { return slab_.At(index); }
  // True if `p` points into the range, whether the page is out or not.
  bool Owns(const void* p) const noexcept { return slab_.Owns(p); }
  const char* name() const noexcept { return slab_.name(); }
  const PageSlab& slab() const noexcept { return slab_; }
  MemoryBudget* budget() const noexcept { return budget_; }

  // Stops nobody; takes the lock under which Trim, Resize and a refusal stop the others.
  PagePoolStats Stats() const noexcept;

 private:
  friend Chain;
  friend PageList;

  // The pages that were never handed out, [next, end).
  struct alignas(8) Untouched {
    PageIndex next;
    PageIndex end;
  };

  // Pages in the global part: the lists and the untouched. Chains' links are the caller's.
  struct Links {
    const PageSlab& slab;
    PageIndex Load(PageIndex index) const noexcept {
      return std::atomic_ref(slab.link(index)).load(std::memory_order_relaxed);
    }
    void Store(PageIndex index, PageIndex next) const noexcept {
      std::atomic_ref(slab.link(index)).store(next, std::memory_order_relaxed);
    }
  };

  PagePool(const PagePoolOptions& options, PageSlab slab) noexcept;

  Links links() const noexcept { return {slab_}; }
  PageState StateOf(size_t index) const noexcept {
    return std::atomic_ref(slab_.state(index)).load(std::memory_order_relaxed);
  }
  void SetState(size_t index, PageState state) const noexcept {
    std::atomic_ref(slab_.state(index)).store(state, std::memory_order_relaxed);
  }
  PageIndex LinkOf(PageIndex index) const noexcept { return links().Load(index); }
  void SetLink(PageIndex index, PageIndex next) const noexcept { links().Store(index, next); }

  // The general forms of what the two inlined calls do.
  std::byte* HandOut(PageIndex index, CallSite site) noexcept;
  PageIndex TakeBack(const std::byte* page, PageState next, CallSite site) noexcept;
  PageIndex TakeIntoChain(const std::byte* page, CallSite site) noexcept {
    return TakeBack(page, PageState::kChained, site);
  }
  void ReleaseChain(const PageList& list) noexcept;

  std::byte* AllocateSlow(CallSite site) noexcept;
  bool TakeOne(Magazine* magazine, PageIndex* index) noexcept;
  void DeallocateSlow(std::byte* page, CallSite site) noexcept;
  void PushSlow(std::byte* page) noexcept;

  // The calling thread's magazine; nullptr where it can have none.
  Magazine* MagazineOfThread() noexcept;
  Magazine* NewMagazine() noexcept;
  // Calls `action`, which returns whether it has got what it wanted, and so does this, while no
  // other thread looks for pages in flight: with the thread's magazine, entered, or under the lock
  // with nullptr.
  template <class Action>
  bool WithPagesInFlight(const Action& action) noexcept;
  void Refill(Magazine& magazine) noexcept;
  // Gives half of a full magazine away.
  void Drain(Magazine& magazine) noexcept;
  // Calls `action` with nullptr, every magazine stopped, all their pages in the free stack, and
  // both locks held.
  template <class Action>
  bool WithAllStopped(const Action& action) noexcept;
  // Calls `take` in the one way and the other, and charges the budget for what is missing(), until
  // it returns true or there are no more pages. What others hold is asked for last: first comes
  // what is free in the budget, then the pages in other threads' magazines.
  template <class Take, class Missing>
  bool Obtain(const Take& take, const Missing& missing) noexcept;
  // Stops the magazine and moves its pages to the free stack; the lock is held, and the owner is
  // this thread or none, or has passed a fence since it was stopped.
  void Empty(Magazine& magazine) noexcept;
  // The same with all of them.
  void StopAll() noexcept;

  // Takes up to `count` pages from the global part; fewer if there are fewer, or if they come from
  // several of its lists. What it leaves in the rest of `out` means nothing.
  size_t TakeSome(size_t count, PageIndex* out) noexcept;
  size_t TakeReleased(size_t count, PageIndex* out) noexcept;
  size_t TakeUntouched(size_t count, PageIndex* out) noexcept;
  size_t BreakMagazine(size_t count, PageIndex* out) noexcept;
  // Fills the chain up to `count` pages, if TakeSome has them.
  bool Extend(Chain& chain, size_t count, CallSite site) noexcept;
  void PushFree(const PageList& list) noexcept;
  void PushCold(const PageList& list) noexcept;
  size_t AvailablePages() const noexcept;

  // Charges the budget for `count` more pages to have memory, or as many as it allows, and a few
  // for the next ones. kIdle runs the reclaimers of memory that nobody uses, and kAsk all; so they
  // must not be within anything of this pool's. False if it is refused, or no page is without
  // memory.
  enum class Reclaimers { kSpare, kIdle, kAsk };
  class FreePages;
  bool Fund(size_t count, Reclaimers reclaimers) noexcept;
  void Discharge(size_t pages) noexcept;
  // Takes up to `count` of what is funded.
  size_t TakeFunds(size_t count) noexcept;

  // Of Trim and Resize, which hold rare_mutex_; of these the first two need the lock too.
  size_t CollectFree() noexcept;
  void PutBackFree(size_t warm_kept) noexcept;
  size_t DecommitMarked() noexcept;
  void DecommitRetired() noexcept;
  // `retired_warm` becomes how many pages that had memory it took out of circulation.
  Expected<void> Shrink(size_t fewer, size_t* retired_warm);
  void Grow(size_t more) noexcept;

  void OnThreadExit(void* magazine) noexcept override;
  void BeforeFork() noexcept override;
  void AfterFork(bool in_child) noexcept override;

  PageSlab slab_;
  const bool trims_;
  MemoryBudget* const budget_;

  // Free pages, their memory there. Those that came in a chain are kChained still.
  alignas(64) IndexStack<> free_;
  // Last pages of the chains that ReleaseBlocks took, each linked on within its pages to a ring.
  alignas(64) IndexStack<> released_;
  // Free pages by the magazine.
  MagazineDepot depot_;
  // Free pages without memory.
  alignas(64) IndexStack<> cold_;
  alignas(64) std::atomic<Untouched> untouched_;
  // What the three stacks hold; a moment late.
  alignas(64) std::atomic<int64_t> free_count_ = 0;
  std::atomic<int64_t> cold_count_ = 0;
  // Pages that are charged and have no memory yet; and all that are charged.
  std::atomic<int64_t> funded_ = 0;
  std::atomic<size_t> charged_ = 0;
  std::atomic<uint32_t> magazine_count_ = 0;
  std::atomic<uint64_t> stops_ = 0;

  // Who stops threads and relies on what it found: a refusal, Trim, Resize, fork. Locked before the
  // other, and for as long as pages are in no list because their memory is given back.
  alignas(64) std::mutex rare_mutex_;
  // Changed under it.
  std::atomic<size_t> retired_count_ = 0;
  // Guards what follows, starting and stopping magazines, and pages in flight without one.
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Magazine>> magazines_;
  std::vector<Magazine*> idle_magazines_;

  // Last: no hook runs once the rest is being destroyed.
  PerThread threads_{*this};
};

// --- Implementation -----------------------------------------------------------------------------

[[gnu::always_inline]] inline std::byte* PagePool::Allocate(CallSite site) noexcept {
  void* magazine;
  std::byte* page;
  if (!threads_.Find(&magazine) || !static_cast<Magazine*>(magazine)->TryPop(page)) [[unlikely]]
    return AllocateSlow(site);
  std::atomic_ref(slab_.state_of(page)).store(PageState::kAllocated, std::memory_order_relaxed);
  MarkAllocated(page, slab_.page_bytes());
  return page;
}

[[gnu::always_inline]] inline void PagePool::Deallocate(std::byte* page, CallSite site) noexcept {
  const size_t number = slab_.NumberOf(page);
  void* magazine;
  if (!threads_.Find(&magazine) || number >= slab_.page_count() ||
      StateOf(number) != PageState::kAllocated) [[unlikely]] {
    DeallocateSlow(page, site);
    return;
  }
  SetState(number, PageState::kFree);
  MarkFree(page, slab_.page_bytes());
  if (!static_cast<Magazine*>(magazine)->TryPush(page)) [[unlikely]]
    PushSlow(page);
}

}  // namespace granary

#endif  // GRANARY_POOL_PAGE_POOL_H_
