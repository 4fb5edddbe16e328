// QueryScope: all memory of a query, and its end.
//
//   granary::QueryScope query(memory, {.id = 17, .limit_bytes = size_t{1} << 30});
//   std::pmr::vector<Row> rows(&query.arena());
//   granary::OperatorScope sort(query, {.name = "sort"});
//   Row* row = query.shared().Create<Row>(key);  // any of the query's threads
//   ...
//   if (!query.Promote(result)) ...        // what is to outlive the query
//
// A scope is a node of the engine's budget, an arena, and what was registered to run at its end.
// When it ends everything is back where it came from, in a few steps whatever it was. What is still
// out is counted, and named in debug builds.
//
// Which to choose: QueryScope for a query, OperatorScope for a part of one with memory, limit or
// spilling of its own, ResultScope for results that outlive their query.
//
// Costs. A scope that is not used is some 50 instructions, 20 of them stores: no memory, no lock,
// no call (a test disassembles it). Its arena and its resource are made when they are first asked
// for, a hundred instructions or two, and a test from then on; shared() takes malloc and two locks.
//
// Threading. A scope and its arena belong to one thread at a time, but for shared(), Abort and what
// budget() gives; scopes of one query may belong to different threads. A scope outlives the scopes
// within it.
#ifndef GRANARY_INTEGRATION_QUERY_SCOPE_H_
#define GRANARY_INTEGRATION_QUERY_SCOPE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>

#include "arena/arena.h"
#include "arena/concurrent_arena.h"
#include "integration/engine_memory.h"
#include "integration/routed_resource.h"
#include "memory/memory_budget.h"

namespace granary {

struct ScopeOptions {
  // A string literal, or one that outlives the scope; nullptr is `query`, `operator` or `result`.
  const char* name = nullptr;
  // Shown behind the name unless it is 0.
  uint64_t id = 0;
  size_t limit_bytes = SIZE_MAX;
};

// What all scopes have.
class MemoryScope {
 public:
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;

  Arena& arena() noexcept {
    if (!has_arena_) [[unlikely]]
      MakeArena();
    return arena_.arena;
  }
  // For what is freed before the end: blocks of any size, each freed by itself.
  MemoryResource& resource() noexcept {
    if (!has_resource_) [[unlikely]]
      MakeResource();
    return resource_;
  }
  // For all threads that work for the scope, from any of them: what they make together lives until
  // the scope's end, and is not promoted. The first call makes it, and throws std::bad_alloc if
  // there is no memory for that; each thread that allocates takes a page.
  ConcurrentArena& shared() {
    if (ConcurrentArena* const made = TryShared()) [[likely]]
      return *made;
    throw std::bad_alloc();
  }
  // The same, nullptr on refusal.
  [[nodiscard]] ConcurrentArena* TryShared() noexcept {
    SharedOnBlocks* const made = shared_.load(std::memory_order_acquire);
    return made != nullptr ? &*made->arena : MakeShared();
  }
  MemoryBudget& budget() noexcept { return budget_; }
  EngineMemory& engine() noexcept { return engine_; }

  // Refuses all further memory to the scope and those within it. Any thread.
  void Abort(Error reason) { budget_.Abort(std::move(reason)); }

  // Why `bytes` more were refused to the scope, or would be now: the limit that was met, this
  // scope's or one above it, and who has the memory.
  Error Refusal(size_t bytes) const;

  // Makes everything that lives in this scope's arena live in that of `to`, without a copy, and
  // charges it there instead. kOutOfMemory if it does not fit under the limits of `to`;
  // kInvalidArgument if that is another engine's, or one of the arenas cannot (Arena::Absorb); then
  // nothing has changed. Containers of std::pmr go on asking the arena that they were made with:
  // what is promoted is better plain data.
  Expected<void> Promote(MemoryScope& to);

 protected:
  MemoryScope(EngineMemory& engine, MemoryBudget& parent, const ScopeOptions& options,
              const char* default_name) noexcept
      : engine_(engine),
        budget_(parent, {.name = options.name != nullptr ? options.name : default_name,
                         .number = options.id,
                         .hard_limit_bytes = options.limit_bytes}) {}
  ~MemoryScope() {
    if (has_arena_ || has_resource_ || shared_.load(std::memory_order_relaxed) != nullptr)
        [[unlikely]]
      End();
  }

 private:
  struct ArenaOnBlocks {
    ArenaOnBlocks(EngineMemory& engine, MemoryBudget& budget) noexcept;

    // The arena's alone, so that what is charged by it is the arena's.
    RoutedResource blocks;
    Arena arena;
  };
  struct SharedOnBlocks {
    SharedOnBlocks(EngineMemory& engine, MemoryBudget& budget) noexcept;

    SharedRoutedResource blocks;
    // Ends before it is looked what is left of the blocks.
    std::optional<ConcurrentArena> arena;
  };

  void MakeArena() noexcept;
  void MakeResource() noexcept;
  ConcurrentArena* MakeShared() noexcept;
  // Returns the bytes that are still out.
  size_t EndShared() noexcept;
  void End() noexcept;

  EngineMemory& engine_;
  MemoryBudget budget_;
  // Release, with the acquire of TryShared: who finds it finds it whole.
  std::atomic<SharedOnBlocks*> shared_ = nullptr;
  bool has_arena_ = false;
  bool has_resource_ = false;
  // NOLINTBEGIN(readability-identifier-naming): taken for members of something else.
  union {
    ArenaOnBlocks arena_;
  };
  union {
    RoutedResource resource_;
  };
  // NOLINTEND(readability-identifier-naming)
};

// The memory in which a query can say that it has none.
class EmergencyBlock {
 public:
  static constexpr size_t kBytes = 4096;

  // An arena over the block, and no more.
  Arena& arena() noexcept;

 private:
  alignas(16) std::array<std::byte, kBytes> bytes_;
  alignas(Arena) std::array<std::byte, sizeof(Arena)> arena_;
  bool is_made_ = false;

 public:
  EmergencyBlock() noexcept {}  // NOLINT(modernize-use-equals-default): the bytes stay as they are.
  ~EmergencyBlock() {
    if (is_made_) [[unlikely]]
      std::destroy_at(&arena());
  }
  EmergencyBlock(const EmergencyBlock&) = delete;
  EmergencyBlock& operator=(const EmergencyBlock&) = delete;
};

class QueryScope final : public MemoryScope {
 public:
  explicit QueryScope(EngineMemory& engine, const ScopeOptions& options = {}) noexcept
      : MemoryScope(engine, engine.queries_budget(), options, "query") {}

  // For the handling of an error at the limit: it has its 4 KiB in any case.
  Arena& emergency_arena() noexcept { return emergency_.arena(); }

 private:
  EmergencyBlock emergency_;
};

class ResultScope final : public MemoryScope {
 public:
  explicit ResultScope(EngineMemory& engine, const ScopeOptions& options = {}) noexcept
      : MemoryScope(engine, engine.results_budget(), options, "result") {}
};

class OperatorScope final : public MemoryScope {
 public:
  explicit OperatorScope(MemoryScope& within, const ScopeOptions& options = {}) noexcept
      : MemoryScope(within.engine(), within.budget(), options, "operator") {}
  ~OperatorScope() { StopSpilling(); }

  // Calls `spill(bytes)` when others than this scope lack so many bytes: of this query or another,
  // on their thread. It releases what it can, and returns how many bytes that were. The operators
  // with most memory are asked first.
  void SpillWith(std::function<size_t(size_t bytes)> spill);
  // Returns when `spill` is not being called; not for `spill` itself.
  void StopSpilling() noexcept;

 private:
  class Spiller final : public Reclaimer {
   public:
    size_t Reclaim(size_t bytes, Clock::time_point deadline) noexcept override;
    std::function<size_t(size_t)> spill;
  };

  std::unique_ptr<Spiller> spiller_;
};

}  // namespace granary

#endif  // GRANARY_INTEGRATION_QUERY_SCOPE_H_
