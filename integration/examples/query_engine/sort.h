// Sort: all rows, in the order of ComesBefore.
//
// Rows in the operator's workspace, sorted by pointer. When it is refused memory, those that it has
// go to a file as a sorted run; at the end the runs are merged, sixteen at a time.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SORT_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SORT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <memory_resource>
#include <span>
#include <vector>

#include "integration/examples/query_engine/spilling_operator.h"

namespace granary::query_engine {

class Sort final : public SpillingOperator {
 public:
  // Both outlive it.
  Sort(QueryContext& context, Operator& next);
  ~Sort() override;

  Expected<void> Add(std::span<const Row> rows) override;
  Expected<void> Finish() override;

 private:
  static constexpr size_t kRunsMax = 64;

  // Most comparisons need no more than the amount.
  struct Entry {
    int64_t amount;
    const StoredRow* row;
  };
  struct Rows {
    explicit Rows(std::pmr::memory_resource* memory) : rows(memory), order(memory) {}

    std::pmr::forward_list<StoredRow> rows;
    std::pmr::vector<Entry> order;
  };

  void Insert(const Row& row);
  void SortRows();
  Expected<void> Spill() override;
  size_t state_rows() const noexcept override { return rows_->order.size(); }
  // Calls `emit(row)` for all rows of the first `count` runs, in order, and drops these. With
  // `before_texts_go()` whenever texts of rows that were emitted are about to go.
  template <class Emit, class BeforeTextsGo>
  Expected<void> Merge(size_t count, const Emit& emit, const BeforeTextsGo& before_texts_go);
  Expected<void> MergeToRun();

  Operator& next_;
  State<Rows> rows_;
  std::array<SpilledRows, kRunsMax> runs_;
  size_t run_count_ = 0;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SORT_H_
