// EngineMemory: all of an engine's memory, under one number.
//
//   granary::EngineMemory memory({.limit_bytes = size_t{8} << 30});
//   ...
//   granary::QueryScope query(memory, {.id = 17, .limit_bytes = size_t{1} << 30});
//   std::pmr::vector<Row> rows(&query.arena());
//
// One page pool, a region and mappings for other blocks of 16 KiB and more, malloc for small ones,
// and one budget over all. The ranges of addresses are as large as the limit, their memory as large
// as what is used; what is free is given back to the system when anybody needs memory and there is
// none left.
//
// The budget's tree:
//   engine          the limit
//     pages         the pool's pages that have memory, whoever has them
//     region        other blocks of 16 KiB and more, up to 1 MiB, the same
//     large         larger ones, the same
//     general       resource()
//     queries       every query, with what it has of all of these; pages and large blocks are not
//       query 17    counted twice, but end here
//         sort      operators
//     results       what outlives its query
//     buffer pool   pages of files, see engine_buffer_pool.h; as many as there are pools
//
// Threading. Everything from any thread. It outlives its scopes.
#ifndef GRANARY_INTEGRATION_ENGINE_MEMORY_H_
#define GRANARY_INTEGRATION_ENGINE_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "integration/large_resource.h"
#include "integration/routed_resource.h"
#include "memory/error.h"
#include "memory/memory_budget.h"
#include "pool/page_pool.h"
#include "pool/page_pool_resource.h"

namespace granary {

struct EngineMemoryOptions {
  // For reports. A string literal, or one that outlives the engine's memory.
  const char* name = "engine";
  // What all of it may take. At least 64 pages.
  size_t limit_bytes = 0;
  // Above it reclaimers are asked to release memory, and nothing is refused.
  size_t soft_limit_bytes = SIZE_MAX;
  // What all queries together may take.
  size_t queries_limit_bytes = SIZE_MAX;
  // The blocks of arenas; as PagePoolOptions has them.
  size_t page_bytes = size_t{64} << 10;
  HugePages huge_pages = HugePages::kNever;

  Expected<void> Validate() const;
};

class EngineMemory {
 public:
  // Throws std::runtime_error with the message that Create returns as an Error.
  explicit EngineMemory(const EngineMemoryOptions& options);
  static Expected<std::unique_ptr<EngineMemory>> Create(const EngineMemoryOptions& options);

  ~EngineMemory();

  EngineMemory(const EngineMemory&) = delete;
  EngineMemory& operator=(const EngineMemory&) = delete;

  // For what belongs to no query: any thread, any size.
  MemoryResource& resource() noexcept { return general_; }

  PagePool& pool() noexcept { return *pool_; }
  PagePoolResource& pages() noexcept { return pages_; }
  // Other blocks of 16 KiB and more.
  LargeResource& large() noexcept { return *large_; }

  MemoryBudget& budget() noexcept { return budget_; }
  MemoryBudget& queries_budget() noexcept { return queries_budget_; }
  MemoryBudget& results_budget() noexcept { return results_budget_; }

  // Scopes that ended with memory still out, and its bytes.
  uint64_t escapes() const noexcept { return escapes_.load(std::memory_order_relaxed); }
  uint64_t escaped_bytes() const noexcept { return escaped_bytes_.load(std::memory_order_relaxed); }

 private:
  friend class MemoryScope;

  // Gives the pool's free pages back.
  class PageTrimmer final : public Reclaimer {
   public:
    explicit PageTrimmer(PagePool& pool) noexcept : pool_(pool) {}
    size_t Reclaim(size_t bytes, Clock::time_point deadline) noexcept override;

   private:
    PagePool& pool_;
  };
  // And the region's free chunks, and free mappings.
  class RegionTrimmer final : public Reclaimer {
   public:
    explicit RegionTrimmer(SharedRegionResource& region) noexcept : region_(region) {}
    size_t Reclaim(size_t bytes, Clock::time_point) noexcept override {
      return region_.Trim(bytes);
    }

   private:
    SharedRegionResource& region_;
  };
  class MappingTrimmer final : public Reclaimer {
   public:
    explicit MappingTrimmer(MappedResource& mappings) noexcept : mappings_(mappings) {}
    size_t Reclaim(size_t bytes, Clock::time_point) noexcept override {
      return mappings_.Trim(bytes);
    }

   private:
    MappedResource& mappings_;
  };

  PagePoolOptions PoolOptions(const EngineMemoryOptions& options) noexcept;
  void CountEscape(const MemoryBudget& scope, size_t bytes) noexcept;

  MemoryBudget budget_;
  MemoryBudget pages_budget_;
  MemoryBudget region_budget_;
  MemoryBudget large_budget_;
  MemoryBudget general_budget_;
  MemoryBudget queries_budget_;
  MemoryBudget results_budget_;
  std::unique_ptr<PagePool> pool_;
  PagePoolResource pages_;
  std::unique_ptr<LargeResource> large_;
  PageTrimmer page_trimmer_;
  RegionTrimmer region_trimmer_;
  MappingTrimmer mapping_trimmer_;
  SharedRoutedResource general_;
  std::atomic<uint64_t> escapes_ = 0;
  std::atomic<uint64_t> escaped_bytes_ = 0;
};

}  // namespace granary

#endif  // GRANARY_INTEGRATION_ENGINE_MEMORY_H_
