// PagePool's memory: what comes to have some, what gives it back, and what is charged for it.
#include <algorithm>
#include <array>

#include "pool/page_pool.h"

namespace granary {

// --- Memory -------------------------------------------------------------------------------------

// Stops all, empties the lists, and leaves the pages that were in them kTrimmed, or kCold. Other
// pages may be kFree, on their way between a list and a caller. Returns how many are kTrimmed.
size_t PagePool::CollectFree() noexcept {
  StopAll();
  std::array<PageIndex, Magazine::kCapacity> taken;
  const auto mark = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) SetState(taken[i], PageState::kTrimmed);
    return count;
  };
  size_t listed = 0;
  size_t in_depot = 0;
  while (const size_t count = mark(free_.Pop(links(), taken.size(), taken.data()))) listed += count;
  while (const size_t count = mark(TakeReleased(taken.size(), taken.data()))) listed += count;
  while (const size_t count = mark(BreakMagazine(taken.size(), taken.data()))) in_depot += count;
  cold_.PopAll();
  // Chains may be released meanwhile, and count.
  free_count_.fetch_sub(static_cast<int64_t>(listed), std::memory_order_relaxed);
  cold_count_.store(0, std::memory_order_relaxed);
  return listed + in_depot;
}

// After CollectFree: puts the first `warm_kept` of the kTrimmed pages back, in the order of their
// addresses.
void PagePool::PutBackFree(size_t warm_kept) noexcept {
  const PageIndex touched = untouched_.load(std::memory_order_relaxed).next;
  PageList list;
  for (PageIndex index = 0; index < touched && list.count < warm_kept; ++index) {
    if (StateOf(index) != PageState::kTrimmed) continue;
    SetState(index, PageState::kFree);
    list.Append(*this, index);
  }
  PushFree(list);
}

// Gives the memory of the kTrimmed pages back, without stopping anybody: no list has them, and none
// has the kCold ones yet, which all come back into circulation here.
size_t PagePool::DecommitMarked() noexcept {
  const PageIndex touched = untouched_.load(std::memory_order_relaxed).next;
  size_t bytes = 0;
  PageList shared;
  for (PageIndex index = 0; index < touched;) {
    const PageIndex begin = index;
    while (index < touched && StateOf(index) == PageState::kTrimmed) ++index;
    if (begin < index) {
      const PageSlab::Run given = slab_.Decommit(begin, index);
      bytes += given.size() * page_bytes();
      for (PageIndex i = begin; i < index; ++i) {
        SetState(i, given.Has(i) ? PageState::kCold : PageState::kFree);
        if (!given.Has(i)) shared.Append(*this, i);
      }
    } else {
      ++index;
    }
  }
  PushFree(shared);
  PageList cold;
  for (PageIndex index = 0; index < touched; ++index) {
    if (StateOf(index) == PageState::kCold) cold.Append(*this, index);
  }
  PushCold(cold);
  return bytes;
}

// Retired pages are in no list; those retired earlier are given back again, which does nothing.
void PagePool::DecommitRetired() noexcept {
  const PageIndex touched = untouched_.load(std::memory_order_relaxed).next;
  PageIndex begin = 0;
  for (PageIndex index = 0; index <= touched; ++index) {
    if (index < touched && StateOf(index) == PageState::kRetired) continue;
    if (begin < index) slab_.Decommit(begin, index);
    begin = index + 1;
  }
}

size_t PagePool::Trim(size_t keep_pages) noexcept {
  if (!trims_) return 0;
  const std::lock_guard rare(rare_mutex_);
  {
    const std::lock_guard lock(mutex_);
    CollectFree();
    PutBackFree(keep_pages);
  }
  const size_t bytes = DecommitMarked();
  // Nor has what is charged for later a use now.
  const int64_t unused = budget_ != nullptr ? funded_.exchange(0, std::memory_order_relaxed) : 0;
  Discharge(bytes / page_bytes() + static_cast<size_t>(unused));
  return bytes;
}

Expected<void> PagePool::Resize(size_t max_pages) {
  if (max_pages == 0 || max_pages > slab_.page_count()) {
    return tl::unexpected(slab_.BadCap(max_pages, "PagePool::Resize"));
  }
  const std::lock_guard rare(rare_mutex_);
  const size_t now = untouched_.load(std::memory_order_relaxed).end -
                     retired_count_.load(std::memory_order_relaxed);
  if (max_pages < now) {
    size_t retired_warm = 0;
    auto done = Shrink(now - max_pages, &retired_warm);
    Discharge(retired_warm);
    return done;
  }
  Grow(max_pages - now);
  return {};
}

// Untouched pages go first, then free ones, those at the end before others.
Expected<void> PagePool::Shrink(size_t fewer, size_t* retired_warm) {
  size_t free = 0;
  {
    const std::lock_guard lock(mutex_);
    free = CollectFree();
    Untouched untouched = untouched_.load(std::memory_order_relaxed);
    for (PageIndex index = 0; index < untouched.next; ++index) {
      free += StateOf(index) == PageState::kCold;
    }
    free += untouched.end - untouched.next;
    if (free >= fewer) {
      const size_t from_end = std::min<size_t>(fewer, untouched.end - untouched.next);
      untouched.end -= static_cast<PageIndex>(from_end);
      untouched_.store(untouched, std::memory_order_relaxed);
      size_t to_retire = fewer - from_end;
      retired_count_.fetch_add(to_retire, std::memory_order_relaxed);
      for (PageIndex index = untouched.next; to_retire > 0;) {
        const PageState state = StateOf(--index);
        if (state != PageState::kTrimmed && state != PageState::kCold) continue;
        *retired_warm += state == PageState::kTrimmed;
        SetState(index, PageState::kRetired);
        --to_retire;
      }
    }
    PutBackFree(SIZE_MAX);
  }
  if (free >= fewer) DecommitRetired();
  DecommitMarked();
  if (free >= fewer) return {};
  return tl::unexpected(slab_.TooFewFree(fewer, free, "PagePool::Resize"));
}

void PagePool::Grow(size_t more) noexcept {
  Untouched untouched = untouched_.load(std::memory_order_relaxed);
  size_t retired = retired_count_.load(std::memory_order_relaxed);
  PageList revived;
  for (PageIndex index = 0; index < untouched.next && retired > 0 && revived.count < more;
       ++index) {
    if (StateOf(index) != PageState::kRetired) continue;
    SetState(index, PageState::kCold);
    revived.Append(*this, index);
    --retired;
  }
  retired_count_.store(retired, std::memory_order_relaxed);
  PushCold(revived);
  const auto rest = static_cast<PageIndex>(more - revived.count);
  while (!untouched_.compare_exchange_weak(untouched, {untouched.next, untouched.end + rest},
                                           std::memory_order_relaxed)) {
  }
}

// --- The budget ---------------------------------------------------------------------------------

size_t PagePool::TakeFunds(size_t count) noexcept {
  if (budget_ == nullptr) return count;
  int64_t funded = funded_.load(std::memory_order_relaxed);
  int64_t taken;
  do {
    taken = std::min(static_cast<int64_t>(count), funded);
    if (taken <= 0) return 0;
  } while (!funded_.compare_exchange_weak(funded, funded - taken, std::memory_order_relaxed));
  return static_cast<size_t>(taken);
}

// What operators that spill give back comes here, and keeps its charge.
class PagePool::FreePages final : public FoundElsewhere {
 public:
  explicit FreePages(const PagePool& pool) noexcept : pool_(pool) {}
  bool IsFound() const noexcept override {
    return pool_.free_count_.load(std::memory_order_relaxed) > 0 || pool_.depot_.page_count() > 0;
  }

 private:
  const PagePool& pool_;
};

bool PagePool::Fund(size_t count, Reclaimers reclaimers) noexcept {
  if (budget_ == nullptr) return false;
  budget_->ForgetRefusal();
  const Untouched untouched = untouched_.load(std::memory_order_relaxed);
  const int64_t cold = std::max<int64_t>(0, cold_count_.load(std::memory_order_relaxed));
  const size_t without_memory = static_cast<size_t>(cold) + (untouched.end - untouched.next);
  const int64_t funded = funded_.load(std::memory_order_relaxed);
  // Those that are funded are there, or were a moment ago: then it is worth looking again.
  if (funded > 0) return without_memory > 0;
  count = std::min(count, without_memory);
  if (count == 0) return false;
  // More at once if there is room, so that the next ones find it done; fewer if there is not. But
  // nobody is asked to release memory for the next ones.
  const bool asks = reclaimers == Reclaimers::kAsk;
  size_t pages = asks ? count : std::min(count + depot_.magazine_pages(), without_memory);
  for (; pages > 0; pages = pages > count ? count : pages / 2) {
    if (asks) {
      const FreePages free_pages(*this);
      const MemoryBudget::Result result = budget_->TryCharge(pages * page_bytes(), free_pages);
      if (result == MemoryBudget::Result::kFoundElsewhere) return true;
      if (result == MemoryBudget::Result::kRefused) continue;
    } else if (reclaimers == Reclaimers::kIdle ? !budget_->TryChargeIdle(pages * page_bytes())
                                               : !budget_->TryChargeFree(pages * page_bytes())) {
      continue;
    }
    charged_.fetch_add(pages, std::memory_order_relaxed);
    funded_.fetch_add(static_cast<int64_t>(pages), std::memory_order_relaxed);
    budget_->ForgetRefusal();
    return true;
  }
  return false;
}

void PagePool::Discharge(size_t pages) noexcept {
  if (budget_ == nullptr || pages == 0) return;
  charged_.fetch_sub(pages, std::memory_order_relaxed);
  budget_->Release(pages * page_bytes());
}

}  // namespace granary
