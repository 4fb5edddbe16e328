// ArrayTranslation: the entries of a file's pages in an array, by page number.
//
// For files whose pages are numbered without large gaps: the entry is found with two loads and an
// addition. Address space is set aside for all entries a file may ever need, 8 bytes a page; memory
// is there for leaves of 512 entries, 4 KiB for 2 MiB of a file with pages of 4 KiB, in which a
// page is resident. So the upper of the two levels is the kernel's page table. A leaf whose last
// page is gone gives its memory back.
//
// A leaf's word counts the pages that hold it. Who gives its memory back hides it first, then makes
// sure that no thread is between finding and pinning (FixSections), and then has the system punch
// it out; entries begin as zeros again.
//
// Costs. Metadata: 0.2 % of what is touched of a file with pages of 4 KiB, and 4 bytes for each
// 2 MiB. Hold and LetGo: an atomic read-modify-write; a leaf's first also charges the budget.
//
// Threading. Any thread; AddFile and RemoveFile of one file are the caller's to order.
//
// Choose HashTranslation for numbers with large gaps: there each page would take a leaf.
//
// Source: the translation arrays of X. Zhou et al., Calico, 2026.
#ifndef GRANARY_POOL_BUFFER_ARRAY_TRANSLATION_H_
#define GRANARY_POOL_BUFFER_ARRAY_TRANSLATION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/error.h"
#include "memory/system_memory.h"
#include "pool/buffer/page_entry.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/translation.h"

namespace granary::buffer {

class ArrayTranslation final : public Translation {
 public:
  // How many frames there are is all one to it. kInvalidArgument.
  static Expected<std::unique_ptr<ArrayTranslation>> Create(const TranslationOptions& options);
  ~ArrayTranslation() override;

  // The hit path's: what a pool keeps a copy of.
  class View;
  View MakeView() const noexcept;
  // The same of a single file, from when it is added until it is removed. Behind that nothing is
  // found, or what the next file of this number has.
  class FileView;

  Expected<void> AddFile(FileId file, uint64_t pages) override;
  bool RemoveFile(FileId file, FixSections& sections) noexcept override;
  uint64_t PagesOf(FileId file) const noexcept override;
  PageEntry* FindEntry(PageId id) const noexcept override;
  bool IsEntryOf(const PageEntry& /*entry*/, PageId /*id*/) const noexcept override { return true; }
  PageEntry* Hold(PageId id) noexcept override;
  void LetGo(PageId id) noexcept override;
  size_t GiveBackEmpty(FixSections& sections) noexcept override;
  size_t step_bytes() const noexcept override { return kLeafBytes; }
  size_t held_bytes() const noexcept override {
    return shown_leaves_.load(std::memory_order_relaxed) * kLeafBytes;
  }
  size_t empty_bytes() const noexcept override {
    return listed_leaves_.load(std::memory_order_relaxed) * kLeafBytes;
  }

 private:
  static constexpr unsigned kLeafLog2 = 9;
  static constexpr size_t kLeafBytes = sizeof(PageEntry) << kLeafLog2;
  // A leaf's word. Entries may be found; the leaf is known to be empty, or was; its memory is being
  // given back. Below: how many pages hold it.
  static constexpr uint32_t kShown = uint32_t{1} << 31;
  static constexpr uint32_t kListed = uint32_t{1} << 30;
  static constexpr uint32_t kLeaving = uint32_t{1} << 29;
  static constexpr uint32_t kHolders = kLeaving - 1;

  using Leaf = std::atomic<uint32_t>;

  struct alignas(32) File {
    PageEntry* entries = nullptr;
    Leaf* leaves = nullptr;
    // 0 where there is no file.
    std::atomic<uint64_t> pages = 0;
  };
  // It stays mapped when the file is removed: a thread that has just let go of the last pin may
  // look once more whether somebody waits, and a view of the file may look for pages.
  struct FileMemory {
    SystemMemory entries;
    SystemMemory leaves;
  };
  struct LeafId {
    FileId file;
    uint64_t leaf;
  };

  explicit ArrayTranslation(const TranslationOptions& options);

  Leaf& LeafOf(LeafId id) const noexcept { return files_[id.file].leaves[id.leaf]; }
  void List(LeafId id) noexcept;
  // Takes it for leaving; false if somebody holds it.
  bool TryHide(LeafId id) noexcept;
  void GiveBack(LeafId first, uint64_t count) noexcept;

  const uint32_t files_max_;
  MemoryBudget* const budget_;
  SystemCalls* const calls_;
  const std::unique_ptr<File[]> files_;
  const std::unique_ptr<FileMemory[]> memory_;
  std::atomic<size_t> shown_leaves_ = 0;
  // As many as `empty_` has.
  std::atomic<size_t> listed_leaves_ = 0;

  // One gives back at a time.
  std::mutex give_back_mutex_;
  // That of files whose place a larger file has taken: all zeros, and addresses rather than memory.
  std::vector<FileMemory> outgrown_;
  std::mutex empty_mutex_;
  // Leaves that became empty; those that are not any more are found out when their turn comes.
  std::vector<LeafId> empty_;
};

class ArrayTranslation::FileView {
 public:
  // Of no file: it has no page.
  FileView() noexcept = default;

  // As View's, of pages of its file.
  [[gnu::always_inline]] PageEntry* Find(PageId id) const noexcept {
    if (id.page >= pages_) [[unlikely]]
      return nullptr;
    const uint32_t leaf = leaves_[id.page >> kLeafLog2].load(std::memory_order_relaxed);
    if ((leaf & kShown) == 0) [[unlikely]]
      return nullptr;
    return EntryAt(id.page);
  }
  [[gnu::always_inline]] const PageEntry* Look(PageId id) const noexcept {
    return id.page < pages_ ? EntryAt(id.page) : nullptr;
  }
  [[gnu::always_inline]] static bool Has(const PageEntry& /*entry*/, PageId /*id*/) noexcept {
    return true;
  }

 private:
  friend class View;

  FileView(PageEntry* entries, Leaf* leaves, uint64_t pages) noexcept
      : entries_(entries), leaves_(leaves), pages_(pages) {}

  [[gnu::always_inline]] PageEntry* EntryAt(uint64_t page) const noexcept {
    // The compiler cannot know, and would have the caller look for it.
    if (entries_ == nullptr) __builtin_unreachable();
    return entries_ + page;
  }

  PageEntry* entries_ = nullptr;
  Leaf* leaves_ = nullptr;
  uint64_t pages_ = 0;
};

class ArrayTranslation::View {
 public:
  FileView OfFile(FileId file) const noexcept {
    const File* const its = FileOf({file, 0});
    if (its == nullptr) return {};
    return FileView(its->entries, its->leaves, its->pages.load(std::memory_order_relaxed));
  }
  // To pin it: inside of the sections, nullptr if there is no memory for it.
  [[gnu::always_inline]] PageEntry* Find(PageId id) const noexcept {
    const File* const file = FileOf(id);
    if (file == nullptr) [[unlikely]]
      return nullptr;
    const uint32_t leaf = file->leaves[id.page >> kLeafLog2].load(std::memory_order_relaxed);
    if ((leaf & kShown) == 0) [[unlikely]]
      return nullptr;
    return &file->entries[id.page];
  }
  // To look at it and nothing else, from anywhere: without memory it reads as absent.
  [[gnu::always_inline]] const PageEntry* Look(PageId id) const noexcept {
    const File* const file = FileOf(id);
    return file != nullptr ? &file->entries[id.page] : nullptr;
  }
  // An entry is its page's for good.
  [[gnu::always_inline]] static bool Has(const PageEntry& /*entry*/, PageId /*id*/) noexcept {
    return true;
  }

 private:
  friend class ArrayTranslation;

  View(const File* files, uint32_t files_max) noexcept : files_(files), files_max_(files_max) {}

  [[gnu::always_inline]] const File* FileOf(PageId id) const noexcept {
    if (id.file >= files_max_) [[unlikely]]
      return nullptr;
    const File& file = files_[id.file];
    // Acquire: the file's other fields were written before.
    if (id.page >= file.pages.load(std::memory_order_acquire)) [[unlikely]]
      return nullptr;
    return &file;
  }

  const File* files_;
  uint32_t files_max_;
};

inline ArrayTranslation::View ArrayTranslation::MakeView() const noexcept {
  return View(files_.get(), files_max_);
}
inline PageEntry* ArrayTranslation::FindEntry(PageId id) const noexcept {
  return MakeView().Find(id);
}

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_ARRAY_TRANSLATION_H_
