// Arenas under the example's queries: granary's, with its budgets and without, and the standard's.
#ifndef GRANARY_BENCH_QUERY_ARENA_MEMORY_H_
#define GRANARY_BENCH_QUERY_ARENA_MEMORY_H_

#include <cstddef>
#include <memory>
#include <memory_resource>

#include "arena/arena.h"
#include "bench/query/heap_memory.h"
#include "integration/engine_memory.h"
#include "integration/examples/query_engine/scope_memory.h"
#include "integration/query_scope.h"
#include "memory/malloc_resource.h"
#include "pool/page_pool.h"
#include "pool/page_pool_resource.h"

namespace granary::bench {

// As an engine has it: a scope for the query, one for each operator, and a limit over all.
class GranaryMemory final : public query_engine::QueryMemory {
 public:
  static constexpr const char* kName = "granary";
  struct Engine {
    EngineMemory memory{{.limit_bytes = size_t{4} << 30}};
  };

  explicit GranaryMemory(Engine& engine)
      : scope_(engine.memory), memory_(scope_, size_t{4} << 30) {}

  std::pmr::memory_resource& memory() noexcept override { return memory_.memory(); }
  std::unique_ptr<query_engine::Workspace> NewWorkspace(const char* name, size_t) override {
    return memory_.NewWorkspace(name, 1);
  }
  Expected<void> Check() const override { return memory_.Check(); }

 private:
  QueryScope scope_;
  query_engine::ScopeMemory memory_;
};

// Pages for what fills most of one and malloc for the rest, as scopes have them, uncounted.
class UncountedResource final : public MemoryResource {
 public:
  explicit UncountedResource(PagePool& pool) noexcept
      : MemoryResource(Deallocation::kFrees, MallocResource::kMaxAlignment), pages_(pool) {}

  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override {
    return Route(bytes).TryAllocate(bytes, alignment);
  }
  void ReleaseChain(const BlockChain& chain) noexcept override {
    if (chain.bytes == chain.count * pages_.block_bytes()) {
      pages_.ReleaseChain(chain);
    } else {
      MemoryResource::ReleaseChain(chain);
    }
  }
  MemoryStats Stats() const noexcept override { return pages_.Stats(); }
  size_t block_bytes() const noexcept override { return pages_.block_bytes(); }

 private:
  MemoryResource& Route(size_t bytes) noexcept {
    const size_t page_bytes = pages_.block_bytes();
    if (bytes <= page_bytes && bytes > page_bytes / 2) return pages_;
    return MallocResource::Default();
  }
  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    Route(bytes).deallocate(p, bytes, alignment);
  }

  PagePoolResource pages_;
};

// The same without a budget.
class UncountedMemory final : public query_engine::QueryMemory {
 public:
  static constexpr const char* kName = "granary_uncounted";
  struct Engine {
    std::unique_ptr<PagePool> pool =
        PagePool::Create({.page_bytes = size_t{64} << 10, .max_pages = size_t{1} << 16}).value();
    UncountedResource resource{*pool};
  };

  explicit UncountedMemory(Engine& engine)
      : engine_(engine), arena_(ArenaOptions{.upstream = &engine.resource}) {}

  std::pmr::memory_resource& memory() noexcept override { return arena_; }
  std::unique_ptr<query_engine::Workspace> NewWorkspace(const char*, size_t) override {
    return std::make_unique<ArenaWorkspace>(engine_.resource);
  }
  Expected<void> Check() const override { return {}; }

 private:
  class ArenaWorkspace final : public UnlimitedWorkspace {
   public:
    explicit ArenaWorkspace(MemoryResource& upstream) noexcept
        : arena_(ArenaOptions{.upstream = &upstream}) {}

    std::pmr::memory_resource& memory() noexcept override { return arena_; }
    void Clear() noexcept override { arena_.Reset(Retention::Release()); }
    bool has_bulk_clear() const noexcept override { return true; }

   private:
    Arena arena_;
  };

  Engine& engine_;
  Arena arena_;
};

// std::pmr::monotonic_buffer_resource, over glibc's malloc.
class MonotonicMemory final : public query_engine::QueryMemory {
 public:
  static constexpr const char* kName = "pmr";
  struct Engine {};

  explicit MonotonicMemory(Engine&) {}

  std::pmr::memory_resource& memory() noexcept override { return memory_; }
  std::unique_ptr<query_engine::Workspace> NewWorkspace(const char*, size_t) override {
    return std::make_unique<MonotonicWorkspace>();
  }
  Expected<void> Check() const override { return {}; }

 private:
  class MonotonicWorkspace final : public UnlimitedWorkspace {
   public:
    std::pmr::memory_resource& memory() noexcept override { return memory_; }
    void Clear() noexcept override { memory_.release(); }
    bool has_bulk_clear() const noexcept override { return true; }

   private:
    std::pmr::monotonic_buffer_resource memory_;
  };

  std::pmr::monotonic_buffer_resource memory_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_QUERY_ARENA_MEMORY_H_
