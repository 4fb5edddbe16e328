// PageList: pages linked one to the next in the pool's array beside the pages.
#ifndef GRANARY_POOL_PAGE_LIST_H_
#define GRANARY_POOL_PAGE_LIST_H_

#include <cstddef>

#include "pool/page_pool_options.h"

namespace granary {

// The link of the last one means nothing.
struct PageList {
  PageIndex first = kNoPage;
  PageIndex last = kNoPage;
  size_t count = 0;

  bool empty() const noexcept { return count == 0; }

  template <class Pool>
  void Append(const Pool& pool, PageIndex index) noexcept {
    if (count++ == 0) {
      first = index;
    } else {
      pool.SetLink(last, index);
    }
    last = index;
  }
};

}  // namespace granary

#endif  // GRANARY_POOL_PAGE_LIST_H_
