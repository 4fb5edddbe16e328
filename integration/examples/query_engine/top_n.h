// TopN: the first rows in the order of ComesBefore.
//
// A heap of so many rows in the operator's workspace. It has nothing to spill.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TOP_N_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TOP_N_H_

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <span>
#include <vector>

#include "integration/examples/query_engine/operator.h"
#include "integration/examples/query_engine/query_memory.h"
#include "integration/examples/query_engine/spilling_operator.h"

namespace granary::query_engine {

class TopN final : public Operator {
 public:
  // Both outlive it.
  TopN(QueryContext& context, size_t count, Operator& next);

  Expected<void> Add(std::span<const Row> rows) override;
  Expected<void> Finish() override;

 private:
  QueryContext& context_;
  const size_t count_;
  Operator& next_;
  const std::unique_ptr<Workspace> workspace_;
  // The last one first.
  State<std::pmr::vector<StoredRow>> heap_;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TOP_N_H_
