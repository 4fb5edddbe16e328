// PagesInFlight: which pages are on their way to their stores, so that no page is twice. Internal
// to pool/buffer.
//
// Of two writes of one page that are under way at once, the older may arrive last.
//
// Cost: a look at each of the pages there are, a batch or two. Threading: any thread.
#ifndef GRANARY_POOL_BUFFER_PAGES_IN_FLIGHT_H_
#define GRANARY_POOL_BUFFER_PAGES_IN_FLIGHT_H_

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <vector>

#include "pool/buffer/page_types.h"
#include "pool/buffer/spin_mutex.h"

namespace granary::buffer {

class PagesInFlight {
 public:
  // Throws std::bad_alloc.
  explicit PagesInFlight(size_t pages_max) { keys_.reserve(pages_max); }

  // True if it was not there; then it is, and the caller's to remove. At most pages_max at once.
  [[nodiscard]] bool Add(PageKey key) noexcept {
    const std::scoped_lock lock(mutex_);
    if (std::find(keys_.begin(), keys_.end(), key) != keys_.end()) return false;
    keys_.push_back(key);
    return true;
  }
  void Remove(PageKey key) noexcept {
    const std::scoped_lock lock(mutex_);
    *std::find(keys_.begin(), keys_.end(), key) = keys_.back();
    keys_.pop_back();
  }

 private:
  SpinMutex mutex_;
  std::vector<PageKey> keys_;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_PAGES_IN_FLIGHT_H_
