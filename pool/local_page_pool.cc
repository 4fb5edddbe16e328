#include "pool/local_page_pool.h"

#include <algorithm>
#include <array>
#include <utility>

namespace granary {

Expected<std::unique_ptr<LocalPagePool>> LocalPagePool::Create(const PagePoolOptions& options) {
  if (auto valid = options.Validate(); !valid) return tl::unexpected(std::move(valid.error()));
  auto slab = PageSlab::Create(options, NewestMaxFor(options) * sizeof(FreePage));
  if (!slab) return tl::unexpected(std::move(slab.error()));
  return std::unique_ptr<LocalPagePool>(new LocalPagePool(options, std::move(*slab)));
}

LocalPagePool::LocalPagePool(const PagePoolOptions& options, PageSlab slab) noexcept
    : newest_(reinterpret_cast<FreePage*>(slab.extra())),
      newest_begin_(newest_),
      newest_end_(newest_ + NewestMaxFor(options)),
      slab_(std::move(slab)),
      end_(static_cast<PageIndex>(options.max_pages)),
      trims_(options.huge_pages != HugePages::kRequire) {}

// Three bytes a page, and a thousand places in any case.
size_t LocalPagePool::NewestMaxFor(const PagePoolOptions& options) noexcept {
  if (options.record_sites) return 0;
  return std::max<size_t>(1024, options.reserved_pages() * 3 / sizeof(FreePage));
}

LocalPagePool::~LocalPagePool() {
  // The addresses may be another mapping's next.
  MarkReadable(slab_.At(0), next_ * page_bytes());
}

// --- Pages --------------------------------------------------------------------------------------

std::byte* LocalPagePool::HandOut(PageIndex index, CallSite site) noexcept {
  slab_.state(index) = slab_.allocated_state();
  slab_.RecordAllocation(index, site);
  std::byte* const page = At(index);
  MarkAllocated(page, page_bytes());
  return page;
}

PageIndex LocalPagePool::TakeBack(const std::byte* page, PageState next, CallSite site) noexcept {
  const size_t number = slab_.NumberOf(page);
  const auto index = static_cast<PageIndex>(number);
  if (number >= slab_.page_count()) slab_.ReportBadFree(page, PageState::kUntouched, site);
  if (slab_.state(index) != slab_.allocated_state()) {
    slab_.ReportBadFree(page, slab_.state(index), site);
  }
  slab_.state(index) = next;
  return index;
}

std::byte* LocalPagePool::AllocateSlow(CallSite site) noexcept {
  if (!slab_.records_sites()) {
    Refill();
    return newest_ == newest_begin_ ? nullptr : HandOut(IndexOf((--newest_)->page), site);
  }
  const PageIndex index = free_count_ > 0 ? TakeListed() : TakeElsewhere();
  return index == kNoPage ? nullptr : HandOut(index, site);
}

void LocalPagePool::DeallocateSlow(std::byte* page, CallSite site) noexcept {
  const PageIndex index = TakeBack(page, PageState::kFree, site);
  MarkFree(page, page_bytes());
  slab_.RecordFree(index, site);
  if (slab_.records_sites()) {
    PushListed(index);
    return;
  }
  if (newest_ == newest_end_) Spill(kMoved);
  PushNewest(index);
}

PageIndex LocalPagePool::TakeElsewhere() noexcept {
  if (released_ != kNoPage) {
    // The first page of a ring; the rest of it stays.
    if (slab_.state(released_) != slab_.allocated_state()) {
      slab_.ReportBadFree(At(released_), slab_.state(released_), {});
    }
    auto* const last = reinterpret_cast<BlockLink*>(At(released_));
    auto* const first = last->next;
    const PageIndex index = TakeBack(reinterpret_cast<std::byte*>(first), PageState::kFree, {});
    if (first == last) {
      released_ = LinkOf(released_);
    } else {
      last->next = first->next;
    }
    --released_count_;
    return index;
  }
  if (cold_ != kNoPage) {
    --cold_count_;
    return std::exchange(cold_, LinkOf(cold_));
  }
  return next_ < end_ ? next_++ : kNoPage;
}

PageIndex LocalPagePool::TakeListed() noexcept {
  --free_count_;
  return std::exchange(free_, LinkOf(free_));
}

void LocalPagePool::PushListed(PageIndex index) noexcept {
  SetLink(index, free_);
  free_ = index;
  ++free_count_;
}

void LocalPagePool::PushNewest(PageIndex index) noexcept {
  *newest_++ = {At(index), &slab_.state(index)};
}

void LocalPagePool::Refill() noexcept {
  std::array<PageIndex, kMoved> taken;
  size_t count = 0;
  while (count < taken.size() && free_count_ > 0) taken[count++] = TakeListed();
  while (count < taken.size()) {
    const PageIndex index = TakeElsewhere();
    if (index == kNoPage) break;
    taken[count++] = index;
  }
  // What came first goes first.
  for (size_t i = count; i > 0; --i) PushNewest(taken[i - 1]);
}

// The newest: to keep them would be to move all the others down.
void LocalPagePool::Spill(size_t count) noexcept {
  for (size_t i = 0; i < count; ++i) PushListed(IndexOf((--newest_)->page));
}

size_t LocalPagePool::AllocateBatch(std::span<std::byte*> out, CallSite site) noexcept {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = Allocate(site);
    if (out[i] == nullptr) return i;
  }
  return out.size();
}

void LocalPagePool::DeallocateBatch(std::span<std::byte* const> pages, CallSite site) noexcept {
  for (std::byte* const page : pages) Deallocate(page, site);
}

// --- Many at once -------------------------------------------------------------------------------

LocalPagePool::Chain LocalPagePool::AllocateChain(size_t count, CallSite site) noexcept {
  Chain chain(this);
  while (chain.size() < count) {
    std::byte* const page = Allocate(site);
    if (page == nullptr) {
      chain.Release();
      break;
    }
    chain.Append(page, site);
  }
  return chain;
}

Expected<LocalPagePool::Chain> LocalPagePool::Reserve(size_t count, CallSite site) {
  Chain chain = AllocateChain(count, site);
  if (chain.size() == count) return chain;
  return tl::unexpected(slab_.NoFreePages(count, Stats().max_pages, "LocalPagePool::Reserve"));
}

void LocalPagePool::ReleaseChain(const PageList& list) noexcept {
  SetLink(list.last, free_);
  free_ = list.first;
  free_count_ += list.count;
}

void LocalPagePool::ReleaseBlocks(const BlockChain& blocks) noexcept {
  if (blocks.count == 0) return;
  const auto* const last = reinterpret_cast<std::byte*>(blocks.last);
  if (slab_.NumberOf(last) >= slab_.page_count()) {
    slab_.ReportBadFree(last, PageState::kUntouched, {});
  }
  // As a ring that hangs on its last page. The first may be long out of every cache.
  blocks.last->next = blocks.first;
  SetLink(IndexOf(last), released_);
  released_ = IndexOf(last);
  released_count_ += blocks.count;
}

// --- Memory -------------------------------------------------------------------------------------

// Brings all free pages that have memory into the list.
void LocalPagePool::ListAll() noexcept {
  Spill(newest_count());
  while (released_ != kNoPage) {
    const PageIndex index = TakeElsewhere();
    PushListed(index);
    MarkFree(At(index), page_bytes());
  }
}

size_t LocalPagePool::Trim(size_t keep_pages) noexcept {
  if (!trims_) return 0;
  ListAll();
  while (free_count_ > 0) slab_.state(TakeListed()) = PageState::kTrimmed;
  for (PageIndex index = 0; index < next_ && keep_pages > 0; ++index) {
    if (slab_.state(index) != PageState::kTrimmed) continue;
    slab_.state(index) = PageState::kFree;
    --keep_pages;
  }
  const size_t bytes = DecommitTrimmed(PageState::kCold);
  // Both lists anew, from the end on, so that the first pages are the next to go.
  free_ = cold_ = kNoPage;
  cold_count_ = 0;
  for (PageIndex index = next_; index > 0; --index) {
    const PageState state = slab_.state(index - 1);
    if (state == PageState::kFree) PushListed(index - 1);
    if (state != PageState::kCold) continue;
    SetLink(index - 1, cold_);
    cold_ = index - 1;
    ++cold_count_;
  }
  return bytes;
}

// Gives back the memory of the kTrimmed pages and leaves them in the state `next`, or kFree where
// it cannot be given back by itself.
size_t LocalPagePool::DecommitTrimmed(PageState next) noexcept {
  size_t bytes = 0;
  for (PageIndex index = 0; index < next_;) {
    const PageIndex begin = index;
    while (index < next_ && slab_.state(index) == PageState::kTrimmed) ++index;
    if (begin == index) {
      ++index;
      continue;
    }
    const PageSlab::Run given = slab_.Decommit(begin, index);
    bytes += given.size() * page_bytes();
    for (PageIndex i = begin; i < index; ++i) {
      const bool stays = next == PageState::kCold && !given.Has(i);
      slab_.state(i) = stays ? PageState::kFree : next;
    }
  }
  return bytes;
}

Expected<void> LocalPagePool::Resize(size_t max_pages) {
  const size_t now = end_ - retired_count_;
  if (max_pages == 0 || max_pages > slab_.page_count()) {
    return tl::unexpected(slab_.BadCap(max_pages, "LocalPagePool::Resize"));
  }
  ListAll();
  if (max_pages < now) {
    size_t fewer = now - max_pages;
    const size_t free = free_count_ + cold_count_ + (end_ - next_);
    if (free < fewer) {
      return tl::unexpected(slab_.TooFewFree(fewer, free, "LocalPagePool::Resize"));
    }
    const size_t from_end = std::min<size_t>(fewer, end_ - next_);
    end_ -= static_cast<PageIndex>(from_end);
    fewer -= from_end;
    retired_count_ += fewer;
    for (; fewer > 0; --fewer) {
      const PageIndex index = cold_count_ > 0 ? TakeElsewhere() : TakeListed();
      slab_.state(index) = PageState::kTrimmed;
    }
    DecommitTrimmed(PageState::kRetired);
    return {};
  }
  size_t more = max_pages - now;
  for (PageIndex index = 0; index < next_ && retired_count_ > 0 && more > 0; ++index) {
    if (slab_.state(index) != PageState::kRetired) continue;
    slab_.state(index) = PageState::kCold;
    SetLink(index, cold_);
    cold_ = index;
    ++cold_count_;
    --retired_count_;
    --more;
  }
  end_ += static_cast<PageIndex>(more);
  return {};
}

PagePoolStats LocalPagePool::Stats() const noexcept {
  PagePoolStats stats;
  stats.max_pages = end_ - retired_count_;
  stats.free_pages = newest_count() + free_count_ + released_count_;
  stats.cold_pages = cold_count_;
  stats.untouched_pages = end_ - next_;
  stats.touched_pages_max = next_;
  stats.live_pages = stats.max_pages - stats.free_pages - stats.cold_pages - stats.untouched_pages;
  return stats;
}

}  // namespace granary
