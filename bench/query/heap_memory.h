// The malloc that a program links, under the example's queries.
#ifndef GRANARY_BENCH_QUERY_HEAP_MEMORY_H_
#define GRANARY_BENCH_QUERY_HEAP_MEMORY_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <memory_resource>

#include "bench/program.h"
#include "integration/examples/query_engine/query_memory.h"

namespace granary::bench {

// A workspace that has no limit, and so never spills.
class UnlimitedWorkspace : public query_engine::Workspace {
 public:
  size_t held_bytes() const noexcept final { return 0; }
  std::byte* TryTakeBuffer(size_t) noexcept final { return nullptr; }
  void SpillWith(std::function<size_t(size_t)>) final {}
  void StopSpilling() noexcept final {}
  Error Explain(const std::bad_alloc& refusal) const final {
    return {.code = ErrorCode::kOutOfMemory, .message = refusal.what()};
  }
};

// Each block by itself from malloc, and back to it.
class HeapMemory final : public query_engine::QueryMemory {
 public:
  static constexpr const char* kName = GRANARY_BENCH_MALLOC_NAME;
  // What all queries stand on.
  struct Engine {};

  explicit HeapMemory(Engine&) {}

  std::pmr::memory_resource& memory() noexcept override { return *std::pmr::new_delete_resource(); }
  std::unique_ptr<query_engine::Workspace> NewWorkspace(const char*, size_t) override {
    return std::make_unique<HeapWorkspace>();
  }
  Expected<void> Check() const override { return {}; }

 private:
  class HeapWorkspace final : public UnlimitedWorkspace {
   public:
    std::pmr::memory_resource& memory() noexcept override {
      return *std::pmr::new_delete_resource();
    }
    void Clear() noexcept override {}
    bool has_bulk_clear() const noexcept override { return false; }
  };
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_QUERY_HEAP_MEMORY_H_
