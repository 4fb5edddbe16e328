// PagedRegionResource: blocks of odd sizes on the pages of a pool.
//
//   granary::PagePoolResource pages(*pool);
//   auto memory = granary::PagedRegionResource::Create(pages);
//   std::pmr::vector<Key> keys(memory->get());
//
// For what is smaller than a page where all memory is pages: an engine whose one budget is its
// pool. It takes a page when nothing free holds a request, best fit puts blocks into all that it
// has, neighbouring pages become one range, and a page that has nothing used goes back at Trim().
//
// When not: for blocks of more than a page (RegionResource); for what dies together (Arena).
//
// How it works. A RegionAllocator over all addresses there are, of which those of the pages that it
// has are free or live, and all others live by the page, which no block is: requests of a whole
// page go to the pool as they are.
//
// Costs. RegionAllocator's in tracked mode: 40 bytes a live block and a free range.
//
// Threading. One thread at a time.
//
// Errors. A bad free is misuse: a report and std::abort, or a status from Free(). Each is found.
#ifndef GRANARY_MEMORY_REGION_PAGED_REGION_RESOURCE_H_
#define GRANARY_MEMORY_REGION_PAGED_REGION_RESOURCE_H_

#include <cstddef>
#include <memory>

#include "memory/error.h"
#include "memory/memory_resource.h"
#include "memory/region/region_allocator.h"

namespace granary {

struct PagedRegionOptions {
  // For reports. A string literal, or one that outlives the resource.
  const char* name = "paged region";
  // A power of two of 8 bytes at least, and at most a page.
  size_t grain = 16;
};

class PagedRegionResource final : public MemoryResource {
 public:
  // `pages` gives blocks of one size, its block_bytes(), a power of two that they are aligned to,
  // and outlives this. kInvalidArgument, kOutOfMemory.
  static Expected<std::unique_ptr<PagedRegionResource>> Create(
      MemoryResource& pages, const PagedRegionOptions& options = {});

  // Every block is back; so are the pages then.
  ~PagedRegionResource() override;

  using MemoryResource::TryAllocate;
  // At most a page.
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;
  // Shrinks, and grows into what is free behind the block.
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;

  // What deallocate does of blocks of less than a page, with a status instead of a report.
  FreeStatus Free(void* p, size_t bytes) noexcept;

  // Gives back all pages that have nothing used; returns bytes.
  size_t Trim() noexcept override;

  // asked_bytes and used_bytes: the grains of what is live; held_bytes: whole pages.
  MemoryStats Stats() const noexcept override;
  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override;

  // Of addresses: what is not a page of this is live in it.
  const RegionAllocator& region() const noexcept { return region_; }

 private:
  PagedRegionResource(MemoryResource& pages, const PagedRegionOptions& options,
                      RegionAllocator region) noexcept;

  static Range RangeOf(const void* p, size_t bytes) noexcept;
  // Whether it takes all of a page.
  bool IsWhole(size_t bytes) const noexcept;
  // Whether it is live as it is.
  FreeStatus Check(Range range) const noexcept;
  void do_deallocate(void* p, size_t bytes, size_t alignment) override;

  const char* const name_;
  MemoryResource& pages_;
  const size_t page_bytes_;
  RegionAllocator region_;
  size_t held_bytes_ = 0;
  size_t whole_pages_ = 0;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_PAGED_REGION_RESOURCE_H_
