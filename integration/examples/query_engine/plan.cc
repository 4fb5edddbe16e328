#include "integration/examples/query_engine/plan.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "integration/examples/query_engine/hash_aggregation.h"
#include "integration/examples/query_engine/hash_join.h"
#include "integration/examples/query_engine/sort.h"
#include "integration/examples/query_engine/top_n.h"

namespace granary::query_engine {

namespace {

Error Failure(std::string message) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = std::move(message),
          .where = "query_engine::MakePlan"};
}

bool Meets(const Record& record, const Scan::Filter& filter) noexcept {
  const int64_t value = record.columns[filter.column];
  switch (filter.comparison) {
    case Comparison::kEqual:
      return value == filter.number;
    case Comparison::kLess:
      return value < filter.number;
    case Comparison::kGreater:
      return value > filter.number;
  }
  return false;
}

// Conditions on the key become a range of records, the others filters.
Expected<void> MakeScan(const Source& source, const Tables& tables, Scan* scan) {
  const Table* const table = tables.Find(source.table);
  if (table == nullptr) {
    return tl::unexpected(Failure("there is no table '" + std::string(source.table) + "'"));
  }
  int64_t first = INT64_MIN;
  int64_t last = INT64_MAX;
  for (const Condition& condition : source.conditions) {
    const auto name = std::find(table->column_names.begin(), table->column_names.end(),
                                std::string_view{condition.column});
    if (name == table->column_names.end()) {
      return tl::unexpected(Failure("there is no column '" + std::string(condition.column) +
                                    "' in " + std::string(source.table)));
    }
    const auto column = static_cast<Column>(name - table->column_names.begin());
    const int64_t number = condition.number;
    if (column != kKey || number == INT64_MAX) {
      scan->filters.push_back({column, condition.comparison, number});
      continue;
    }
    if (condition.comparison != Comparison::kLess) {
      first = std::max(first, condition.comparison == Comparison::kEqual ? number : number + 1);
    }
    if (condition.comparison != Comparison::kGreater) {
      last = std::min(last, condition.comparison == Comparison::kEqual ? number + 1 : number);
    }
  }
  scan->records = table->WithKeys(first, last);
  return {};
}

}  // namespace

Expected<void> MakePlan(const Query& query, const Tables& tables, Plan* plan) {
  if (query.sources.size() > 1 + Plan::kJoinsMax) {
    return tl::unexpected(Failure("no more than " + std::to_string(Plan::kJoinsMax) + " joins"));
  }
  plan->scans.reserve(query.sources.size());
  for (const Source& source : query.sources) {
    if (auto made = MakeScan(source, tables, &plan->scans.emplace_back()); !made) return made;
  }
  plan->is_grouped = query.is_grouped;
  plan->is_ordered = query.is_ordered;
  plan->limit = query.limit;
  if (plan->limit && !plan->is_ordered) {
    return tl::unexpected(Failure("which rows a limit cuts off is not known without 'order'"));
  }
  return {};
}

Expected<void> Scan::Run(Operator& to) const {
  Batch batch(to);
  for (const Record& record : records) {
    const bool is_wanted = std::all_of(filters.begin(), filters.end(),
                                       [&](const Filter& filter) { return Meets(record, filter); });
    if (!is_wanted) continue;
    if (auto done = batch.Add(record.AsRow()); !done) return done;
  }
  if (auto done = batch.Flush(); !done) return done;
  return to.Finish();
}

namespace {

// Made from the last to the first.
struct Operators {
  std::optional<TopN> top;
  std::optional<Sort> sort;
  std::optional<HashAggregation> aggregation;
  std::array<std::optional<HashJoin>, Plan::kJoinsMax> joins;
};

Expected<void> RunPlan(const Plan& plan, QueryContext& context, std::pmr::memory_resource& memory,
                       Result& result) {
  // One is for all else.
  const bool is_sorted = plan.is_ordered && !plan.limit;
  context.shares = plan.scans.size() + (plan.is_grouped ? 1 : 0) + (is_sorted ? 1 : 0);
  std::pmr::polymorphic_allocator<> allocator(&memory);
  const auto end = [&](Operators* operators) { allocator.delete_object(operators); };
  const std::unique_ptr<Operators, decltype(end)> made(allocator.new_object<Operators>(), end);
  Operator* next = &result;
  if (plan.limit) {
    next = &made->top.emplace(context, *plan.limit, *next);
  } else if (is_sorted) {
    next = &made->sort.emplace(context, *next);
  }
  if (plan.is_grouped) next = &made->aggregation.emplace(context, *next);
  for (size_t i = plan.scans.size() - 1; i > 0; --i) {
    next = &made->joins[i - 1].emplace(context, *next);
  }
  for (size_t i = 1; i < plan.scans.size(); ++i) {
    if (auto built = plan.scans[i].Run(made->joins[i - 1]->build()); !built) return built;
  }
  return plan.scans[0].Run(*next);
}

}  // namespace

Expected<void> RunText(std::string_view text, const Tables& tables, QueryContext& context,
                       Result& result) {
  const std::unique_ptr<Workspace> workspace = context.memory.NewWorkspace("plan", 1);
  try {
    State<Query> query(*workspace);
    if (auto parsed = Parse(text, &*query); !parsed) return parsed;
    State<Plan> plan(*workspace);
    if (auto made = MakePlan(*query, tables, &*plan); !made) return made;
    return RunPlan(*plan, context, workspace->memory(), result);
  } catch (const std::bad_alloc& refusal) {
    return tl::unexpected(workspace->Explain(refusal));
  }
}

}  // namespace granary::query_engine
