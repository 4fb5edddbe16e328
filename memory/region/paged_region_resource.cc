#include "memory/region/paged_region_resource.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <string>
#include <utility>

#include "memory/misuse.h"
#include "memory/sanitizer.h"

namespace granary {

namespace {

// What a process of x86-64 has, and of arm64 as Linux configures it.
constexpr uint64_t kAddresses = uint64_t{1} << 48;

}  // namespace

PagedRegionResource::PagedRegionResource(MemoryResource& pages, const PagedRegionOptions& options,
                                         RegionAllocator region) noexcept
    : MemoryResource(Deallocation::kFrees, pages.block_bytes()),
      name_(options.name),
      pages_(pages),
      page_bytes_(pages.block_bytes()),
      region_(std::move(region)) {}

Expected<std::unique_ptr<PagedRegionResource>> PagedRegionResource::Create(
    MemoryResource& pages, const PagedRegionOptions& options) {
  const auto invalid = [](std::string message) {
    return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                                .message = std::move(message),
                                .where = "PagedRegionResource::Create"});
  };
  const size_t page_bytes = pages.block_bytes();
  if (!std::has_single_bit(page_bytes) || page_bytes > pages.max_alignment()) {
    return invalid("the pages have " + std::to_string(page_bytes) +
                   " bytes, which is no power of two that they could be aligned to");
  }
  if (options.grain < 8 || !std::has_single_bit(options.grain) || options.grain > page_bytes) {
    return invalid("the grain, " + std::to_string(options.grain) +
                   ", is no power of two from 8 to a page");
  }
  auto region = RegionAllocator::Create(kAddresses, {.grain = options.grain, .track_used = true});
  if (!region) return tl::unexpected(std::move(region.error()));
  if (!region->Reserve({0, kAddresses})) return invalid("the addresses cannot be reserved");
  return std::unique_ptr<PagedRegionResource>(
      new PagedRegionResource(pages, options, std::move(*region)));
}

PagedRegionResource::~PagedRegionResource() { (void)Trim(); }

Range PagedRegionResource::RangeOf(const void* p, size_t bytes) noexcept {
  return {reinterpret_cast<uintptr_t>(p), bytes + (bytes == 0)};
}

bool PagedRegionResource::IsWhole(size_t bytes) const noexcept {
  return bytes > page_bytes_ - region_.options().grain;
}

FreeStatus PagedRegionResource::Check(Range range) const noexcept {
  const uint64_t grain = region_.options().grain;
  if (range.offset >= kAddresses) return FreeStatus::kOutOfRange;
  if (range.offset % grain != 0) return FreeStatus::kMisaligned;
  const auto live = region_.LiveAt(range.offset);
  // What is not a page of this is live by the page, and blocks here are smaller.
  return live && live->size == AlignUp(range.size, grain) ? FreeStatus::kOk
                                                          : FreeStatus::kNotAllocated;
}

void* PagedRegionResource::TryAllocate(size_t bytes, size_t alignment) noexcept {
  if (!IsPowerOfTwo(alignment) || alignment > max_alignment() || bytes > page_bytes_) {
    return nullptr;
  }
  if (IsWhole(bytes)) {
    void* const page = pages_.TryAllocate(page_bytes_, page_bytes_);
    whole_pages_ += page != nullptr ? 1 : 0;
    return page;
  }
  const size_t wanted = bytes + (bytes == 0);
  auto range = region_.Allocate(wanted, alignment);
  if (!range) {
    void* const page = pages_.TryAllocate(page_bytes_, page_bytes_);
    if (page == nullptr) return nullptr;
    if (region_.Free({reinterpret_cast<uintptr_t>(page), page_bytes_}) != FreeStatus::kOk) {
      pages_.deallocate(page, page_bytes_, page_bytes_);
      return nullptr;
    }
    held_bytes_ += page_bytes_;
    MarkFree(page, page_bytes_);
    range = region_.Allocate(wanted, alignment);
    if (!range) return nullptr;
  }
  auto* const p = reinterpret_cast<void*>(range->offset);
  MarkAllocated(p, bytes);
  return p;
}

bool PagedRegionResource::TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t) noexcept {
  if (IsWhole(new_bytes) || IsWhole(old_bytes)) {
    return IsWhole(new_bytes) && IsWhole(old_bytes) && new_bytes <= page_bytes_;
  }
  const Range range = RangeOf(p, old_bytes);
  if (Check(range) != FreeStatus::kOk) return false;
  if (!region_.Resize(range, new_bytes + (new_bytes == 0))) return false;
  MarkFree(static_cast<std::byte*>(p) + new_bytes, std::max(old_bytes, new_bytes) - new_bytes);
  MarkAllocated(p, new_bytes);
  return true;
}

FreeStatus PagedRegionResource::Free(void* p, size_t bytes) noexcept {
  const Range range = RangeOf(p, bytes);
  if (IsWhole(bytes)) return FreeStatus::kNotAllocated;
  FreeStatus status = Check(range);
  if (status == FreeStatus::kOk) status = region_.Free(range);
  if (status == FreeStatus::kOk) MarkFree(p, AlignUp(range.size, region_.options().grain));
  return status;
}

void PagedRegionResource::do_deallocate(void* p, size_t bytes, size_t) {
  if (p == nullptr) return;
  if (IsWhole(bytes)) {
    pages_.deallocate(p, page_bytes_, page_bytes_);
    --whole_pages_;
    return;
  }
  const FreeStatus status = Free(p, bytes);
  if (status == FreeStatus::kOk) return;
  AbortOnMisuse("region '%s': free of %zu bytes at %p: %s", name_, bytes, p,
                FreeStatusName(status));
}

size_t PagedRegionResource::Trim() noexcept {
  size_t given = 0;
  // A few at a time: what is looked at must not change.
  std::array<Range, 64> found;
  for (uint64_t from = 0; held_bytes_ != 0;) {
    size_t count = 0;
    region_.ForEachFree({from, kAddresses - from}, [&](Range free) {
      const uint64_t begin = AlignUp(free.offset, page_bytes_);
      const uint64_t end = free.end() / page_bytes_ * page_bytes_;
      if (begin < end && count < found.size()) found[count++] = {begin, end - begin};
    });
    for (const Range& pages : std::span(found).first(count)) {
      // It takes a record or two, which may not be there: then they stay.
      if (!region_.Reserve(pages)) continue;
      for (uint64_t page = pages.offset; page < pages.end(); page += page_bytes_) {
        auto* const p = reinterpret_cast<void*>(page);
        MarkAllocated(p, page_bytes_);
        pages_.deallocate(p, page_bytes_, page_bytes_);
      }
      given += pages.size;
      held_bytes_ -= pages.size;
    }
    if (count < found.size()) break;
    from = found.back().end();
  }
  return given;
}

MemoryStats PagedRegionResource::Stats() const noexcept {
  const size_t whole = whole_pages_ * page_bytes_;
  const size_t live = held_bytes_ - region_.Stats().free_bytes + whole;
  return {.asked_bytes = live, .used_bytes = live, .held_bytes = held_bytes_ + whole};
}

void PagedRegionResource::ThrowRefusal(size_t bytes, size_t alignment) const {
  pages_.ThrowRefusal(std::min(bytes, page_bytes_), alignment);
  __builtin_unreachable();
}

}  // namespace granary
