#include "integration/engine_memory.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>

#include "memory/sanitizer.h"

namespace granary {

namespace {

// The least that leaves room for a few arenas.
constexpr size_t kPagesMin = 64;

template <class T>
std::unique_ptr<T> OrThrow(Expected<std::unique_ptr<T>> made) {
  if (!made) throw std::runtime_error(made.error().message);
  return std::move(*made);
}

const EngineMemoryOptions& OrThrow(const EngineMemoryOptions& options) {
  if (const auto valid = options.Validate(); !valid)
    throw std::runtime_error(valid.error().message);
  return options;
}

}  // namespace

Expected<void> EngineMemoryOptions::Validate() const {
  if (auto valid = PagePoolOptions{.page_bytes = page_bytes, .max_pages = 1}.Validate(); !valid) {
    return valid;
  }
  if (limit_bytes / page_bytes < kPagesMin) {
    return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                                .message = "limit_bytes is " + std::to_string(limit_bytes) +
                                           "; at least " + std::to_string(kPagesMin) +
                                           " pages of " + std::to_string(page_bytes) +
                                           " bytes are needed",
                                .where = "EngineMemoryOptions::Validate"});
  }
  return {};
}

PagePoolOptions EngineMemory::PoolOptions(const EngineMemoryOptions& options) noexcept {
  return {.page_bytes = options.page_bytes,
          // More than the limit allows, so that it is the budget that refuses.
          .max_pages = options.limit_bytes / options.page_bytes + kPagesMin,
          .huge_pages = options.huge_pages,
          .budget = &pages_budget_,
          .name = options.name};
}

EngineMemory::EngineMemory(const EngineMemoryOptions& options)
    : budget_({.name = OrThrow(options).name,
               .hard_limit_bytes = options.limit_bytes,
               .soft_limit_bytes = options.soft_limit_bytes}),
      pages_budget_(budget_, {.name = "pages"}),
      region_budget_(budget_, {.name = "region"}),
      large_budget_(budget_, {.name = "large"}),
      general_budget_(budget_, {.name = "general"}),
      queries_budget_(budget_,
                      {.name = "queries", .hard_limit_bytes = options.queries_limit_bytes}),
      results_budget_(budget_, {.name = "results"}),
      pool_(OrThrow(PagePool::Create(PoolOptions(options)))),
      pages_(*pool_),
      large_(OrThrow(LargeResource::Create(region_budget_, large_budget_, options.limit_bytes))),
      page_trimmer_(*pool_),
      region_trimmer_(large_->region()),
      mapping_trimmer_(large_->mappings()),
      general_(general_budget_, budget_, pages_, *large_, SharedRoutedResource::Blocks::kAnySize) {
  // First of all: they cost nobody anything but the system's time. Not for the pool itself, which
  // hands its free pages out as they are, nor one of them for what is its own.
  pages_budget_.AddReclaimer(page_trimmer_, Reclaimer::kIdle);
  region_budget_.AddReclaimer(region_trimmer_, Reclaimer::kIdle);
  large_budget_.AddReclaimer(mapping_trimmer_, Reclaimer::kIdle);
}

Expected<std::unique_ptr<EngineMemory>> EngineMemory::Create(const EngineMemoryOptions& options) {
  if (auto valid = options.Validate(); !valid) return tl::unexpected(std::move(valid.error()));
  try {
    return std::make_unique<EngineMemory>(options);
  } catch (const std::exception& failure) {
    return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                                .message = failure.what(),
                                .where = "EngineMemory::Create"});
  }
}

EngineMemory::~EngineMemory() {
  pages_budget_.RemoveReclaimer(page_trimmer_);
  region_budget_.RemoveReclaimer(region_trimmer_);
  large_budget_.RemoveReclaimer(mapping_trimmer_);
}

size_t EngineMemory::PageTrimmer::Reclaim(size_t bytes, Clock::time_point) noexcept {
  const size_t page_bytes = pool_.page_bytes();
  const size_t free_pages = pool_.Stats().free_pages;
  const size_t wanted_pages = bytes / page_bytes + 1;
  return pool_.Trim(free_pages - std::min(free_pages, wanted_pages));
}

void EngineMemory::CountEscape(const MemoryBudget& scope, size_t bytes) noexcept {
  escapes_.fetch_add(1, std::memory_order_relaxed);
  escaped_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  if constexpr (kCheckedBuild) {
    std::fprintf(stderr, "granary: %zu bytes outlive '%s %llu'\n", bytes, scope.name(),
                 static_cast<unsigned long long>(scope.number()));
  }
}

}  // namespace granary
