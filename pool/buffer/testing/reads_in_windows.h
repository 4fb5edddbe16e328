// ReadsInWindows: a batch of reads that a store is given a few at a time.
#ifndef GRANARY_POOL_BUFFER_TESTING_READS_IN_WINDOWS_H_
#define GRANARY_POOL_BUFFER_TESTING_READS_IN_WINDOWS_H_

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "pool/buffer/page_store.h"

namespace granary {

// Windows of 1, 2, 3 … `window_max` pages, 1, 2 …; `windows` of them are out at most. Fails the
// test if the store is done with a page that it has not got, or has got done already.
class ReadsInWindows final : public PageReads {
 public:
  ReadsInWindows(std::span<PageRead> reads, size_t window_max, size_t windows)
      : reads_(reads), window_max_(window_max), pages_(reads.size(), kHere), windows_(windows) {}

  std::span<PageRead> Next() noexcept override {
    if (first_ == reads_.size()) return {};
    const auto is_out = [&](const Window& window) {
      return std::any_of(pages_.begin() + window.first, pages_.begin() + window.end,
                         [](State state) { return state == kOut; });
    };
    Window* const free =
        std::find_if_not(windows_.data(), windows_.data() + windows_.size(), is_out);
    if (free == windows_.data() + windows_.size()) return {};
    size_ = size_ % window_max_ + 1;
    const size_t end = std::min(first_ + size_, reads_.size());
    *free = {static_cast<std::ptrdiff_t>(first_), static_cast<std::ptrdiff_t>(end)};
    std::fill(pages_.begin() + free->first, pages_.begin() + free->end, kOut);
    const auto next = reads_.subspan(first_, end - first_);
    first_ = end;
    return next;
  }

  void Done(std::span<PageRead> pages) noexcept override {
    for (const PageRead& page : pages) {
      State& state = pages_[static_cast<size_t>(&page - reads_.data())];
      EXPECT_EQ(state, kOut) << "page " << page.page;
      state = kDone;
    }
  }

  bool AllAreDone() const {
    return std::all_of(pages_.begin(), pages_.end(), [](State state) { return state == kDone; });
  }

 private:
  enum State : unsigned char { kHere, kOut, kDone };
  struct Window {
    std::ptrdiff_t first = 0;
    std::ptrdiff_t end = 0;
  };

  const std::span<PageRead> reads_;
  const size_t window_max_;
  std::vector<State> pages_;
  std::vector<Window> windows_;
  size_t first_ = 0;
  size_t size_ = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_TESTING_READS_IN_WINDOWS_H_
