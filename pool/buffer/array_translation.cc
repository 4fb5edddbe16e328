#include "pool/buffer/array_translation.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "memory/memory_budget.h"
#include "pool/buffer/fix_sections.h"

namespace granary::buffer {

namespace {

Error Invalid(std::string message) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = std::move(message),
          .where = "ArrayTranslation::AddFile"};
}

Expected<SystemMemory> Zeros(size_t bytes, SystemCalls* calls) {
  return SystemMemory::Reserve(
      {.reserve_bytes = bytes, .commit = CommitPolicy::kOnTouch, .system_calls = calls});
}

// Zeros from now on, and the system's; false if the system does not take it.
bool Forget(SystemMemory& memory, size_t offset, size_t bytes) noexcept {
  const size_t unit = memory.page_bytes();
  const size_t whole = std::min((bytes + unit - 1) / unit * unit, memory.size_bytes() - offset);
  return memory.Decommit(offset, whole).has_value();
}

}  // namespace

ArrayTranslation::ArrayTranslation(const TranslationOptions& options)
    : files_max_(options.files_max),
      budget_(options.budget),
      calls_(options.system_calls),
      files_(std::make_unique<File[]>(options.files_max)),
      memory_(std::make_unique<FileMemory[]>(options.files_max)) {}

Expected<std::unique_ptr<ArrayTranslation>> ArrayTranslation::Create(
    const TranslationOptions& options) {
  if (options.files_max == 0 || options.files_max > kFilesMax) {
    return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                                .message = "files_max is " + std::to_string(options.files_max) +
                                           ", not from 1 to " + std::to_string(kFilesMax),
                                .where = "ArrayTranslation::Create"});
  }
  return std::unique_ptr<ArrayTranslation>(new ArrayTranslation(options));
}

ArrayTranslation::~ArrayTranslation() {
  if (budget_ != nullptr && held_bytes() != 0) budget_->Release(held_bytes());
}

Expected<void> ArrayTranslation::AddFile(FileId file, uint64_t pages) {
  if (file >= files_max_) {
    return tl::unexpected(Invalid("there are " + std::to_string(files_max_) +
                                  " files at most, and none of number " + std::to_string(file)));
  }
  if (pages == 0 || pages > kPagesMax) {
    return tl::unexpected(Invalid("a file of " + std::to_string(pages) +
                                  " pages: there may be from 1 to " + std::to_string(kPagesMax)));
  }
  File& its = files_[file];
  if (its.pages.load(std::memory_order_relaxed) != 0) {
    return tl::unexpected(Invalid("file " + std::to_string(file) + " is there already"));
  }
  // Powers of two, so that few are replaced by larger ones.
  const size_t leaves = std::bit_ceil(static_cast<size_t>(((pages - 1) >> kLeafLog2) + 1));
  FileMemory& memory = memory_[file];
  if (memory.entries.size_bytes() < leaves * kLeafBytes) {
    auto entry_memory = Zeros(leaves * kLeafBytes, calls_);
    if (!entry_memory) return tl::unexpected(std::move(entry_memory.error()));
    auto leaf_memory = Zeros(leaves * sizeof(Leaf), calls_);
    if (!leaf_memory) return tl::unexpected(std::move(leaf_memory.error()));
    const std::scoped_lock lock(give_back_mutex_);
    outgrown_.reserve(outgrown_.size() + 1);
    outgrown_.push_back(std::exchange(
        memory, {.entries = std::move(*entry_memory), .leaves = std::move(*leaf_memory)}));
  }
  // Entries and leaves that are all zeros are as their constructors make them.
  its.entries = reinterpret_cast<PageEntry*>(memory.entries.data());
  its.leaves = reinterpret_cast<Leaf*>(memory.leaves.data());
  its.pages.store(pages, std::memory_order_release);
  return {};
}

bool ArrayTranslation::RemoveFile(FileId file, FixSections& sections) noexcept {
  const std::scoped_lock lock(give_back_mutex_);
  File& its = files_[file];
  const uint64_t pages = its.pages.exchange(0, std::memory_order_relaxed);
  if (pages == 0) return true;
  if (!sections.AllAreOutside()) {
    its.pages.store(pages, std::memory_order_release);
    return false;
  }
  const uint64_t leaves = ((pages - 1) >> kLeafLog2) + 1;
  {
    const std::scoped_lock empty_lock(empty_mutex_);
    std::erase_if(empty_, [&](LeafId id) { return id.file == file; });
    listed_leaves_.store(empty_.size(), std::memory_order_relaxed);
  }
  const bool is_forgotten =
      Forget(memory_[file].entries, 0, static_cast<size_t>(leaves) * kLeafBytes);
  size_t shown = 0;
  for (uint64_t leaf = 0; leaf < leaves; ++leaf) {
    const uint32_t word = its.leaves[leaf].load(std::memory_order_relaxed);
    if (word == 0) continue;
    its.leaves[leaf].store(0, std::memory_order_relaxed);
    if ((word & kShown) == 0) continue;
    ++shown;
    // Nothing else was written to.
    if (!is_forgotten) {
      std::memset(static_cast<void*>(&its.entries[leaf << kLeafLog2]), 0, kLeafBytes);
    }
  }
  (void)Forget(memory_[file].leaves, 0, static_cast<size_t>(leaves) * sizeof(Leaf));
  shown_leaves_.fetch_sub(shown, std::memory_order_relaxed);
  if (budget_ != nullptr && shown != 0) budget_->Release(shown * kLeafBytes);
  return true;
}

uint64_t ArrayTranslation::PagesOf(FileId file) const noexcept {
  return file < files_max_ ? files_[file].pages.load(std::memory_order_acquire) : 0;
}

PageEntry* ArrayTranslation::Hold(PageId id) noexcept {
  Leaf& leaf = LeafOf({id.file, id.page >> kLeafLog2});
  uint32_t word = leaf.load(std::memory_order_relaxed);
  while (true) {
    if ((word & kLeaving) != 0) {
      // Whoever hides it is about to show it again or to be done.
      ::sched_yield();
      word = leaf.load(std::memory_order_relaxed);
      continue;
    }
    const bool is_new = (word & kShown) == 0;
    if (is_new && budget_ != nullptr && !budget_->TryChargeIdle(kLeafBytes)) return nullptr;
    // Acquire: a leaf that was given back is all zeros.
    if (leaf.compare_exchange_strong(word, (word | kShown) + 1, std::memory_order_acq_rel,
                                     std::memory_order_relaxed)) {
      if (is_new) shown_leaves_.fetch_add(1, std::memory_order_relaxed);
      return &files_[id.file].entries[id.page];
    }
    if (is_new && budget_ != nullptr) budget_->Release(kLeafBytes);
  }
}

void ArrayTranslation::LetGo(PageId id) noexcept {
  const LeafId leaf = {id.file, id.page >> kLeafLog2};
  // Release: the entry is absent before who hides the leaf knows that nobody holds it.
  const uint32_t before = LeafOf(leaf).fetch_sub(1, std::memory_order_release);
  if ((before & kHolders) == 1 && (before & kListed) == 0) List(leaf);
}

void ArrayTranslation::List(LeafId id) noexcept {
  if ((LeafOf(id).fetch_or(kListed, std::memory_order_relaxed) & kListed) != 0) return;
  try {
    const std::scoped_lock lock(empty_mutex_);
    empty_.push_back(id);
    listed_leaves_.store(empty_.size(), std::memory_order_relaxed);
  } catch (const std::bad_alloc&) {
    // It keeps its memory until it becomes empty the next time.
    LeafOf(id).fetch_and(~kListed, std::memory_order_relaxed);
  }
}

bool ArrayTranslation::TryHide(LeafId id) noexcept {
  Leaf& leaf = LeafOf(id);
  uint32_t word = leaf.load(std::memory_order_relaxed);
  while ((word & kHolders) == 0 && (word & kShown) != 0) {
    if (leaf.compare_exchange_weak(word, kLeaving, std::memory_order_acquire,
                                   std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

size_t ArrayTranslation::GiveBackEmpty(FixSections& sections) noexcept {
  const std::scoped_lock lock(give_back_mutex_);
  std::vector<LeafId> empty;
  {
    const std::scoped_lock empty_lock(empty_mutex_);
    empty.swap(empty_);
    listed_leaves_.store(0, std::memory_order_relaxed);
  }
  std::erase_if(empty, [&](LeafId id) {
    if (TryHide(id)) return false;
    // Whoever makes it empty from now on lists it; who did so just before may have seen it listed.
    const uint32_t word = LeafOf(id).fetch_and(~kListed, std::memory_order_acq_rel);
    if ((word & kHolders) == 0 && (word & kShown) != 0) List(id);
    return true;
  });
  if (empty.empty()) return 0;
  if (!sections.AllAreOutside()) {
    for (const LeafId id : empty) {
      LeafOf(id).store(kShown, std::memory_order_release);
      List(id);
    }
    return 0;
  }
  std::sort(empty.begin(), empty.end(), [](LeafId a, LeafId b) {
    return a.file != b.file ? a.file < b.file : a.leaf < b.leaf;
  });
  for (size_t first = 0; first < empty.size();) {
    size_t last = first + 1;
    while (last < empty.size() && empty[last].file == empty[first].file &&
           empty[last].leaf == empty[last - 1].leaf + 1) {
      ++last;
    }
    GiveBack(empty[first], last - first);
    first = last;
  }
  shown_leaves_.fetch_sub(empty.size(), std::memory_order_relaxed);
  const size_t bytes = empty.size() * kLeafBytes;
  if (budget_ != nullptr) budget_->Release(bytes);
  return bytes;
}

void ArrayTranslation::GiveBack(LeafId first, uint64_t count) noexcept {
  File& its = files_[first.file];
  const auto offset = static_cast<size_t>(first.leaf) * kLeafBytes;
  const auto bytes = static_cast<size_t>(count) * kLeafBytes;
  if (!Forget(memory_[first.file].entries, offset, bytes)) {
    std::memset(memory_[first.file].entries.data() + offset, 0, bytes);
  }
  for (uint64_t leaf = first.leaf; leaf < first.leaf + count; ++leaf) {
    its.leaves[leaf].store(0, std::memory_order_release);
  }
}

}  // namespace granary::buffer
