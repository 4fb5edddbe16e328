// The ways to a page that is not simply there: waiting for it, bringing it, making it.
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "pool/buffer/buffer_pool_core.h"
#include "pool/page_pool.h"

namespace granary {

using buffer::EntryState;
using buffer::FixSections;
using buffer::Latched;
using buffer::PageEntry;

namespace {

// A latch is mostly held for less than a microsecond.
constexpr int kSpins = 200;

void Pause() noexcept { __builtin_ia32_pause(); }

std::string Name(PageId id) {
  return "page " + std::to_string(id.page) + " of file " + std::to_string(id.file);
}

Error BeyondEnd(PageId id, const buffer::BufferedFile& file, uint64_t pages_max) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = Name(id) + ", " + std::string(file.store->name()) + ", which has at most " +
                     std::to_string(pages_max),
          .where = "BufferPool"};
}

}  // namespace

// --- Waiting ------------------------------------------------------------------------------------

// Each look at the entry is from within the sections: it may be gone the next time.
bool BufferPoolCore::AwaitChange(PageId id) noexcept {
  buffer::PoolParts& its = parts();
  for (int i = 0; i < kSpins; ++i) {
    {
      const FixSections::Inside inside(its.sections);
      const PageEntry* const entry = its.translation.FindEntry(id);
      if (entry == nullptr) return false;
      const EntryState state = entry->Load();
      if (state.is_absent()) return false;
      if (state.is_readable()) return true;
    }
    Pause();
  }
  waits_.fetch_add(1, std::memory_order_relaxed);
  const void* word;
  uint32_t seen;
  {
    const FixSections::Inside inside(its.sections);
    PageEntry* const entry = its.translation.FindEntry(id);
    if (entry == nullptr) return false;
    word = entry;
    seen = its.lot.Prepare(word);
    const EntryState state = entry->AnnounceWaiter();
    // The mark that stays behind costs somebody a wake.
    if (state.is_absent()) return false;
    if (state.is_readable() || !its.translation.IsEntryOf(*entry, id)) return true;
  }
  its.lot.Sleep(word, seen);
  return true;
}

// The entry has been claimed, and stays.
void BufferPoolCore::AwaitNoPins(PageEntry& entry) noexcept {
  for (int i = 0; i < kSpins; ++i) {
    if (entry.Load().pins() == 0) return;
    Pause();
  }
  waits_.fetch_add(1, std::memory_order_relaxed);
  while (true) {
    const uint32_t seen = parts().lot.Prepare(&entry);
    if (entry.AnnounceWaiter().pins() == 0) return;
    parts().lot.Sleep(&entry, seen);
  }
}

// --- Fixing -------------------------------------------------------------------------------------

Expected<SharedPage> BufferPoolCore::FixSharedSlow(PageId id, Access access, buffer::ScanRing* ring,
                                                   CallSite site) noexcept {
  buffer::PoolParts& its = parts();
  if (ring == nullptr && access == Access::kScan) ring = &ring_;
  while (true) {
    {
      const FixSections::Inside inside(its.sections);
      PageEntry* const entry = its.translation.FindEntry(id);
      if (entry != nullptr && entry->Load().is_readable()) {
        const EntryState before = entry->Pin();
        if (before.was_pinned() && its.translation.IsEntryOf(*entry, id)) {
          CountHit(before.frame(), access);
          return SharedPage(Latched(its, *entry, before.frame(), Record(id, false, site)));
        }
        its.Unpin(*entry);
      }
    }
    if (AwaitChange(id)) continue;
    auto brought = Bring(id, access, ring, Loaded::kShared);
    if (!brought) return tl::unexpected(std::move(brought.error()));
    if (brought->entry == nullptr) continue;
    return SharedPage(Latched(its, *brought->entry, brought->frame, Record(id, false, site)));
  }
}

Expected<ExclusivePage> BufferPoolCore::FixExclusiveSlow(PageId id, Access access,
                                                         buffer::ScanRing* ring,
                                                         CallSite site) noexcept {
  buffer::PoolParts& its = parts();
  if (ring == nullptr && access == Access::kScan) ring = &ring_;
  while (true) {
    PageEntry* claimed = nullptr;
    {
      const FixSections::Inside inside(its.sections);
      PageEntry* const entry = its.translation.FindEntry(id);
      if (entry != nullptr && entry->ClaimExclusive()) {
        if (its.translation.IsEntryOf(*entry, id)) {
          claimed = entry;
        } else {
          its.Woken(*entry, entry->ReleaseExclusive(false));
        }
      }
    }
    if (claimed != nullptr) {
      AwaitNoPins(*claimed);
      const FrameIndex frame = claimed->Load().frame();
      CountHit(frame, access);
      return ExclusivePage(Latched(its, *claimed, frame, Record(id, true, site)));
    }
    if (AwaitChange(id)) continue;
    auto brought = Bring(id, access, ring, Loaded::kExclusive);
    if (!brought) return tl::unexpected(std::move(brought.error()));
    if (brought->entry == nullptr) continue;
    AwaitNoPins(*brought->entry);
    return ExclusivePage(Latched(its, *brought->entry, brought->frame, Record(id, true, site)));
  }
}

Expected<OptimisticPage> BufferPoolCore::PeekSlow(PageId id, Access access) noexcept {
  // Brought as for anybody, and let go: it stays for as long as it takes to look at it, mostly.
  while (true) {
    auto page = FixSharedSlow(id, access, nullptr, CallSite::Current());
    if (!page) return tl::unexpected(std::move(page.error()));
    const PageEntry& entry = page->latched_.entry();
    const EntryState seen = entry.Load();
    // Somebody waits for our pin to go, and will change the page then.
    if (!buffer::kOptimisticReadsPin && !seen.is_readable()) continue;
    OptimisticPage peeked(parts(), entry, page->data(), seen, id);
#if defined(__SANITIZE_THREAD__)
    peeked.pinned_ = std::move(*page);
#endif
    return peeked;
  }
}

std::optional<OptimisticPage> BufferPoolCore::TryPeekPinned(PageId id) noexcept {
  {
    const FixSections::Inside inside(parts().sections);
    const PageEntry* const entry = parts().translation.FindEntry(id);
    if (entry == nullptr || !entry->Load().is_readable()) return std::nullopt;
  }
  auto page = PeekSlow(id, Access::kOnce);
  if (!page) return std::nullopt;
  return *std::move(page);
}

Error BufferPoolCore::NoSuchFile(FileId file) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = "there is no file " + std::to_string(file),
          .where = "BufferPool"};
}

// --- Bringing -----------------------------------------------------------------------------------

Expected<PageEntry*> BufferPoolCore::BeginBringing(PageId id, Asks asks) {
  buffer::PoolParts& its = parts();
  const buffer::BufferedFile* const file = its.files.Find(id.file);
  const uint64_t pages_max = its.translation.PagesOf(id.file);
  if (file == nullptr) return tl::unexpected(NoSuchFile(id.file));
  if (id.page >= pages_max) return tl::unexpected(BeyondEnd(id, *file, pages_max));
  PageEntry* entry = its.translation.Hold(id);
  // Somebody else may be faster, but not each time.
  for (int tries = 0; entry == nullptr && tries < 10 && MakeRoomForEntries(asks); ++tries) {
    entry = its.translation.Hold(id);
  }
  if (entry == nullptr) {
    return tl::unexpected(budget_ != nullptr
                              ? budget_->Refusal(its.frames.page_bytes())
                              : Error{.code = ErrorCode::kOutOfMemory,
                                      .message = "there is no room for the entry of " + Name(id),
                                      .where = "BufferPool"});
  }
  // Where entries begin that were given back, so that an optimistic reader does not take the new
  // page for the old one. Odd steps go through all versions. One that is held is not given back.
  const bool is_new = entry->Load().version() == 0;
  const uint64_t seed = is_new ? version_seed_.fetch_add(0x9E3779B1, std::memory_order_relaxed) : 0;
  if (entry->BeginLoad(seed & (EntryState::kVersions >> EntryState::kVersionShift))) return entry;
  its.translation.LetGo(id);
  return nullptr;
}

void BufferPoolCore::EndBringing(PageEntry& entry, PageId id, FrameIndex frame, Lsn lsn,
                                 Access access, buffer::ScanRing* ring, Loaded as) noexcept {
  parts().frames.Start(frame, KeyOf(id), lsn);
  parts_.supply->Insert(frame, KeyOf(id), access, ring);
  parts().Woken(entry, entry.EndLoad(frame, as));
}

void BufferPoolCore::GiveUpBringing(PageEntry& entry, PageId id) noexcept {
  parts().Woken(entry, entry.FailLoad());
  parts().translation.LetGo(id);
}

Expected<BufferPoolCore::Brought> BufferPoolCore::Bring(PageId id, Access access,
                                                        buffer::ScanRing* ring, Loaded as) {
  auto begun = BeginBringing(id, Asks::kOthers);
  if (!begun) return tl::unexpected(std::move(begun.error()));
  if (*begun == nullptr) return Brought{};
  PageEntry& entry = **begun;
  buffer::Patience patience(frame_wait_);
  auto frame =
      ring != nullptr ? parts_.supply->ObtainFor(*ring, patience) : parts_.supply->Obtain(patience);
  if (!frame) {
    GiveUpBringing(entry, id);
    return tl::unexpected(std::move(frame.error()));
  }
  auto lsn = ReadPage(id, *frame);
  if (!lsn) {
    GiveUpBringing(entry, id);
    parts_.supply->Return(*frame);
    return tl::unexpected(std::move(lsn.error()));
  }
  parts_.supply->CountMiss();
  EndBringing(entry, id, *frame, *lsn, access, ring, as);
  return Brought{&entry, *frame};
}

Expected<Lsn> BufferPoolCore::ReadPage(PageId id, FrameIndex frame) {
  PageRead read = {.page = id.page, .bytes = parts().frames.At(frame)};
  parts().files.Find(id.file)->store->Read({&read, 1});
  return Judge(id, frame, read.error_number);
}

Expected<Lsn> BufferPoolCore::Judge(PageId id, FrameIndex frame, int error_number) {
  const buffer::BufferedFile& file = *parts().files.Find(id.file);
  const std::span<const std::byte> bytes = parts().frames.BytesOf(frame);
  if (error_number == 0 && file.codec->Verify(bytes, id) == PageVerdict::kOk) [[likely]]
    return file.codec->LsnOf(bytes);
  return tl::unexpected(WhyUnread(id, frame, error_number));
}

Error BufferPoolCore::WhyUnread(PageId id, FrameIndex frame, int error_number) {
  const buffer::BufferedFile& file = *parts().files.Find(id.file);
  read_errors_.fetch_add(1, std::memory_order_relaxed);
  if (error_number != 0) {
    return Error{
        .code = ErrorCode::kIo,
        .message = Name(id) + ", " + std::string(file.store->name()) + ", could not be read: " +
                   (error_number == ENODATA
                        ? "the file has " + std::to_string(file.store->PageCount()) + " pages"
                        : std::strerror(error_number)),
        .where = "BufferPool",
        .system_errno = error_number};
  }
  return Error{.code = ErrorCode::kCorrupt,
               .message = Name(id) + ", " + std::string(file.store->name()) + ": " +
                          file.codec->Describe(parts().frames.BytesOf(frame), id),
               .where = "BufferPool"};
}

// --- Making -------------------------------------------------------------------------------------

PageReservation::~PageReservation() {
  for (const FrameIndex frame : frames_) supply_->Return(frame);
}

Expected<PageReservation> BufferPoolCore::Reserve(size_t pages) {
  PageReservation reservation;
  reservation.supply_ = parts_.supply.get();
  reservation.frames_.reserve(pages);
  buffer::Patience patience(frame_wait_);
  while (reservation.frames_.size() < pages) {
    auto frame = parts_.supply->Obtain(patience);
    if (!frame) return tl::unexpected(std::move(frame.error()));
    reservation.frames_.push_back(*frame);
  }
  return reservation;
}

Expected<ExclusivePage> BufferPoolCore::Allocate(FileId file, PageReservation& reservation, Lsn lsn,
                                                 CallSite site) {
  buffer::BufferedFile* const its = parts().files.Find(file);
  if (its == nullptr) return tl::unexpected(NoSuchFile(file));
  const uint64_t pages_max = parts().translation.PagesOf(file);
  uint64_t page = its->next_page.load(std::memory_order_relaxed);
  do {
    if (page >= pages_max) {
      Error error = BeyondEnd({file, page}, *its, pages_max);
      error.code = ErrorCode::kOutOfMemory;
      return tl::unexpected(std::move(error));
    }
  } while (!its->next_page.compare_exchange_weak(page, page + 1, std::memory_order_relaxed));
  return CreateAt({file, page}, reservation, lsn, site);
}

Expected<ExclusivePage> BufferPoolCore::CreatePage(PageId id, PageReservation& reservation, Lsn lsn,
                                                   CallSite site) {
  if (buffer::BufferedFile* const its = parts().files.Find(id.file)) {
    uint64_t next = its->next_page.load(std::memory_order_relaxed);
    while (next <= id.page &&
           !its->next_page.compare_exchange_weak(next, id.page + 1, std::memory_order_relaxed)) {
    }
  }
  return CreateAt(id, reservation, lsn, site);
}

Expected<ExclusivePage> BufferPoolCore::CreateAt(PageId id, PageReservation& reservation, Lsn lsn,
                                                 CallSite site) {
  if (reservation.frames_.empty()) {
    return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                                .message = "the reservation has no frame left for " + Name(id),
                                .where = "BufferPool::Allocate"});
  }
  buffer::PoolParts& its = parts();
  while (true) {
    auto begun = BeginBringing(id, Asks::kOthers);
    if (!begun) return tl::unexpected(std::move(begun.error()));
    if (*begun != nullptr) {
      const FrameIndex frame = reservation.frames_.back();
      reservation.frames_.pop_back();
      std::memset(its.frames.At(frame), 0, its.frames.page_bytes());
      EndBringing(**begun, id, frame, 0, Access::kNormal, nullptr, Loaded::kExclusive);
      AwaitNoPins(**begun);
      its.frames.MarkDirty(frame, lsn);
      return ExclusivePage(Latched(its, **begun, frame, Record(id, true, site)));
    }
    // It is there, from the file or from a time before: taken as it is, and cleared.
    std::optional<FrameIndex> taken;
    PageEntry* entry;
    {
      const FixSections::Inside inside(its.sections);
      entry = its.translation.FindEntry(id);
      if (entry != nullptr) {
        const EntryState seen = entry->Load();
        if (its.translation.IsEntryOf(*entry, id) && entry->TryExclusive(seen)) {
          taken = seen.frame();
        }
      }
    }
    if (taken) {
      std::memset(its.frames.At(*taken), 0, its.frames.page_bytes());
      its.frames.MarkDirty(*taken, lsn);
      return ExclusivePage(Latched(its, *entry, *taken, Record(id, true, site)));
    }
    if (!AwaitChange(id)) continue;
  }
}

void BufferPoolCore::Discard(ExclusivePage page) noexcept {
  buffer::PoolParts& its = parts();
  PageEntry& entry = page.latched_.entry();
  const FrameIndex frame = page.latched_.frame();
  const PageId id = page.id();
  page.latched_.Forget();
  its.frames.MarkClean(frame);
  its.Woken(entry, entry.Evict(frame));
  its.translation.LetGo(id);
  parts_.supply->Discarded(frame);
}

}  // namespace granary
