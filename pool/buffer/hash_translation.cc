#include "pool/buffer/hash_translation.h"

#include <string>
#include <utility>

#include "memory/memory_budget.h"
#include "pool/buffer/fix_sections.h"

namespace granary::buffer {

namespace {

Error Invalid(std::string message, const char* where) {
  return {.code = ErrorCode::kInvalidArgument, .message = std::move(message), .where = where};
}

}  // namespace

HashTranslation::HashTranslation(const TranslationOptions& options)
    : files_max_(options.files_max),
      budget_(options.budget),
      calls_(options.system_calls),
      pages_(std::make_unique<std::atomic<uint64_t>[]>(options.files_max)) {
  newest_.store(segments_.data(), std::memory_order_relaxed);
}

Expected<std::unique_ptr<HashTranslation>> HashTranslation::Create(
    const TranslationOptions& options) {
  constexpr const char* kWhere = "HashTranslation::Create";
  if (options.files_max == 0 || options.files_max > kFilesMost) {
    return tl::unexpected(Invalid("files_max is " + std::to_string(options.files_max) +
                                      ", not from 1 to " + std::to_string(kFilesMost),
                                  kWhere));
  }
  if (options.frames == 0 || options.frames > kEntriesMax) {
    return tl::unexpected(Invalid("frames is " + std::to_string(options.frames) +
                                      ", not from 1 to " + std::to_string(kEntriesMax),
                                  kWhere));
  }
  std::unique_ptr<HashTranslation> made(new HashTranslation(options));
  auto reserved = made->segments_.front().Reserve(options.frames, options.system_calls);
  if (!reserved) return tl::unexpected(std::move(reserved.error()));
  return made;
}

HashTranslation::~HashTranslation() {
  if (budget_ != nullptr && held_bytes() != 0) budget_->Release(held_bytes());
}

// --- Files --------------------------------------------------------------------------------------

Expected<void> HashTranslation::AddFile(FileId file, uint64_t pages) {
  constexpr const char* kWhere = "HashTranslation::AddFile";
  if (file >= files_max_) {
    return tl::unexpected(Invalid("there are " + std::to_string(files_max_) +
                                      " files at most, and none of number " + std::to_string(file),
                                  kWhere));
  }
  if (pages == 0 || pages > kPagesMax) {
    return tl::unexpected(Invalid("a file of " + std::to_string(pages) +
                                      " pages: there may be from 1 to " + std::to_string(kPagesMax),
                                  kWhere));
  }
  if (PagesOf(file) != 0) {
    return tl::unexpected(Invalid("file " + std::to_string(file) + " is there already", kWhere));
  }
  pages_[file].store(pages, std::memory_order_release);
  return {};
}

// Tables that are empty now give their memory back.
bool HashTranslation::RemoveFile(FileId file, FixSections& sections) noexcept {
  const std::scoped_lock lock(mutex_);
  const uint64_t pages = pages_[file].exchange(0, std::memory_order_relaxed);
  if (pages == 0) return true;
  size_t bytes;
  if (TryGiveBack(sections, &bytes)) return true;
  pages_[file].store(pages, std::memory_order_release);
  return false;
}

uint64_t HashTranslation::PagesOf(FileId file) const noexcept {
  return file < files_max_ ? pages_[file].load(std::memory_order_acquire) : 0;
}

// --- Entries ------------------------------------------------------------------------------------

PageEntry* HashTranslation::FindFurther(PageTag tag, uint64_t hash) const noexcept {
  for (const HashSegment* segment = newest_.load(std::memory_order_acquire);; --segment) {
    if (PageEntry* const entry = segment->Find(tag, hash)) return entry;
    if (segment == segments_.data()) return nullptr;
  }
}

PageEntry* HashTranslation::TryHold(PageTag tag, uint64_t hash, Fill fill,
                                    HashSegment** tried) noexcept {
  const std::scoped_lock lock(TurnOf(hash).mutex);
  // Behind the lock: whoever had the turn before may have put the page into a newer one.
  HashSegment* const newest = newest_.load(std::memory_order_acquire);
  *tried = newest;
  for (HashSegment* segment = newest;; --segment) {
    if (PageEntry* const entry = segment->Hold(tag, hash)) return entry;
    if (segment == segments_.data()) break;
  }
  return newest->Take(tag, hash,
                      fill == Fill::kEasy ? newest->entries_easy() : newest->entries_max());
}

PageEntry* HashTranslation::Hold(PageId id) noexcept {
  const PageTag tag = TagOf(id);
  const uint64_t hash = HashOf(tag);
  HashSegment* full;
  while (true) {
    if (PageEntry* const entry = TryHold(tag, hash, Fill::kEasy, &full)) return entry;
    if (MakeRoom(full)) continue;
    // Rather a table that is too full than memory that others use.
    return TryHold(tag, hash, Fill::kMost, &full);
  }
}

void HashTranslation::LetGo(PageId id) noexcept {
  const PageTag tag = TagOf(id);
  const uint64_t hash = HashOf(tag);
  const std::scoped_lock lock(TurnOf(hash).mutex);
  for (HashSegment* segment = newest_.load(std::memory_order_acquire);; --segment) {
    if (segment->LetGo(tag, hash) || segment == segments_.data()) return;
  }
}

// --- Memory -------------------------------------------------------------------------------------

size_t HashTranslation::StepBytes(const HashSegment& newest) noexcept {
  return newest.is_shown() ? HashSegment::BytesFor(2 * size_t{newest.entries_easy()})
                           : newest.bytes();
}

bool HashTranslation::MakeRoom(HashSegment* full) noexcept {
  const bool was_shown = full->is_shown();
  if (was_shown && (full == &segments_.back() || full->entries_easy() >= kEntriesMax)) {
    return false;
  }
  const size_t entries = 2 * size_t{full->entries_easy()};
  const size_t bytes = was_shown ? HashSegment::BytesFor(entries) : full->bytes();
  if (budget_ != nullptr && !budget_->TryChargeIdle(bytes)) return false;
  bool is_used = false;
  bool has_failed = false;
  {
    const std::scoped_lock lock(mutex_);
    // Otherwise somebody was faster, or its memory has just been given back.
    if (newest_.load(std::memory_order_relaxed) == full && full->is_shown() == was_shown) {
      HashSegment* const shown = was_shown ? full + 1 : full;
      has_failed = was_shown && !shown->Reserve(entries, calls_);
      is_used = !has_failed;
      if (is_used) {
        held_bytes_.fetch_add(bytes, std::memory_order_relaxed);
        shown->Show();
        newest_.store(shown, std::memory_order_release);
      }
    }
  }
  if (!is_used && budget_ != nullptr) budget_->Release(bytes);
  return !has_failed;
}

bool HashTranslation::TryGiveBack(FixSections& sections, size_t* bytes) noexcept {
  *bytes = 0;
  std::array<HashSegment*, kSegmentsMax> hidden;
  size_t count = 0;
  for (HashSegment* segment = newest_.load(std::memory_order_relaxed);; --segment) {
    if (segment->TryHide()) hidden[count++] = segment;
    if (segment == segments_.data()) break;
  }
  const bool all_are_outside = sections.AllAreOutside();
  for (size_t i = 0; i < count; ++i) {
    if (all_are_outside && hidden[i]->GiveBack()) {
      *bytes += hidden[i]->bytes();
    } else {
      hidden[i]->Show();
    }
  }
  held_bytes_.fetch_sub(*bytes, std::memory_order_relaxed);
  if (budget_ != nullptr && *bytes != 0) budget_->Release(*bytes);
  return all_are_outside;
}

size_t HashTranslation::GiveBackEmpty(FixSections& sections) noexcept {
  if (empty_bytes() == 0) return 0;
  const std::scoped_lock lock(mutex_);
  size_t bytes;
  return TryGiveBack(sections, &bytes) ? bytes : 0;
}

size_t HashTranslation::empty_bytes() const noexcept {
  size_t bytes = 0;
  for (const HashSegment* segment = newest_.load(std::memory_order_acquire);; --segment) {
    if (segment->is_empty()) bytes += segment->bytes();
    if (segment == segments_.data()) return bytes;
  }
}

}  // namespace granary::buffer
