// PoolParts: what the parts of a buffer pool share. Internal to pool/buffer.
#ifndef GRANARY_POOL_BUFFER_POOL_PARTS_H_
#define GRANARY_POOL_BUFFER_POOL_PARTS_H_

#include <memory>
#include <utility>

#include "pool/buffer/file_set.h"
#include "pool/buffer/fix_sections.h"
#include "pool/buffer/frame_table.h"
#include "pool/buffer/page_entry.h"
#include "pool/buffer/parking_lot.h"
#include "pool/buffer/pin_ledger.h"
#include "pool/buffer/translation.h"

namespace granary::buffer {

struct PoolParts {
  PoolParts(FrameTable frame_table, Translation& pages, uint32_t files_max, bool records_pins)
      : frames(std::move(frame_table)),
        translation(pages),
        files(files_max),
        ledger(records_pins ? std::make_unique<PinLedger>() : nullptr) {}

  FrameTable frames;
  Translation& translation;
  FileSet files;
  FixSections sections;
  ParkingLot lot;
  // nullptr where pins are not recorded.
  std::unique_ptr<PinLedger> ledger;

  // After a change of the entry that was `before`: wakes who may have waited for it. The entry may
  // be another one's, or none, by now; a mark that stays behind costs a wake.
  void Woken(PageEntry& entry, EntryState before) noexcept {
    if (before.has_waiters()) [[unlikely]]
      Wake(entry);
  }
  [[gnu::cold, gnu::noinline]] void Wake(PageEntry& entry) noexcept {
    entry.ForgetWaiters();
    lot.WakeAll(&entry);
  }
  // The caller is inside, or has the page pinned otherwise.
  void Unpin(PageEntry& entry) noexcept {
    const EntryState before = entry.Unpin();
    // A writer waits for the last one alone.
    if (before.has_waiters() && before.pins() == 1) [[unlikely]]
      Wake(entry);
  }

  // The resident page `key`, if it is in `frame` and can be had at once. Otherwise nullptr, and
  // nothing has changed. Whoever has it lets it go.
  PageEntry* TryPin(PageKey key, FrameIndex frame) noexcept {
    const FixSections::Inside inside(sections);
    PageEntry* const entry = translation.FindEntry(PageOf(key));
    if (entry == nullptr) return nullptr;
    const EntryState before = entry->Pin();
    if (before.was_pinned() && before.frame() == frame &&
        translation.IsEntryOf(*entry, PageOf(key))) {
      return entry;
    }
    Unpin(*entry);
    return nullptr;
  }
  PageEntry* TryExclusive(PageKey key, FrameIndex frame) noexcept {
    const FixSections::Inside inside(sections);
    PageEntry* const entry = translation.FindEntry(PageOf(key));
    if (entry == nullptr) return nullptr;
    const EntryState seen = entry->Load();
    if (!seen.is_readable() || seen.frame() != frame) return nullptr;
    if (!translation.IsEntryOf(*entry, PageOf(key))) return nullptr;
    return entry->TryExclusive(seen) ? entry : nullptr;
  }
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_POOL_PARTS_H_
