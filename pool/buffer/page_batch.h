// PageBatch: a batch on its way to a PageFile, cut into runs of pages that lie side by side there.
// Internal to pool/buffer.
#ifndef GRANARY_POOL_BUFFER_PAGE_BATCH_H_
#define GRANARY_POOL_BUFFER_PAGE_BATCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "pool/buffer/page_file.h"
#include "pool/buffer/page_store.h"

namespace granary {

// `PageOfBatch` is PageRead or PageWrite. Pages that cannot be done have their error as soon as
// NextRun comes by. Keeps the file's size from being set as long as it lives, if the batch adds
// pages.
template <class PageOfBatch>
class PageBatch {
 public:
  using Page = PageOfBatch;

  PageBatch(PageFile& file, std::span<Page> pages) noexcept : file_(file), pages_(pages) {
    if constexpr (std::is_same_v<Page, PageWrite>) {
      uint64_t last = 0;
      for (const Page& page : pages) last = std::max(last, page.page);
      growth_ = PageFile::Growth(file, last);
    }
  }

  PageBatch(const PageBatch&) = delete;
  PageBatch& operator=(const PageBatch&) = delete;

  // The next pages of the batch that can be done, whose numbers follow one another: at most
  // `pages_max` of them, or none if the batch is at its end.
  std::span<Page> NextRun(size_t pages_max) noexcept {
    while (next_ < pages_.size() && WhyNot(pages_[next_]) != 0) {
      pages_[next_].error_number = WhyNot(pages_[next_]);
      ++next_;
    }
    const size_t first = next_;
    while (next_ < pages_.size() && next_ - first < pages_max && WhyNot(pages_[next_]) == 0 &&
           (next_ == first || pages_[next_].page == pages_[next_ - 1].page + 1)) {
      ++next_;
    }
    return pages_.subspan(first, next_ - first);
  }

  // The run that came last is still to be done: NextRun gives it again.
  void PutBack(std::span<Page> run) noexcept { next_ -= run.size(); }

  // There is nobody to be told.
  void Done(std::span<Page> /*run*/) noexcept {}

  bool is_at_end() const noexcept { return next_ == pages_.size(); }

 private:
  int WhyNot(const Page& page) const noexcept {
    const int why = file_.WhyNot(page);
    if constexpr (std::is_same_v<Page, PageWrite>) {
      if (why == 0 && growth_.error_number() != 0 && page.page >= file_.PageCount()) {
        return growth_.error_number();
      }
    }
    return why;
  }

  PageFile& file_;
  const std::span<Page> pages_;
  size_t next_ = 0;
  PageFile::Growth growth_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PAGE_BATCH_H_
