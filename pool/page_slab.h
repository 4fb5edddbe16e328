// PageSlab: the pages of a pool in one reserved range, and what is known of each beside it.
//
// A page's state (one byte) and the link to the next page of its list (four) stand in arrays of
// their own, never in the page: a free page is not touched, and may have no memory at all. Neither
// array is touched before its pages are. The slab hands nothing out; the pools do.
//
// The state is what catches misuse in every build: a page is freed only if it is allocated. Only
// two frees of one page by two threads in the very same moment can both pass.
#ifndef GRANARY_POOL_PAGE_SLAB_H_
#define GRANARY_POOL_PAGE_SLAB_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "memory/error.h"
#include "memory/system_memory.h"
#include "pool/call_site.h"
#include "pool/page_pool_options.h"

namespace granary {

enum class PageState : uint8_t {
  kUntouched,  // Never handed out.
  kFree,       // In a free list or a magazine; its memory is there.
  kTrimmed,    // In no list; its memory is about to be given back.
  kCold,       // In a free list; its memory was given back.
  kRetired,    // Taken out of circulation by a smaller cap.
  kAllocated,  // In the hands of a caller.
  kRecorded,   // The same, and its sites are recorded.
  kChained,    // Part of a PageChain, or of one that was released.
};

class PageSlab {
 public:
  // The options are valid. `extra_bytes` more of metadata are the pool's own: see extra().
  static Expected<PageSlab> Create(const PagePoolOptions& options, size_t extra_bytes);

  PageSlab(PageSlab&&) noexcept = default;
  PageSlab& operator=(PageSlab&&) noexcept = default;

  size_t page_bytes() const noexcept { return size_t{1} << page_shift_; }
  // How many there is room for.
  size_t page_count() const noexcept { return page_count_; }
  const char* name() const noexcept { return name_; }

  std::byte* At(PageIndex index) const noexcept {
    return base_ + (static_cast<size_t>(index) << page_shift_);
  }
  // Of a pointer anywhere into a page.
  PageIndex IndexOf(const void* p) const noexcept {
    return static_cast<PageIndex>(OffsetOf(p) >> page_shift_);
  }
  bool Owns(const void* p) const noexcept { return OffsetOf(p) >> page_shift_ < page_count_; }

  // The index of a page's first byte; for every other pointer a number that is no page's.
  size_t NumberOf(const std::byte* page) const noexcept {
    // A rotation and not a shift: an offset into a page comes out as too large a number.
    return std::rotr(OffsetOf(page), static_cast<int>(page_shift_));
  }

  // The state of a page that is out by itself. It is another one where sites are recorded, so that
  // the short paths, which expect kAllocated and record nothing, need no test for that.
  PageState allocated_state() const noexcept {
    return sites_ != nullptr ? PageState::kRecorded : PageState::kAllocated;
  }
  bool records_sites() const noexcept { return sites_ != nullptr; }

  // Aborts and says why `page`, whose state is `state` if it is one, cannot be taken back.
  [[noreturn, gnu::cold, gnu::noinline]] void ReportBadFree(const std::byte* page, PageState state,
                                                            CallSite site) const noexcept;

  // The arrays. A pool of many threads goes through std::atomic_ref.
  PageState& state(size_t index) const noexcept { return states_[index]; }
  PageIndex& link(PageIndex index) const noexcept { return links_[index]; }
  // The state of a page by its address.
  PageState& state_of(const std::byte* page) const noexcept {
    return *reinterpret_cast<PageState*>(states_bias_ +
                                         (reinterpret_cast<uintptr_t>(page) >> page_shift_));
  }
  // Zeros, aligned to a system page.
  std::byte* extra() const noexcept { return metadata_.data(); }

  // What a report will name, where sites are recorded.
  void RecordAllocation(PageIndex index, CallSite site) const noexcept {
    if (sites_ != nullptr) sites_[index].allocated = site;
  }
  void RecordFree(PageIndex index, CallSite site) const noexcept {
    if (sites_ != nullptr) sites_[index].freed = site;
  }

  // A run of pages.
  struct Run {
    PageIndex begin;
    PageIndex end;

    bool Has(PageIndex index) const noexcept { return begin <= index && index < end; }
    size_t size() const noexcept { return end - begin; }
  };

  // Gives the memory of the pages [begin, end) back to the system; returns for which of them it
  // did: a system page that they share with others stays.
  Run Decommit(PageIndex begin, PageIndex end) noexcept;

  // What the pages and the arrays have in physical memory, in bytes.
  Expected<size_t> ResidentPageBytes() const { return pages_.ResidentBytes(); }
  Expected<size_t> ResidentMetadataBytes() const { return metadata_.ResidentBytes(); }
  // What all metadata takes once it is touched.
  size_t metadata_bytes() const noexcept { return metadata_bytes_; }

  // What pools have to say, in their name.
  Error NoFreePages(size_t wanted, size_t max_pages, const char* where) const;
  Error BadCap(size_t max_pages, const char* where) const;
  Error TooFewFree(size_t fewer, size_t free, const char* where) const;

 private:
  struct Sites {
    CallSite allocated;
    CallSite freed;
  };

  PageSlab() noexcept = default;

  size_t OffsetOf(const void* p) const noexcept {
    return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(base_);
  }

  std::byte* base_ = nullptr;
  unsigned page_shift_ = 0;
  size_t page_count_ = 0;
  PageState* states_ = nullptr;
  // The address of the first page's state, less the page's own shifted address.
  uintptr_t states_bias_ = 0;
  PageIndex* links_ = nullptr;
  Sites* sites_ = nullptr;
  const char* name_ = "";
  SystemMemory pages_;
  SystemMemory metadata_;
  size_t metadata_bytes_ = 0;
};

}  // namespace granary

#endif  // GRANARY_POOL_PAGE_SLAB_H_
