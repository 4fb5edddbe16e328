// HashAggregation: one row for each key, with the sums of amounts and counts, and the least of what
// else there is.
//
// A hash table in the operator's workspace. When it is refused memory, the sums so far go to a file
// in sixteen partitions by a hash of the key, and at the end each is added up by itself; one that
// still does not fit is divided again.
//
// Source: hybrid hashing (D. J. DeWitt et al., SIGMOD 1984), without the part that stays.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_HASH_AGGREGATION_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_HASH_AGGREGATION_H_

#include <cstdint>
#include <memory_resource>
#include <span>
#include <string>
#include <unordered_map>

#include "integration/examples/query_engine/spilling_operator.h"

namespace granary::query_engine {

class HashAggregation final : public SpillingOperator {
 public:
  // Both outlive it.
  HashAggregation(QueryContext& context, Operator& next);
  ~HashAggregation() override;

  Expected<void> Add(std::span<const Row> rows) override;
  Expected<void> Finish() override;

 private:
  using Groups = std::pmr::unordered_map<int64_t, StoredRow>;

  void Insert(const Row& row);
  Expected<void> Spill() override;
  size_t state_rows() const noexcept override { return rows_; }
  Expected<void> EmitGroups();

  Operator& next_;
  State<Groups> groups_;
  size_t rows_ = 0;
  // How often what is in the table was divided before.
  size_t level_ = 0;
  bool has_spilled_ = false;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_HASH_AGGREGATION_H_
