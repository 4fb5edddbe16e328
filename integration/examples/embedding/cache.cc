// A cache that takes what is free, and evicts when somebody needs it.
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "integration/engine_memory.h"
#include "integration/query_scope.h"
#include "memory/charged_resource.h"

// [sample]
class BlockCache final : public granary::Reclaimer {
 public:
  explicit BlockCache(granary::EngineMemory& memory)
      : budget_(memory.budget(), {.name = "cache"}),
        // Below the engine's node, which the pool has charged for all pages.
        pages_(budget_, memory.pages(), &memory.budget()),
        page_bytes_(memory.pool().page_bytes()) {
    budget_.AddReclaimer(*this, /*priority=*/10, Serves::kEveryone);
  }
  ~BlockCache() override {
    budget_.RemoveReclaimer(*this);
    Reclaim(SIZE_MAX, {});
  }

  bool Add() {
    // Without the lock, because this may call Reclaim.
    void* const page = pages_.TryAllocate(page_bytes_, page_bytes_);
    if (page == nullptr) return false;
    const std::lock_guard lock(mutex_);
    blocks_.push_back(page);
    return true;
  }

  size_t Reclaim(size_t bytes, Clock::time_point) noexcept override {
    const std::lock_guard lock(mutex_);
    size_t released = 0;
    for (; released < bytes && !blocks_.empty(); released += page_bytes_) {
      pages_.deallocate(blocks_.back(), page_bytes_, page_bytes_);
      blocks_.pop_back();
    }
    return released;
  }

 private:
  granary::MemoryBudget budget_;
  granary::SharedChargedResource pages_;
  const size_t page_bytes_;
  std::mutex mutex_;
  std::vector<void*> blocks_;
};
// [/sample]

namespace {

granary::BudgetStats CacheStats(granary::EngineMemory& memory) {
  granary::BudgetStats found;
  memory.budget().Visit([&](const granary::BudgetStats& stats) {
    if (std::string_view(stats.name) == "cache") found = stats;
  });
  return found;
}

}  // namespace

int main() {
  constexpr size_t kLimit = size_t{16} << 20;
  granary::EngineMemory memory({.limit_bytes = kLimit});
  {
    BlockCache cache(memory);
    for (int i = 0; i < 1000; ++i) {
      if (!cache.Add()) return 1;
    }
    const granary::BudgetStats cached = CacheStats(memory);
    const size_t cached_bytes = cached.taken_bytes - cached.prepaid_bytes;
    if (cached_bytes == 0 || cached_bytes > kLimit) return 2;
    if (cached.reclaimed_bytes == 0) return 3;

    granary::QueryScope query(memory, {.id = 17});
    for (int i = 0; i < 1000; ++i) {
      if (query.arena().TryAllocate(8000, 8) == nullptr) return 4;
    }
    if (memory.budget().Stats().taken_bytes > kLimit) return 5;
  }
  return memory.pool().Stats().live_pages == 0 ? 0 : 6;
}
