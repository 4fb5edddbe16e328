#include "pool/page_pool.h"

#include <algorithm>
#include <cinttypes>
#include <new>
#include <string>
#include <utility>

namespace granary {

Expected<std::unique_ptr<PagePool>> PagePool::Create(const PagePoolOptions& options) {
  auto slab = PageSlab::Create(options);
  if (!slab) return tl::unexpected(std::move(slab.error()));
  return std::unique_ptr<PagePool>(new PagePool(options, std::move(*slab)));
}

PagePool::PagePool(const PagePoolOptions& options, PageSlab slab) noexcept
    : slab_(std::move(slab)),
      magazine_pages_(options.magazine_pages),
      trims_(options.huge_pages != HugePages::kRequire),
      untouched_(Untouched{0, static_cast<PageIndex>(options.max_pages)}) {}

PagePool::~PagePool() {
  // The addresses may be another mapping's next.
  MarkReadable(slab_.At(0), untouched_.load(std::memory_order_relaxed).next * page_bytes());
}

// --- Pages --------------------------------------------------------------------------------------

std::byte* PagePool::AllocateSlow(CallSite site) noexcept {
  PageIndex index = kNoPage;
  Magazine* const magazine = MagazineOfThread();
  WithPagesInFlight(magazine, [&] {
    if (magazine == nullptr) {
      if (TakeSome(1, &index) == 0) index = kNoPage;
      return;
    }
    if (magazine->count() == 0) Refill(*magazine);
    if (magazine->count() != 0) {
      index = magazine->page(magazine->count() - 1);
      magazine->DropNewest();
    }
  });
  if (index == kNoPage) {
    WithAllStopped([&] {
      if (TakeSome(1, &index) == 0) index = kNoPage;
    });
  }
  return index == kNoPage ? nullptr : HandOut(index, site);
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
  PushSlow(index);
}

void PagePool::PushSlow(PageIndex index) noexcept {
  Magazine* const magazine = MagazineOfThread();
  WithPagesInFlight(magazine, [&] {
    if (magazine == nullptr) {
      PushFree(index, index, 1);
      return;
    }
    // The older half goes: the newest pages are the warmest.
    if (magazine->count() == magazine->limit()) Drain(*magazine, magazine_pages_);
    magazine->Append(index);
  });
}

size_t PagePool::AllocateBatch(std::span<std::byte*> out, CallSite site) noexcept {
  std::array<PageIndex, Magazine::kCapacity> taken;
  size_t done = 0;
  const auto take = [&] {
    while (done < out.size()) {
      const size_t count = TakeSome(std::min(out.size() - done, taken.size()), taken.data());
      if (count == 0) return;
      for (size_t i = 0; i < count; ++i) out[done++] = HandOut(taken[i], site);
    }
  };
  Magazine* const magazine = MagazineOfThread();
  WithPagesInFlight(magazine, [&] {
    // What the thread has at hand comes first.
    while (magazine != nullptr && magazine->count() != 0 && done < out.size()) {
      out[done++] = HandOut(magazine->page(magazine->count() - 1), site);
      magazine->DropNewest();
    }
    take();
  });
  if (done < out.size()) WithAllStopped(take);
  return done;
}

void PagePool::DeallocateBatch(std::span<std::byte* const> pages, CallSite site) noexcept {
  if (pages.empty()) return;
  WithPagesInFlight(MagazineOfThread(), [&] {
    PageIndex first = kNoPage;
    PageIndex last = kNoPage;
    for (std::byte* const page : pages) {
      const PageIndex index = TakeBack(page, PageState::kFree, site);
      slab_.RecordFree(index, site);
      MarkFree(page, slab_.page_bytes());
      if (first == kNoPage) {
        first = index;
      } else {
        SetLink(last, index);
      }
      last = index;
    }
    PushFree(first, last, pages.size());
  });
}

// --- Many at once -------------------------------------------------------------------------------

PagePool::Chain PagePool::AllocateChain(size_t count, CallSite site) noexcept {
  Chain chain(this);
  WithPagesInFlight(MagazineOfThread(), [&] { Extend(chain, count, site); });
  if (chain.size() < count) {
    WithAllStopped([&] {
      Extend(chain, count, site);
      if (chain.size() < count) chain.Release();
    });
  }
  return chain;
}

Expected<PagePool::Chain> PagePool::Reserve(size_t count, CallSite site) {
  Chain chain = AllocateChain(count, site);
  if (chain.size() == count) return chain;
  return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                              .message = "pool '" + std::string(name()) + "' has no " +
                                         std::to_string(count) + " free pages of its " +
                                         std::to_string(Stats().max_pages),
                              .where = "PagePool::Reserve"});
}

void PagePool::Extend(Chain& chain, size_t count, CallSite site) noexcept {
  std::array<PageIndex, Magazine::kCapacity> taken;
  while (chain.size() < count) {
    const size_t got = TakeSome(std::min(count - chain.size(), taken.size()), taken.data());
    if (got == 0) return;
    for (size_t i = 0; i < got; ++i) {
      SetState(taken[i], PageState::kChained);
      slab_.RecordAllocation(taken[i], site);
      MarkAllocated(At(taken[i]), page_bytes());
      chain.AppendIndex(taken[i]);
    }
  }
}

void PagePool::ReleaseChain(PageIndex first, PageIndex last, size_t count) noexcept {
  PushFree(first, last, count);
}

void PagePool::ReleaseBlocks(const BlockChain& blocks) noexcept {
  if (blocks.count == 0) return;
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

void PagePool::PushFree(PageIndex first, PageIndex last, size_t count) noexcept {
  free_.Push(links(), first, last);
  free_count_.fetch_add(static_cast<int64_t>(count), std::memory_order_relaxed);
}

size_t PagePool::TakeSome(size_t count, PageIndex* out) noexcept {
  size_t taken = free_.Pop(links(), count, out);
  if (taken == 0) taken = TakeReleased(count, out);
  if (taken != 0) {
    free_count_.fetch_sub(static_cast<int64_t>(taken), std::memory_order_relaxed);
    return taken;
  }
  taken = cold_.Pop(links(), count, out);
  if (taken != 0) {
    // What is kCold is in the list of cold pages and nowhere else; Trim relies on it.
    for (size_t i = 0; i < taken; ++i) SetState(out[i], PageState::kFree);
    cold_count_.fetch_sub(static_cast<int64_t>(taken), std::memory_order_relaxed);
    return taken;
  }
  return TakeUntouched(count, out);
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
  return static_cast<size_t>(std::max<int64_t>(listed, 0)) + (untouched.end - untouched.next);
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
        magazines_.push_back(std::make_unique<Magazine>(2 * magazine_pages_));
      } catch (const std::bad_alloc&) {
        return nullptr;
      }
      magazine = magazines_.back().get();
      magazine_count_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  if (threads_.Set(magazine)) return magazine;
  const std::lock_guard lock(mutex_);
  idle_magazines_.push_back(magazine);
  return nullptr;
}

template <class Action>
void PagePool::WithPagesInFlight(Magazine* magazine, const Action& action) noexcept {
  if (magazine != nullptr && magazine->gate().Enter()) [[likely]] {
    action();
    magazine->gate().Leave();
    return;
  }
  // Whoever has stopped the magazine has the lock until it resumes.
  const std::lock_guard lock(mutex_);
  action();
}

// Near exhaustion threads take less, so that free pages are not all in the wrong magazines.
void PagePool::Refill(Magazine& magazine) noexcept {
  std::array<PageIndex, PagePoolOptions::kMagazinePagesMax> taken;
  const size_t share =
      AvailablePages() / (2 * std::max<size_t>(1, magazine_count_.load(std::memory_order_relaxed)));
  const size_t wanted = std::clamp<size_t>(share, 1, magazine_pages_);
  const size_t count = TakeSome(wanted, taken.data());
  // The topmost of the stack was freed last, and is to be popped first.
  for (size_t i = count; i > 0; --i) magazine.Append(taken[i - 1]);
}

void PagePool::Drain(Magazine& magazine, uint32_t count) noexcept {
  if (count == 0) return;
  for (uint32_t i = count - 1; i > 0; --i) SetLink(magazine.page(i), magazine.page(i - 1));
  PushFree(magazine.page(count - 1), magazine.page(0), count);
  magazine.DropOldest(count);
}

void PagePool::StopAll() noexcept {
  stops_.fetch_add(1, std::memory_order_relaxed);
  if (magazines_.empty()) return;
  for (const auto& magazine : magazines_) magazine->gate().Stop();
  ProcessFence::Heavy();
  for (const auto& magazine : magazines_) {
    magazine->gate().WaitUntilOut();
    Drain(*magazine, magazine->count());
  }
}

void PagePool::ResumeAll() noexcept {
  for (const auto& magazine : magazines_) magazine->gate().Resume();
}

template <class Action>
void PagePool::WithAllStopped(const Action& action) noexcept {
  const std::lock_guard lock(mutex_);
  StopAll();
  action();
  ResumeAll();
}

// --- Hooks --------------------------------------------------------------------------------------

void PagePool::OnThreadExit(void* value) noexcept {
  auto* const magazine = static_cast<Magazine*>(value);
  const std::lock_guard lock(mutex_);
  Drain(*magazine, magazine->count());
  idle_magazines_.push_back(magazine);
}

void PagePool::BeforeFork() noexcept {
  mutex_.lock();
  StopAll();
}

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
  ResumeAll();
  mutex_.unlock();
}

// --- Memory -------------------------------------------------------------------------------------

// With all stopped: empties the lists, and leaves the pages that were in them kTrimmed, or kCold.
// Other pages may be kFree, on their way between a list and a caller. Returns how many are
// kTrimmed.
size_t PagePool::CollectFree() noexcept {
  std::array<PageIndex, Magazine::kCapacity> taken;
  size_t warm = 0;
  while (const size_t count = free_.Pop(links(), taken.size(), taken.data())) {
    for (size_t i = 0; i < count; ++i) SetState(taken[i], PageState::kTrimmed);
    warm += count;
  }
  while (const size_t count = TakeReleased(taken.size(), taken.data())) {
    for (size_t i = 0; i < count; ++i) SetState(taken[i], PageState::kTrimmed);
    warm += count;
  }
  cold_.PopAll();
  // Chains may be released meanwhile, and count.
  free_count_.fetch_sub(static_cast<int64_t>(warm), std::memory_order_relaxed);
  cold_count_.store(0, std::memory_order_relaxed);
  return warm;
}

// After CollectFree: puts the first `warm_kept` of the kTrimmed pages back, in the order of their
// addresses.
void PagePool::PutBackFree(size_t warm_kept) noexcept {
  const PageIndex touched = untouched_.load(std::memory_order_relaxed).next;
  PageIndex first = kNoPage;
  PageIndex last = kNoPage;
  size_t kept = 0;
  for (PageIndex index = 0; index < touched && kept < warm_kept; ++index) {
    if (StateOf(index) != PageState::kTrimmed) continue;
    SetState(index, PageState::kFree);
    if (kept++ == 0) {
      first = index;
    } else {
      SetLink(last, index);
    }
    last = index;
  }
  if (kept != 0) PushFree(first, last, kept);
}

// Gives the memory of the kTrimmed pages back, without stopping anybody: no list has them, and none
// has the kCold ones yet, which all come back into circulation here.
size_t PagePool::DecommitMarked() noexcept {
  const PageIndex touched = untouched_.load(std::memory_order_relaxed).next;
  size_t bytes = 0;
  size_t count = 0;
  PageIndex first = kNoPage;
  PageIndex last = kNoPage;
  for (PageIndex index = 0; index < touched;) {
    const PageIndex begin = index;
    while (index < touched && StateOf(index) == PageState::kTrimmed) ++index;
    if (begin < index) {
      const PageSlab::Run cold = slab_.Decommit(begin, index);
      bytes += cold.size() * page_bytes();
      for (PageIndex i = begin; i < index; ++i) {
        SetState(i, cold.Has(i) ? PageState::kCold : PageState::kFree);
        if (!cold.Has(i)) PushFree(i, i, 1);
      }
    } else {
      ++index;
    }
  }
  for (PageIndex index = 0; index < touched; ++index) {
    if (StateOf(index) != PageState::kCold) continue;
    if (count++ == 0) {
      first = index;
    } else {
      SetLink(last, index);
    }
    last = index;
  }
  if (count != 0) {
    cold_.Push(links(), first, last);
    cold_count_.fetch_add(static_cast<int64_t>(count), std::memory_order_relaxed);
  }
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
  const std::lock_guard lock(mutex_);
  StopAll();
  CollectFree();
  PutBackFree(keep_pages);
  ResumeAll();
  return DecommitMarked();
}

Expected<void> PagePool::Resize(size_t max_pages) {
  const std::lock_guard lock(mutex_);
  const size_t now = untouched_.load(std::memory_order_relaxed).end - retired_count_;
  if (max_pages == 0 || max_pages > slab_.page_count()) {
    return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                                .message = "a cap of " + std::to_string(max_pages) +
                                           " pages for pool '" + name() + "', which has " +
                                           std::to_string(slab_.page_count()) + " reserved",
                                .where = "PagePool::Resize"});
  }
  if (max_pages < now) return Shrink(now - max_pages);
  Grow(max_pages - now);
  return {};
}

// Untouched pages go first, then free ones, those at the end before others.
Expected<void> PagePool::Shrink(size_t fewer) {
  StopAll();
  const size_t warm = CollectFree();
  Untouched untouched = untouched_.load(std::memory_order_relaxed);
  size_t cold = 0;
  for (PageIndex index = 0; index < untouched.next; ++index) {
    cold += StateOf(index) == PageState::kCold;
  }
  const size_t free = warm + cold + (untouched.end - untouched.next);
  const bool possible = free >= fewer;
  if (possible) {
    const size_t from_end = std::min<size_t>(fewer, untouched.end - untouched.next);
    untouched.end -= static_cast<PageIndex>(from_end);
    untouched_.store(untouched, std::memory_order_relaxed);
    size_t to_retire = fewer - from_end;
    retired_count_ += to_retire;
    for (PageIndex index = untouched.next; to_retire > 0;) {
      const PageState state = StateOf(--index);
      if (state != PageState::kTrimmed && state != PageState::kCold) continue;
      SetState(index, PageState::kRetired);
      --to_retire;
    }
  }
  PutBackFree(SIZE_MAX);
  ResumeAll();
  if (possible) DecommitRetired();
  DecommitMarked();
  if (possible) return {};
  return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                              .message = "pool '" + std::string(name()) + "' cannot do without " +
                                         std::to_string(fewer) + " pages: only " +
                                         std::to_string(free) + " are free",
                              .where = "PagePool::Resize"});
}

void PagePool::Grow(size_t more) noexcept {
  Untouched untouched = untouched_.load(std::memory_order_relaxed);
  PageIndex first = kNoPage;
  PageIndex last = kNoPage;
  size_t revived = 0;
  for (PageIndex index = 0; index < untouched.next && retired_count_ > 0 && revived < more;
       ++index) {
    if (StateOf(index) != PageState::kRetired) continue;
    SetState(index, PageState::kCold);
    if (revived++ == 0) {
      first = index;
    } else {
      SetLink(last, index);
    }
    last = index;
    --retired_count_;
  }
  if (revived != 0) {
    cold_.Push(links(), first, last);
    cold_count_.fetch_add(static_cast<int64_t>(revived), std::memory_order_relaxed);
  }
  const auto rest = static_cast<PageIndex>(more - revived);
  while (!untouched_.compare_exchange_weak(untouched, {untouched.next, untouched.end + rest},
                                           std::memory_order_relaxed)) {
  }
}

// --- Questions ----------------------------------------------------------------------------------

PagePoolStats PagePool::Stats() const noexcept {
  const std::lock_guard lock(mutex_);
  PagePoolStats stats;
  const Untouched untouched = untouched_.load(std::memory_order_relaxed);
  for (const auto& magazine : magazines_) stats.magazine_pages += magazine->count();
  const int64_t listed = std::max<int64_t>(0, free_count_.load(std::memory_order_relaxed));
  stats.free_pages = static_cast<size_t>(listed) + stats.magazine_pages;
  stats.cold_pages =
      static_cast<size_t>(std::max<int64_t>(0, cold_count_.load(std::memory_order_relaxed)));
  stats.untouched_pages = untouched.end - untouched.next;
  stats.touched_pages_max = untouched.next;
  stats.max_pages = untouched.end - retired_count_;
  const size_t idle = stats.free_pages + stats.cold_pages + stats.untouched_pages;
  stats.live_pages = stats.max_pages > idle ? stats.max_pages - idle : 0;
  stats.stops = stops_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace granary
