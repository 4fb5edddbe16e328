#include "pool/buffer/page_guard.h"

namespace granary {

using buffer::EntryState;
using buffer::FixSections;
using buffer::Latched;
using buffer::PageEntry;
using buffer::PoolParts;

namespace {

uint64_t Record(PoolParts& parts, PageId id, bool is_exclusive, CallSite site) noexcept {
  return parts.ledger != nullptr ? parts.ledger->Add(id, is_exclusive, site) : 0;
}

}  // namespace

std::optional<ExclusivePage> SharedPage::TryUpgrade(CallSite site) noexcept {
  if (!latched_.entry().TryUpgrade()) return std::nullopt;
  if (latched_.pin() != 0) latched_.parts().ledger->Change(latched_.pin(), true, site);
  return ExclusivePage(std::move(latched_));
}

SharedPage ExclusivePage::Downgrade(CallSite site) noexcept {
  PoolParts& parts = latched_.parts();
  PageEntry& entry = latched_.entry();
  parts.Woken(entry, entry.Downgrade(true));
  if (latched_.pin() != 0) parts.ledger->Change(latched_.pin(), false, site);
  return SharedPage(std::move(latched_));
}

// The entry of an optimistic reader may be another page's by now, or nobody's: it is looked up
// again.
std::optional<SharedPage> OptimisticPage::TryLatchShared(CallSite site) noexcept {
  PoolParts& parts = *parts_;
  PageEntry* entry;
  {
    const FixSections::Inside inside(parts.sections);
    entry = parts.translation.FindEntry(id_);
    if (entry == nullptr || entry != entry_) return std::nullopt;
    const EntryState before = entry->Pin();
    if (!before.was_pinned() || !before.is_same_page_as(seen_)) {
      parts.Unpin(*entry);
      return std::nullopt;
    }
  }
  return SharedPage(Latched(parts, *entry, seen_.frame(), Record(parts, id_, false, site)));
}

std::optional<ExclusivePage> OptimisticPage::TryUpgrade(CallSite site) noexcept {
  PoolParts& parts = *parts_;
#if defined(__SANITIZE_THREAD__)
  // What has it pinned here is in the way of any other.
  pinned_.Release();
#endif
  PageEntry* entry;
  {
    const FixSections::Inside inside(parts.sections);
    entry = parts.translation.FindEntry(id_);
    if (entry == nullptr || entry != entry_ || !entry->TryExclusive(seen_)) return std::nullopt;
  }
  return ExclusivePage(Latched(parts, *entry, seen_.frame(), Record(parts, id_, true, site)));
}

}  // namespace granary
