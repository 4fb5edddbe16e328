#include "pool/page_pool.h"

#include <algorithm>
#include <cinttypes>
#include <new>
#include <string>
#include <utility>

namespace granary {

Expected<std::unique_ptr<PagePool>> PagePool::Create(const PagePoolOptions& options) {
  if (auto valid = options.Validate(); !valid) return tl::unexpected(std::move(valid.error()));
  auto slab = PageSlab::Create(options, MagazineDepot::BytesFor(options));
  if (!slab) return tl::unexpected(std::move(slab.error()));
  return std::unique_ptr<PagePool>(new PagePool(options, std::move(*slab)));
}

PagePool::PagePool(const PagePoolOptions& options, PageSlab slab) noexcept
    : slab_(std::move(slab)),
      trims_(options.huge_pages != HugePages::kRequire),
      budget_(options.budget),
      depot_(options, slab_.extra()),
      untouched_(Untouched{0, static_cast<PageIndex>(options.max_pages)}) {}

PagePool::~PagePool() {
  // The addresses may be another mapping's next.
  MarkReadable(slab_.At(0), untouched_.load(std::memory_order_relaxed).next * page_bytes());
  Discharge(charged_.load(std::memory_order_relaxed));
}

// --- Pages --------------------------------------------------------------------------------------

std::byte* PagePool::AllocateSlow(CallSite site) noexcept {
  PageIndex index;
  const auto take = [&](Magazine* magazine) { return TakeOne(magazine, &index); };
  return Obtain(take, [] { return size_t{1}; }) ? HandOut(index, site) : nullptr;
}

std::byte* PagePool::TryAllocate(CallSite site) noexcept {
  PageIndex index;
  const auto take = [&](Magazine* magazine) { return TakeOne(magazine, &index); };
  do {
    if (WithPagesInFlight(take)) return HandOut(index, site);
  } while (Fund(1, Reclaimers::kIdle));
  return nullptr;
}

bool PagePool::TakeOne(Magazine* magazine, PageIndex* index) noexcept {
  if (magazine == nullptr) return TakeSome(1, index) == 1;
  if (magazine->pages().empty()) Refill(*magazine);
  if (magazine->pages().empty()) return false;
  *index = IndexOf(magazine->Pop());
  return true;
}

std::byte* PagePool::HandOut(PageIndex index, CallSite site) noexcept {
  SetState(index, slab_.allocated_state());
  slab_.RecordAllocation(index, site);
  std::byte* const page = At(index);
  MarkAllocated(page, page_bytes());
  return page;
}

PageIndex PagePool::TakeBack(const std::byte* page, PageState next, CallSite site) noexcept {
  const size_t number = slab_.NumberOf(page);
  const auto index = static_cast<PageIndex>(number);
  if (number >= slab_.page_count()) slab_.ReportBadFree(page, PageState::kUntouched, site);
  if (StateOf(index) != slab_.allocated_state()) {
    slab_.ReportBadFree(page, StateOf(index), site);
  }
  SetState(index, next);
  return index;
}

void PagePool::DeallocateSlow(std::byte* page, CallSite site) noexcept {
  const PageIndex index = TakeBack(page, PageState::kFree, site);
  slab_.RecordFree(index, site);
  MarkFree(page, page_bytes());
  PushSlow(page);
}

void PagePool::PushSlow(std::byte* page) noexcept {
  WithPagesInFlight([&](Magazine* magazine) {
    if (magazine == nullptr) {
      PageList list;
      list.Append(*this, IndexOf(page));
      PushFree(list);
      return true;
    }
    // The older half goes: the newest pages are the warmest.
    if (magazine->full()) Drain(*magazine);
    magazine->Push(page);
    return true;
  });
}

size_t PagePool::AllocateBatch(std::span<std::byte*> out, CallSite site) noexcept {
  std::array<PageIndex, Magazine::kCapacity> taken;
  size_t done = 0;
  const auto take = [&](Magazine* magazine) {
    // What the thread has at hand comes first.
    while (magazine != nullptr && !magazine->pages().empty() && done < out.size()) {
      out[done++] = HandOut(IndexOf(magazine->Pop()), site);
    }
    while (done < out.size()) {
      const size_t count = TakeSome(std::min(out.size() - done, taken.size()), taken.data());
      if (count == 0) break;
      for (size_t i = 0; i < count; ++i) out[done++] = HandOut(taken[i], site);
    }
    return done == out.size();
  };
  (void)Obtain(take, [&] { return out.size() - done; });
  return done;
}

void PagePool::DeallocateBatch(std::span<std::byte* const> pages, CallSite site) noexcept {
  if (pages.empty()) return;
  WithPagesInFlight([&](Magazine*) {
    PageList list;
    for (std::byte* const page : pages) {
      const PageIndex index = TakeBack(page, PageState::kFree, site);
      slab_.RecordFree(index, site);
      MarkFree(page, slab_.page_bytes());
      list.Append(*this, index);
    }
    PushFree(list);
    return true;
  });
}

// --- Many at once -------------------------------------------------------------------------------

PagePool::Chain PagePool::AllocateChain(size_t count, CallSite site) noexcept {
  Chain chain(this);
  const bool done = Obtain([&](Magazine*) { return Extend(chain, count, site); },
                           [&] { return count - chain.size(); });
  if (!done) chain.Release();
  return chain;
}

Expected<PagePool::Chain> PagePool::Reserve(size_t count, CallSite site) {
  Chain chain = AllocateChain(count, site);
  if (chain.size() == count) return chain;
  if (budget_ != nullptr && budget_->has_refused()) {
    return tl::unexpected(budget_->Refusal(count * page_bytes()));
  }
  return tl::unexpected(slab_.NoFreePages(count, Stats().max_pages, "PagePool::Reserve"));
}

bool PagePool::Extend(Chain& chain, size_t count, CallSite site) noexcept {
  std::array<PageIndex, Magazine::kCapacity> taken;
  while (chain.size() < count) {
    const size_t got = TakeSome(std::min(count - chain.size(), taken.size()), taken.data());
    if (got == 0) return false;
    for (size_t i = 0; i < got; ++i) {
      SetState(taken[i], PageState::kChained);
      slab_.RecordAllocation(taken[i], site);
      MarkAllocated(At(taken[i]), page_bytes());
      chain.list_.Append(*this, taken[i]);
    }
  }
  return true;
}

void PagePool::ReleaseChain(const PageList& list) noexcept { PushFree(list); }

void PagePool::ReleaseBlocks(const BlockChain& blocks) noexcept {
  constexpr size_t kFew = 4;
  if (blocks.count <= kFew) {
    BlockLink* block = blocks.first;
    for (size_t i = 0; i < blocks.count; ++i) {
      BlockLink* const next = block->next;
      Deallocate(reinterpret_cast<std::byte*>(block), CallSite{});
      block = next;
    }
    return;
  }
  const auto* const last = reinterpret_cast<std::byte*>(blocks.last);
  if (slab_.NumberOf(last) >= slab_.page_count()) {
    slab_.ReportBadFree(last, PageState::kUntouched, {});
  }
  // As a ring that hangs on its last page. The first may be long out of every cache.
  blocks.last->next = blocks.first;
  const PageIndex index = IndexOf(last);
  released_.Push(links(), index, index);
  free_count_.fetch_add(static_cast<int64_t>(blocks.count), std::memory_order_relaxed);
}

// --- The global part ----------------------------------------------------------------------------

void PagePool::PushFree(const PageList& list) noexcept {
  if (list.empty()) return;
  free_.Push(links(), list.first, list.last);
  free_count_.fetch_add(static_cast<int64_t>(list.count), std::memory_order_relaxed);
}

void PagePool::PushCold(const PageList& list) noexcept {
  if (list.empty()) return;
  cold_.Push(links(), list.first, list.last);
  cold_count_.fetch_add(static_cast<int64_t>(list.count), std::memory_order_relaxed);
}

size_t PagePool::TakeSome(size_t count, PageIndex* out) noexcept {
  size_t taken = free_.Pop(links(), count, out);
  if (taken == 0) taken = TakeReleased(count, out);
  if (taken != 0) {
    free_count_.fetch_sub(static_cast<int64_t>(taken), std::memory_order_relaxed);
    return taken;
  }
  taken = BreakMagazine(count, out);
  if (taken != 0) return taken;
  const size_t funded = TakeFunds(count);
  if (funded == 0) return 0;
  taken = cold_.Pop(links(), funded, out);
  if (taken != 0) {
    // What is kCold is in the list of cold pages and nowhere else; Trim relies on it.
    for (size_t i = 0; i < taken; ++i) SetState(out[i], PageState::kFree);
    cold_count_.fetch_sub(static_cast<int64_t>(taken), std::memory_order_relaxed);
  } else {
    taken = TakeUntouched(funded, out);
  }
  if (budget_ != nullptr && taken < funded) {
    funded_.fetch_add(static_cast<int64_t>(funded - taken), std::memory_order_relaxed);
  }
  return taken;
}

// The newest pages of one of the depot's magazines; the rest goes to the list.
size_t PagePool::BreakMagazine(size_t count, PageIndex* out) noexcept {
  std::array<std::byte*, PagePoolOptions::kMagazinePagesMax> pages;
  if (!depot_.Pop(pages.data())) return 0;
  size_t left = depot_.magazine_pages();
  size_t taken = 0;
  while (left > 0 && taken < count) out[taken++] = IndexOf(pages[--left]);
  PageList rest;
  while (left > 0) rest.Append(*this, IndexOf(pages[--left]));
  PushFree(rest);
  return taken;
}

// A released ring is the one's who pops it. What is left of it goes back as a ring.
size_t PagePool::TakeReleased(size_t count, PageIndex* out) noexcept {
  PageIndex last_index;
  if (released_.Pop(links(), 1, &last_index) == 0) return 0;
  auto* const last = reinterpret_cast<BlockLink*>(At(last_index));
  if (StateOf(last_index) != slab_.allocated_state()) {
    slab_.ReportBadFree(At(last_index), StateOf(last_index), {});
  }
  BlockLink* block = last->next;
  for (size_t taken = 0; taken < count; ++taken) {
    std::byte* const page = reinterpret_cast<std::byte*>(block);
    out[taken] = TakeBack(page, PageState::kFree, {});
    const bool is_last = block == last;
    block = block->next;
    MarkFree(page, page_bytes());
    if (is_last) return taken + 1;
  }
  last->next = block;
  released_.Push(links(), last_index, last_index);
  return count;
}

size_t PagePool::TakeUntouched(size_t count, PageIndex* out) noexcept {
  Untouched untouched = untouched_.load(std::memory_order_relaxed);
  size_t taken;
  do {
    taken = std::min<size_t>(count, untouched.end - untouched.next);
    if (taken == 0) return 0;
  } while (!untouched_.compare_exchange_weak(
      untouched, {untouched.next + static_cast<PageIndex>(taken), untouched.end},
      std::memory_order_relaxed));
  for (size_t i = 0; i < taken; ++i) {
    out[i] = untouched.next + static_cast<PageIndex>(i);
  }
  return taken;
}

size_t PagePool::AvailablePages() const noexcept {
  const Untouched untouched = untouched_.load(std::memory_order_relaxed);
  const int64_t listed =
      free_count_.load(std::memory_order_relaxed) + cold_count_.load(std::memory_order_relaxed);
  return static_cast<size_t>(std::max<int64_t>(listed, 0)) + depot_.page_count() +
         (untouched.end - untouched.next);
}

// --- Magazines ----------------------------------------------------------------------------------

Magazine* PagePool::MagazineOfThread() noexcept {
  void* found = threads_.Find();
  if (found == nullptr) found = threads_.FindDisplaced();
  return found != nullptr ? static_cast<Magazine*>(found) : NewMagazine();
}

Magazine* PagePool::NewMagazine() noexcept {
  if (slab_.records_sites() || !ProcessFence::Available()) return nullptr;
  Magazine* magazine = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_magazines_.empty()) {
      magazine = idle_magazines_.back();
      idle_magazines_.pop_back();
    } else {
      try {
        // Room for it to be idle is made first: a thread's end has nobody to tell of a failure.
        idle_magazines_.reserve(magazines_.size() + 1);
        magazines_.push_back(std::make_unique<Magazine>(2 * depot_.magazine_pages()));
      } catch (const std::bad_alloc&) {
        return nullptr;
      }
      magazine = magazines_.back().get();
      magazine_count_.fetch_add(1, std::memory_order_relaxed);
    }
    magazine->Start();
  }
  if (threads_.Set(magazine)) return magazine;
  const std::lock_guard lock(mutex_);
  Empty(*magazine);
  idle_magazines_.push_back(magazine);
  return nullptr;
}

// A stopped magazine is started again when there is something to put in or take out, so that a
// thread which is refused again and again has none that would have to be stopped each time.
template <class Action>
bool PagePool::WithPagesInFlight(const Action& action) noexcept {
  Magazine* const magazine = MagazineOfThread();
  if (magazine != nullptr && magazine->Enter()) [[likely]] {
    const bool moved = action(magazine);
    magazine->Leave();
    return moved;
  }
  const std::lock_guard lock(mutex_);
  const bool moved = action(nullptr);
  if (moved && magazine != nullptr) magazine->Start();
  return moved;
}

// Near exhaustion threads take less, so that free pages are not all in the wrong magazines.
void PagePool::Refill(Magazine& magazine) noexcept {
  const size_t share =
      AvailablePages() / (2 * std::max<size_t>(1, magazine_count_.load(std::memory_order_relaxed)));
  const size_t wanted = std::clamp<size_t>(share, 1, depot_.magazine_pages());
  if (wanted == depot_.magazine_pages() && depot_.Pop(magazine.end())) {
    magazine.Added(wanted);
    return;
  }
  std::array<PageIndex, PagePoolOptions::kMagazinePagesMax> taken;
  const size_t count = TakeSome(wanted, taken.data());
  // What comes first was freed last, and is to be popped first.
  for (size_t i = count; i > 0; --i) magazine.Push(At(taken[i - 1]));
}

void PagePool::Drain(Magazine& magazine) noexcept {
  const auto oldest = magazine.pages().first(depot_.magazine_pages());
  if (!depot_.Push(oldest.data())) {
    PageList list;
    for (size_t i = oldest.size(); i > 0; --i) list.Append(*this, IndexOf(oldest[i - 1]));
    PushFree(list);
  }
  magazine.DropOldest(oldest.size());
}

void PagePool::Empty(Magazine& magazine) noexcept {
  if (!magazine.started()) return;
  magazine.Stop();
  PageList list;
  for (const std::byte* const page : magazine.TakeAll()) list.Append(*this, IndexOf(page));
  PushFree(list);
}

void PagePool::StopAll() noexcept {
  const void* const mine = threads_.Find();
  bool any = false;
  bool others = false;
  for (const auto& magazine : magazines_) {
    if (!magazine->started()) continue;
    magazine->Stop();
    any = true;
    others |= magazine.get() != mine;
  }
  if (!any) return;
  stops_.fetch_add(1, std::memory_order_relaxed);
  if (others) ProcessFence::Heavy();
  for (const auto& magazine : magazines_) Empty(*magazine);
}

template <class Action>
bool PagePool::WithAllStopped(const Action& action) noexcept {
  const std::lock_guard rare(rare_mutex_);
  const std::lock_guard lock(mutex_);
  StopAll();
  return action(nullptr);
}

// The budget is asked in between, with nothing of the pool's held: it may ask others, who may trim
// the pool. Then what was free may have no memory any more, and is to be charged again. To stop the
// threads takes microseconds; what a reclaimer does, to spill for one, may take milliseconds.
template <class Take, class Missing>
bool PagePool::Obtain(const Take& take, const Missing& missing) noexcept {
  do {
    do {
      if (WithPagesInFlight(take)) return true;
    } while (Fund(missing(), Reclaimers::kSpare));
    if (WithAllStopped(take)) return true;
  } while (Fund(missing(), Reclaimers::kAsk));
  // What reclaimers freed on other threads may be in their magazines.
  return budget_ != nullptr && WithAllStopped(take);
}

// --- Hooks --------------------------------------------------------------------------------------

void PagePool::OnThreadExit(void* value) noexcept {
  auto* const magazine = static_cast<Magazine*>(value);
  const std::lock_guard lock(mutex_);
  Empty(*magazine);
  idle_magazines_.push_back(magazine);
}

void PagePool::BeforeFork() noexcept {
  rare_mutex_.lock();
  mutex_.lock();
  StopAll();
}

// The magazines are empty and stopped; an owner that is about to find that out may be in the middle
// of it, and in the child stay there.
void PagePool::AfterFork(bool in_child) noexcept {
  if (in_child) {
    ProcessFence::RegisterAgain();
    const void* const mine =
        threads_.Find() != nullptr ? threads_.Find() : threads_.FindDisplaced();
    for (const auto& magazine : magazines_) {
      const bool is_idle = std::find(idle_magazines_.begin(), idle_magazines_.end(),
                                     magazine.get()) != idle_magazines_.end();
      if (magazine.get() != mine && !is_idle) idle_magazines_.push_back(magazine.get());
    }
  }
  mutex_.unlock();
  rare_mutex_.unlock();
}

// --- Questions ----------------------------------------------------------------------------------

PagePoolStats PagePool::Stats() const noexcept {
  const std::lock_guard lock(mutex_);
  PagePoolStats stats;
  const Untouched untouched = untouched_.load(std::memory_order_relaxed);
  for (const auto& magazine : magazines_) stats.magazine_pages += magazine->count();
  const int64_t listed = std::max<int64_t>(0, free_count_.load(std::memory_order_relaxed));
  stats.free_pages = static_cast<size_t>(listed) + depot_.page_count() + stats.magazine_pages;
  stats.cold_pages =
      static_cast<size_t>(std::max<int64_t>(0, cold_count_.load(std::memory_order_relaxed)));
  stats.charged_pages = charged_.load(std::memory_order_relaxed);
  stats.untouched_pages = untouched.end - untouched.next;
  stats.touched_pages_max = untouched.next;
  stats.max_pages = untouched.end - retired_count_.load(std::memory_order_relaxed);
  const size_t idle = stats.free_pages + stats.cold_pages + stats.untouched_pages;
  stats.live_pages = stats.max_pages > idle ? stats.max_pages - idle : 0;
  stats.stops = stops_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace granary
