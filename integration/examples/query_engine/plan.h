// Plan: a query about tables that are there, ready to run.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_PLAN_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_PLAN_H_

#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include "integration/examples/query_engine/query.h"
#include "integration/examples/query_engine/result.h"
#include "integration/examples/query_engine/spilling_operator.h"
#include "integration/examples/query_engine/tables.h"

namespace granary::query_engine {

// Rows of a table: those whose keys are in a range, found without looking at the others, and of
// these the ones that meet all conditions.
struct Scan {
  using allocator_type = std::pmr::polymorphic_allocator<>;
  struct Filter {
    Column column;
    Comparison comparison;
    int64_t number;
  };

  explicit Scan(const allocator_type& memory) : filters(memory) {}
  Scan(Scan&&) noexcept = default;
  Scan(Scan&& other, const allocator_type& memory)
      : records(other.records), filters(std::move(other.filters), memory) {}

  // Passes the rows on, and finishes the operator.
  Expected<void> Run(Operator& to) const;

  std::span<const Record> records;
  std::pmr::vector<Filter> filters;
};

struct Plan {
  static constexpr size_t kJoinsMax = 2;

  explicit Plan(std::pmr::memory_resource* memory) : scans(memory) {}

  std::pmr::vector<Scan> scans;
  bool is_grouped = false;
  bool is_ordered = false;
  std::optional<size_t> limit;
};

// Makes a query an empty plan's. kInvalidArgument with the name that is not there. Throws what the
// plan's memory throws.
Expected<void> MakePlan(const Query& query, const Tables& tables, Plan* plan);

// Runs the query of a text into `result`; the tree, the plan and its operators are in a workspace
// of their own.
Expected<void> RunText(std::string_view text, const Tables& tables, QueryContext& context,
                       Result& result);

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_PLAN_H_
