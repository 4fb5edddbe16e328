// ScopeMemory: a query's memory as an engine on granary has it, a QueryScope with an OperatorScope
// for each operator.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SCOPE_MEMORY_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SCOPE_MEMORY_H_

#include <memory>

#include "integration/examples/query_engine/query_memory.h"
#include "integration/query_scope.h"

namespace granary::query_engine {

class ScopeMemory final : public QueryMemory {
 public:
  // `scope` outlives it; `limit_bytes` is its limit.
  ScopeMemory(QueryScope& scope, size_t limit_bytes) noexcept
      : scope_(scope), limit_bytes_(limit_bytes) {}

  std::pmr::memory_resource& memory() noexcept override { return scope_.arena(); }
  std::unique_ptr<Workspace> NewWorkspace(const char* name, size_t shares) override;
  Expected<void> Check() const override;

 private:
  QueryScope& scope_;
  const size_t limit_bytes_;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SCOPE_MEMORY_H_
