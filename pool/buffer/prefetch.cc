// Bringing pages ahead of need.
#include <algorithm>
#include <array>
#include <span>

#include "pool/buffer/buffer_pool_core.h"
#include "pool/buffer/page_store.h"

namespace granary {

using buffer::FixSections;
using buffer::PageEntry;

// The pages of one file that are asked for and not there, a window at a time: while the pages of
// some are read, the next one's frames are found. Asked.Take(numbers) is the next numbers of pages.
template <class Asked>
class BufferPoolCore::PrefetchReads final : public PageReads {
 public:
  PrefetchReads(BufferPoolCore& pool, Asked& asked, FileId file, Access access)
      : pool_(pool),
        asked_(asked),
        file_(file),
        // What lies behind the end would be an error of the store.
        pages_end_(std::min(pool.parts().translation.PagesOf(file),
                            pool.parts().files.Find(file)->store->PageCount())),
        window_pages_(std::clamp<size_t>(pool.parts_.supply->capacity() / 8, 1, kWindowPages)),
        access_(access),
        ring_(access == Access::kScan ? &pool.ring_ : nullptr) {}

  std::span<PageRead> Next() noexcept override {
    Window& window = windows_[next_];
    if (window.left != 0) return {};
    while (window.left == 0 && has_frames_ && Fill(window)) {
    }
    if (window.left != 0) next_ = (next_ + 1) % kWindows;
    return std::span(window.reads).first(window.left);
  }

  void Done(std::span<PageRead> pages) noexcept override {
    Window& window = *std::ranges::find_if(windows_, [&](const Window& one) {
      return &pages.front() >= one.reads.data() && &pages.front() < one.reads.data() + kWindowPages;
    });
    size_t brought = 0;
    for (const PageRead& read : pages) {
      const PageId id = {file_, read.page};
      PageEntry& entry = *window.entries[static_cast<size_t>(&read - window.reads.data())];
      const FrameIndex frame = pool_.parts().frames.IndexOf(read.bytes);
      if (const auto lsn = pool_.Judge(id, frame, read.error_number)) {
        pool_.EndBringing(entry, id, frame, *lsn, access_, ring_, Loaded::kUnpinned);
        ++brought;
      } else {
        pool_.GiveUpBringing(entry, id);
        pool_.parts_.supply->Return(frame);
      }
    }
    window.left -= pages.size();
    brought_ += brought;
    pool_.prefetched_.fetch_add(brought, std::memory_order_relaxed);
  }

  size_t brought() const noexcept { return brought_; }
  // Otherwise it stopped for want of one.
  bool has_frames() const noexcept { return has_frames_; }

 private:
  static constexpr size_t kWindows = 4;
  static constexpr size_t kWindowPages = 64;

  struct Window {
    // Pages that are on their way, of those that were the first `left` when it was filled.
    size_t left = 0;
    std::array<PageRead, kWindowPages> reads;
    std::array<PageEntry*, kWindowPages> entries;
  };

  // Neighbours in the file are neighbours in the window: a store reads them together. False if
  // there is nothing more to bring.
  bool Fill(Window& window) noexcept {
    std::array<uint64_t, kWindowPages> room;
    const auto taken = std::span(room).first(asked_.Take(std::span(room).first(window_pages_)));
    const auto behind = std::remove_if(taken.begin(), taken.end(),
                                       [&](uint64_t page) { return page >= pages_end_; });
    const auto numbers = taken.first(static_cast<size_t>(behind - taken.begin()));
    std::sort(numbers.begin(), numbers.end());
    for (size_t i = 0; i < numbers.size() && has_frames_; ++i) {
      if (!IsThere(numbers[i])) Begin(numbers[i], numbers.size() - i, window);
    }
    return !taken.empty();
  }

  bool IsThere(uint64_t page) const noexcept {
    const FixSections::Inside inside(pool_.parts().sections);
    const PageEntry* const entry = pool_.parts().translation.FindEntry({file_, page});
    return entry != nullptr && !entry->Load().is_absent();
  }

  // `wanted`: frames, this page's and those of the pages behind it.
  void Begin(uint64_t page, size_t wanted, Window& window) noexcept {
    buffer::FrameSupply& supply = *pool_.parts_.supply;
    auto frame = supply.TryObtain();
    if (!frame) {
      (void)supply.EvictForThread(wanted, buffer::FrameSupply::Writes::kNone);
      frame = supply.TryObtain();
    }
    has_frames_ = frame.has_value();
    if (!has_frames_) return;
    auto begun = pool_.BeginBringing({file_, page}, Asks::kNobody);
    if (!begun || *begun == nullptr) return supply.Return(*frame);
    window.entries[window.left] = *begun;
    window.reads[window.left] = {.page = page, .bytes = pool_.parts().frames.At(*frame)};
    ++window.left;
  }

  BufferPoolCore& pool_;
  Asked& asked_;
  const FileId file_;
  const uint64_t pages_end_;
  const size_t window_pages_;
  const Access access_;
  buffer::ScanRing* const ring_;
  std::array<Window, kWindows> windows_;
  size_t next_ = 0;
  size_t brought_ = 0;
  bool has_frames_ = true;
};

namespace {

// Those of one file among some pages.
class OfFile {
 public:
  OfFile(std::span<const PageId> pages, FileId file) noexcept : pages_(pages), file_(file) {}

  size_t Take(std::span<uint64_t> numbers) noexcept {
    size_t count = 0;
    size_t seen = 0;
    for (; seen < pages_.size() && count < numbers.size(); ++seen) {
      if (pages_[seen].file == file_) numbers[count++] = pages_[seen].page;
    }
    pages_ = pages_.subspan(seen);
    return count;
  }

 private:
  std::span<const PageId> pages_;
  const FileId file_;
};

}  // namespace

template <class Asked>
auto BufferPoolCore::BringAhead(Asked& asked, FileId file, Access access) noexcept -> Ahead {
  buffer::BufferedFile* const its = parts().files.Find(file);
  if (its == nullptr) return {};
  PrefetchReads<Asked> reads(*this, asked, file, access);
  its->store->ReadEach(reads);
  return {.brought = reads.brought(), .has_frames = reads.has_frames()};
}

size_t BufferPoolCore::Prefetch(std::span<const PageId> pages, Access access) noexcept {
  // Where files alternate, so many pages are gone through file by file.
  constexpr size_t kMixedPages = 128;
  size_t brought = 0;
  bool has_frames = true;
  const auto read = [&](std::span<const PageId> some, FileId file) {
    OfFile of_file(some, file);
    const Ahead ahead = BringAhead(of_file, file, access);
    brought += ahead.brought;
    has_frames = ahead.has_frames;
  };
  while (!pages.empty() && has_frames) {
    const auto other = std::ranges::find_if(
        pages, [&](const PageId& id) { return id.file != pages.front().file; });
    const auto alike = static_cast<size_t>(other - pages.begin());
    const auto some = pages.first(
        alike >= kMixedPages ? alike : std::min(std::max(alike, kMixedPages), pages.size()));
    pages = pages.subspan(some.size());
    if (alike >= some.size()) {
      read(some, some.front().file);
      continue;
    }
    for (size_t i = 0; i < some.size() && has_frames; ++i) {
      const auto is_of_file = [&](const PageId& id) { return id.file == some[i].file; };
      if (std::ranges::none_of(some.first(i), is_of_file)) read(some, some[i].file);
    }
  }
  return brought;
}

void BufferPoolCore::BringInBackground(buffer::Prefetcher::Some& some) noexcept {
  // What there were no frames for is forgotten; what waits behind it is tried when its turn comes.
  (void)BringAhead(some, some.file(), some.access());
}

size_t BufferPoolCore::StartPrefetch(std::span<const PageId> pages, Access access) noexcept {
  return prefetcher_->Ask(pages, access);
}

}  // namespace granary
