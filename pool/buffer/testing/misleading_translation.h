// MisleadingTranslation: a HashTranslation in which it happens all the time that an entry has gone
// to another page between being found and being pinned.
//
// In a HashTranslation that takes a thread that is interrupted between two instructions, and a slot
// that is taken by the right page meanwhile. Here one time in three that a page is looked for its
// neighbour's entry is found, and a pool has to notice.
#ifndef GRANARY_POOL_BUFFER_TESTING_MISLEADING_TRANSLATION_H_
#define GRANARY_POOL_BUFFER_TESTING_MISLEADING_TRANSLATION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "memory/error.h"
#include "pool/buffer/hash_translation.h"
#include "pool/buffer/translation.h"

namespace granary::buffer {

class MisleadingTranslation final : public Translation {
 public:
  static Expected<std::unique_ptr<MisleadingTranslation>> Create(
      const TranslationOptions& options) {
    auto real = HashTranslation::Create(options);
    if (!real) return tl::unexpected(std::move(real.error()));
    return std::unique_ptr<MisleadingTranslation>(new MisleadingTranslation(std::move(*real)));
  }

  // For all there are. False: every page's own entry is found.
  static void Mislead(bool is_misleading) noexcept {
    is_misleading_.store(is_misleading, std::memory_order_relaxed);
  }

  class View {
   public:
    explicit View(HashTranslation::View real) noexcept : real_(real) {}

    View OfFile(FileId /*file*/) const noexcept { return *this; }
    PageEntry* Find(PageId id) const noexcept { return real_.Find(Misled(id)); }
    const PageEntry* Look(PageId id) const noexcept { return real_.Look(Misled(id)); }
    bool Has(const PageEntry& entry, PageId id) const noexcept { return real_.Has(entry, id); }

   private:
    HashTranslation::View real_;
  };
  View MakeView() const noexcept { return View(real_->MakeView()); }
  using FileView = View;

  Expected<void> AddFile(FileId file, uint64_t pages) override {
    return real_->AddFile(file, pages);
  }
  bool RemoveFile(FileId file, FixSections& sections) noexcept override {
    return real_->RemoveFile(file, sections);
  }
  uint64_t PagesOf(FileId file) const noexcept override { return real_->PagesOf(file); }
  PageEntry* FindEntry(PageId id) const noexcept override { return real_->FindEntry(Misled(id)); }
  bool IsEntryOf(const PageEntry& entry, PageId id) const noexcept override {
    return real_->IsEntryOf(entry, id);
  }
  PageEntry* Hold(PageId id) noexcept override { return real_->Hold(id); }
  void LetGo(PageId id) noexcept override { real_->LetGo(id); }
  size_t GiveBackEmpty(FixSections& sections) noexcept override {
    return real_->GiveBackEmpty(sections);
  }
  size_t step_bytes() const noexcept override { return real_->step_bytes(); }
  size_t held_bytes() const noexcept override { return real_->held_bytes(); }
  size_t empty_bytes() const noexcept override { return real_->empty_bytes(); }

 private:
  explicit MisleadingTranslation(std::unique_ptr<HashTranslation> real) noexcept
      : real_(std::move(real)) {}

  static PageId Misled(PageId id) noexcept {
    if (!is_misleading_.load(std::memory_order_relaxed)) return id;
    // Not by counting: a caller who always finds three times would be misled in the same place.
    thread_local uint32_t random = 1;
    random = random * 1664525 + 1013904223;
    if ((random >> 16) % 3 != 0) return id;
    return {id.file, id.page ^ 1};
  }

  static inline std::atomic<bool> is_misleading_ = false;

  const std::unique_ptr<HashTranslation> real_;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_TESTING_MISLEADING_TRANSLATION_H_
