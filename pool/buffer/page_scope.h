// PageScope: what one query may have of a buffer pool, and what it has.
//
//   granary::PageScope pages(pool, {.name = "query 17", .pins_max = 100});
//   auto page = pages.FixShared({file, 7}, granary::Access::kScan);
//
// A query that pins more than it may is refused before it takes the frames that others need. Its
// scans reuse frames of a ring of its own, once the pool is full. At its end it has given every
// page back: a pin that is left is misuse, reported with the place in the source where the pool
// records pins, and std::abort.
//
// Costs. A fix: two additions to the pool's.
//
// Threading. One thread at a time; a query of several threads has one scope for each.
#ifndef GRANARY_POOL_BUFFER_PAGE_SCOPE_H_
#define GRANARY_POOL_BUFFER_PAGE_SCOPE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "memory/error.h"
#include "memory/misuse.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/frame_supply.h"
#include "pool/buffer/page_guard.h"
#include "pool/buffer/page_types.h"
#include "pool/buffer/pin_ledger.h"
#include "pool/call_site.h"

namespace granary {

struct PageScopeOptions {
  // For messages. A string literal, or one that outlives the scope.
  const char* name = "query";
  // Pages that it may have latched at the same time.
  size_t pins_max = SIZE_MAX;
  // Of its scans.
  size_t scan_ring_frames = 64;
};

// A SharedPage or an ExclusivePage of a scope.
template <class Page>
class [[nodiscard]] ScopedPage {
 public:
  ScopedPage(ScopedPage&& other) noexcept
      : pins_(std::exchange(other.pins_, nullptr)), page_(std::move(other.page_)) {}
  ScopedPage& operator=(ScopedPage&& other) noexcept {
    std::swap(pins_, other.pins_);
    std::swap(page_, other.page_);
    return *this;
  }
  ~ScopedPage() {
    if (pins_ != nullptr) --*pins_;
  }

  Page& operator*() noexcept { return page_; }
  Page* operator->() noexcept { return &page_; }
  const Page* operator->() const noexcept { return &page_; }

 private:
  template <class>
  friend class BasicPageScope;

  ScopedPage(size_t& pins, Page page) noexcept : pins_(&pins), page_(std::move(page)) { ++pins; }

  size_t* pins_;
  Page page_;
};

template <class Pool>
class BasicPageScope {
 public:
  BasicPageScope(Pool& pool, const PageScopeOptions& options)
      : pool_(pool), options_(options), ring_(pool.supply(), options.scan_ring_frames) {}
  ~BasicPageScope() {
    if (pins_ != 0) [[unlikely]]
      ReportLeak();
  }

  BasicPageScope(const BasicPageScope&) = delete;
  BasicPageScope& operator=(const BasicPageScope&) = delete;

  // As the pool's; kOutOfMemory also for more pins than pins_max.
  [[nodiscard]] Expected<ScopedPage<SharedPage>> FixShared(
      PageId id, Access access = Access::kNormal, CallSite site = CallSite::Current()) noexcept {
    if (pins_ >= options_.pins_max) [[unlikely]]
      return tl::unexpected(Refusal());
    auto page = pool_.FixSharedFor(access == Access::kScan ? &ring_ : nullptr, id, access, site);
    if (!page) return tl::unexpected(std::move(page.error()));
    return ScopedPage<SharedPage>(pins_, *std::move(page));
  }
  [[nodiscard]] Expected<ScopedPage<ExclusivePage>> FixExclusive(
      PageId id, Access access = Access::kNormal, CallSite site = CallSite::Current()) noexcept {
    if (pins_ >= options_.pins_max) [[unlikely]]
      return tl::unexpected(Refusal());
    auto page = pool_.FixExclusiveFor(access == Access::kScan ? &ring_ : nullptr, id, access, site);
    if (!page) return tl::unexpected(std::move(page.error()));
    return ScopedPage<ExclusivePage>(pins_, *std::move(page));
  }

  // Pages that it has now.
  size_t pins() const noexcept { return pins_; }
  Pool& pool() const noexcept { return pool_; }

 private:
  Error Refusal() const {
    const std::string name = options_.name;
    return {.code = ErrorCode::kOutOfMemory,
            .message = name + " has " + std::to_string(pins_) + " pages latched, all that it may",
            .where = "PageScope"};
  }
  [[noreturn]] void ReportLeak() const {
    const std::string pins = buffer::Describe(pool_.Pins());
    AbortOnMisuse("PageScope %s ends with %zu pages latched%s%s", options_.name, pins_,
                  pins.empty() ? "" : "; all pins of the pool: ", pins.c_str());
  }

  Pool& pool_;
  const PageScopeOptions options_;
  buffer::ScanRing ring_;
  size_t pins_ = 0;
};

using PageScope = BasicPageScope<BufferPool>;
using HashPageScope = BasicPageScope<HashBufferPool>;

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PAGE_SCOPE_H_
