// What a page pool is made from, and what it says about itself.
#ifndef GRANARY_POOL_PAGE_POOL_OPTIONS_H_
#define GRANARY_POOL_PAGE_POOL_OPTIONS_H_

#include <cstddef>
#include <cstdint>

#include "memory/error.h"
#include "memory/sanitizer.h"
#include "memory/system_memory.h"

namespace granary {

class MemoryBudget;

// The number of a page within its pool, from 0.
using PageIndex = uint32_t;
inline constexpr PageIndex kNoPage = UINT32_MAX;

struct PagePoolOptions {
  static constexpr size_t kPageBytesMin = 512;
  static constexpr size_t kPageBytesMax = size_t{2} << 20;
  static constexpr uint32_t kMagazinePagesMax = 128;

  // A power of two within the bounds above. Every page is aligned to it.
  size_t page_bytes = 4096;
  // The cap: how many pages can be out at once. Not 0.
  size_t max_pages = 0;
  // The largest cap that Resize may set: address space for so many pages is reserved. 0 means
  // max_pages.
  size_t reserve_pages = 0;
  // As SystemMemory has them. Under kRequire memory is the pool's for good: Trim gives none back.
  HugePages huge_pages = HugePages::kNever;
  // How many pages a thread takes from the pool, or gives back to it, at once; it keeps up to twice
  // as many. From 1 to kMagazinePagesMax; a LocalPagePool has no magazines.
  uint32_t magazine_pages = 64;
  // Whether each page's last allocation and free are remembered, so that a report of misuse names
  // both; 32 bytes a page.
  bool record_sites = kCheckedBuild;
  // Charged for every page that has memory, in someone's hands or free, by PagePool; a
  // LocalPagePool has none. Outlives the pool. A page that cannot be charged is not handed out; a
  // free one that has its memory still is.
  MemoryBudget* budget = nullptr;
  // For reports. A string literal, or one that outlives the pool.
  const char* name = "pages";
  // Null for the real ones; a test passes its own, which outlive the pool.
  SystemCalls* system_calls = nullptr;

  // Says which of these contradict each other.
  Expected<void> Validate() const;

  size_t reserved_pages() const noexcept {
    return reserve_pages > max_pages ? reserve_pages : max_pages;
  }
};

// All figures in pages, of one moment; those of a pool in use by other threads may be off by what
// they do in that moment.
struct PagePoolStats {
  // The cap.
  size_t max_pages = 0;
  // In the hands of callers, reservations and chains included.
  size_t live_pages = 0;
  // Free and used before, wherever they are kept; their memory is still there.
  size_t free_pages = 0;
  // Of these, in the magazines of threads.
  size_t magazine_pages = 0;
  // Free, their memory given back by Trim.
  size_t cold_pages = 0;
  // Never handed out: no memory was ever there.
  size_t untouched_pages = 0;
  // Charged to the budget: those that have memory, and a few for the next ones that will.
  size_t charged_pages = 0;
  // The most that ever were touched; Trim and Resize do not lower it.
  size_t touched_pages_max = 0;
  // Times that threads were stopped to find the last free pages, to trim or to resize.
  uint64_t stops = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_PAGE_POOL_OPTIONS_H_
