#include "pool/page_slab.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>
#include <new>
#include <string>

#include "memory/bump_cursor.h"
#include "memory/misuse.h"

namespace granary {

namespace {

Error Invalid(std::string message) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = std::move(message),
          .where = "PagePoolOptions::Validate"};
}

const char* Describe(PageState state) noexcept {
  switch (state) {
    case PageState::kUntouched:
      return "was never allocated";
    case PageState::kFree:
    case PageState::kTrimmed:
    case PageState::kCold:
    case PageState::kRetired:
      return "is free already";
    case PageState::kAllocated:
    case PageState::kRecorded:
      return "is allocated by itself";
    case PageState::kChained:
      return "belongs to a chain or a reservation";
  }
  return "is in no known state";
}

struct SiteText {
  char text[160];
};

SiteText TextOf(const char* what, const CallSite& site) noexcept {
  SiteText result{};
  if (site.file == nullptr) return result;
  std::snprintf(result.text, sizeof(result.text), "; %s at %s:%" PRIu32, what, site.file,
                site.line);
  return result;
}

}  // namespace

Expected<void> PagePoolOptions::Validate() const {
  if (!IsPowerOfTwo(page_bytes) || page_bytes < kPageBytesMin || page_bytes > kPageBytesMax) {
    return tl::unexpected(Invalid("page_bytes is " + std::to_string(page_bytes) +
                                  "; a power of two from 512 to 2097152 is needed"));
  }
  if (magazine_pages == 0 || magazine_pages > kMagazinePagesMax) {
    return tl::unexpected(Invalid("magazine_pages is " + std::to_string(magazine_pages) +
                                  "; 1 to " + std::to_string(kMagazinePagesMax) + " are possible"));
  }
  if (max_pages == 0) return tl::unexpected(Invalid("max_pages is 0"));
  if (reserve_pages != 0 && reserve_pages < max_pages) {
    return tl::unexpected(Invalid("reserve_pages is " + std::to_string(reserve_pages) +
                                  ", less than max_pages, " + std::to_string(max_pages)));
  }
  if (reserved_pages() >= kNoPage || reserved_pages() > SIZE_MAX / 2 / page_bytes) {
    return tl::unexpected(
        Invalid(std::to_string(reserved_pages()) + " pages are more than a pool can number"));
  }
  return {};
}

Expected<PageSlab> PageSlab::Create(const PagePoolOptions& options, size_t extra_bytes) {
  const size_t count = options.reserved_pages();

  const auto system_page = static_cast<size_t>(sysconf(_SC_PAGESIZE));

  PageSlab slab;
  auto pages = SystemMemory::Reserve({.reserve_bytes = count * options.page_bytes,
                                      .alignment = std::max(options.page_bytes, system_page),
                                      .huge_pages = options.huge_pages,
                                      .system_calls = options.system_calls});
  if (!pages) return tl::unexpected(std::move(pages.error()));

  // Largest alignment first.
  const size_t sites_at = AlignUp(extra_bytes, alignof(Sites));
  const size_t links_at = sites_at + (options.record_sites ? count * sizeof(Sites) : 0);
  // Threads take untouched pages by 64: so the states of each such run are a cache line of their
  // own.
  const size_t states_at = AlignUp(links_at + count * sizeof(PageIndex), 64);
  const size_t metadata_bytes = states_at + count;
  auto metadata = SystemMemory::Reserve(
      {.reserve_bytes = metadata_bytes, .system_calls = options.system_calls});
  if (!metadata) return tl::unexpected(std::move(metadata.error()));

  slab.base_ = pages->data();
  slab.page_shift_ = static_cast<unsigned>(std::countr_zero(options.page_bytes));
  slab.page_count_ = count;
  // Zeros from the system are what all three begin with.
  static_assert(static_cast<int>(PageState::kUntouched) == 0);
  std::byte* const arrays = metadata->data();
  if (options.record_sites) slab.sites_ = reinterpret_cast<Sites*>(arrays + sites_at);
  slab.links_ = reinterpret_cast<PageIndex*>(arrays + links_at);
  slab.states_ = reinterpret_cast<PageState*>(arrays + states_at);
  slab.states_bias_ = reinterpret_cast<uintptr_t>(slab.states_) -
                      (reinterpret_cast<uintptr_t>(slab.base_) >> slab.page_shift_);
  slab.metadata_bytes_ = metadata_bytes;
  slab.name_ = options.name;
  slab.pages_ = std::move(*pages);
  slab.metadata_ = std::move(*metadata);
  return slab;
}

PageSlab::Run PageSlab::Decommit(PageIndex begin, PageIndex end) noexcept {
  const size_t pages_in_systems = std::max<size_t>(1, pages_.page_bytes() >> page_shift_);
  const auto first = static_cast<PageIndex>(AlignUp(begin, pages_in_systems));
  const auto last = static_cast<PageIndex>(end & ~(pages_in_systems - 1));
  if (first >= last) return {begin, begin};
  const auto decommitted = pages_.Decommit(static_cast<uint64_t>(first) << page_shift_,
                                           static_cast<size_t>(last - first) << page_shift_);
  return decommitted ? Run{first, last} : Run{begin, begin};
}

Error PageSlab::NoFreePages(size_t wanted, size_t max_pages, const char* where) const {
  return {.code = ErrorCode::kOutOfMemory,
          .message = "pool '" + std::string(name_) + "' has no " + std::to_string(wanted) +
                     " free pages of its " + std::to_string(max_pages),
          .where = where};
}

Error PageSlab::BadCap(size_t max_pages, const char* where) const {
  return {.code = ErrorCode::kInvalidArgument,
          .message = "a cap of " + std::to_string(max_pages) + " pages for pool '" + name_ +
                     "', which has " + std::to_string(page_count_) + " reserved",
          .where = where};
}

Error PageSlab::TooFewFree(size_t fewer, size_t free, const char* where) const {
  return {.code = ErrorCode::kOutOfMemory,
          .message = "pool '" + std::string(name_) + "' cannot do without " +
                     std::to_string(fewer) + " pages: only " + std::to_string(free) + " are free",
          .where = where};
}

void PageSlab::ReportBadFree(const std::byte* page, PageState state, CallSite site) const noexcept {
  const SiteText freed_now = TextOf("freed now", site);
  const size_t offset = OffsetOf(page);
  if (offset >> page_shift_ >= page_count_) {
    AbortOnMisuse("pool '%s': free of %p, which is none of its pages%s", name_,
                  static_cast<const void*>(page), freed_now.text);
  }
  const PageIndex index = IndexOf(page);
  if ((offset & (page_bytes() - 1)) != 0) {
    AbortOnMisuse("pool '%s': free of %p, which is %zu bytes into page %" PRIu32 "%s", name_,
                  static_cast<const void*>(page), offset & (page_bytes() - 1), index,
                  freed_now.text);
  }
  const Sites known = sites_ != nullptr ? sites_[index] : Sites{};
  AbortOnMisuse("pool '%s': free of page %" PRIu32 " (%p), which %s%s%s%s", name_, index,
                static_cast<const void*>(page), Describe(state), freed_now.text,
                TextOf("freed before", known.freed).text,
                TextOf("allocated", known.allocated).text);
}

}  // namespace granary
