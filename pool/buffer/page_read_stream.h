// PageReadStream: reads on their way to a PageFile as they come, cut into runs of pages that lie
// side by side there. What PageBatch is for a batch. Internal to pool/buffer.
#ifndef GRANARY_POOL_BUFFER_PAGE_READ_STREAM_H_
#define GRANARY_POOL_BUFFER_PAGE_READ_STREAM_H_

#include <cstddef>
#include <span>

#include "pool/buffer/page_file.h"
#include "pool/buffer/page_store.h"

namespace granary {

class PageReadStream {
 public:
  using Page = PageRead;

  PageReadStream(PageFile& file, PageReads& reads) noexcept : file_(file), reads_(reads) {}

  // As PageBatch's; none if there are none now. Pages that cannot be done are done with.
  std::span<PageRead> NextRun(size_t pages_max) noexcept {
    while (true) {
      if (pages_.empty()) pages_ = reads_.Next();
      if (pages_.empty()) return {};
      size_t count = 0;
      while (count < pages_.size() && count < pages_max && file_.WhyNot(pages_[count]) == 0 &&
             (count == 0 || pages_[count].page == pages_[count - 1].page + 1)) {
        ++count;
      }
      if (count != 0) return Take(count);
      pages_[0].error_number = file_.WhyNot(pages_[0]);
      Done(Take(1));
    }
  }

  void Done(std::span<PageRead> run) noexcept { reads_.Done(run); }

 private:
  std::span<PageRead> Take(size_t count) noexcept {
    const auto taken = pages_.first(count);
    pages_ = pages_.subspan(count);
    return taken;
  }

  PageFile& file_;
  PageReads& reads_;
  std::span<PageRead> pages_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PAGE_READ_STREAM_H_
