// HashJoin: for each row that comes, a row with each one of the build side that has its key.
//
// First all rows of the build side go through build(), then the others through the join itself.
// What comes out has the build side's text and, as its key, what that row refers to; so lineitem
// joined with orders is lineitem by customer. Amounts and counts stay the probing row's.
//
// A hash table in the operator's workspace. When it is refused memory, both sides go to a file, in
// sixteen partitions by a hash of the key, and each pair of them is joined by itself; one that
// still does not fit is divided again.
//
// Source: Grace hash join (M. Kitsuregawa, H. Tanaka and T. Moto-Oka, 1983).
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_HASH_JOIN_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_HASH_JOIN_H_

#include <cstdint>
#include <memory_resource>
#include <span>
#include <string>
#include <unordered_map>

#include "integration/examples/query_engine/partitions.h"
#include "integration/examples/query_engine/spilling_operator.h"

namespace granary::query_engine {

class HashJoin final : public SpillingOperator {
 public:
  // Both outlive it.
  HashJoin(QueryContext& context, Operator& next);
  ~HashJoin() override;

  // Where the build side goes. To be finished before the other side comes.
  Operator& build() noexcept { return build_; }

  Expected<void> Add(std::span<const Row> rows) override;
  Expected<void> Finish() override;

 private:
  class Build final : public Operator {
   public:
    explicit Build(HashJoin& join) noexcept : join_(join) {}
    Expected<void> Add(std::span<const Row> rows) override;
    Expected<void> Finish() override;

   private:
    HashJoin& join_;
  };

  // What a row of the build side gives to those that meet it.
  struct Built {
    using allocator_type = std::pmr::polymorphic_allocator<>;
    Built(const Row& row, const allocator_type& memory)
        : other(row.other), text(row.text, memory) {}

    int64_t other;
    std::pmr::string text;
  };
  using Table = std::pmr::unordered_multimap<int64_t, Built>;

  // Both sides of a partition.
  struct Pair {
    SpilledRows build;
    SpilledRows probe;
  };

  void Insert(const Row& row);
  Expected<void> Spill() override;
  size_t state_rows() const noexcept override { return rows_; }
  Expected<void> FinishBuild();
  Expected<void> Probe(const Row& row, Batch& batch);
  // Calls `action(row)` for each.
  template <class Action>
  Expected<void> ForEach(const SpilledRows& rows, const Action& action);
  Expected<void> JoinPair(const Pair& pair);

  Operator& next_;
  Build build_;
  State<Table> table_;
  size_t rows_ = 0;
  // How often what is in the table was divided before.
  size_t level_ = 0;
  bool has_spilled_ = false;
  // Of the build side, while the other one is divided.
  SpillFile::Lists build_lists_;
  Partitions<Pair> todo_;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_HASH_JOIN_H_
