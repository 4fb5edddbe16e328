// Result: what comes out of a query: its first rows, and a sum over all of them.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_RESULT_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_RESULT_H_

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

#include "integration/examples/query_engine/operator.h"
#include "integration/examples/query_engine/query_memory.h"

namespace granary::query_engine {

// Tells results apart without keeping them.
struct Digest {
  uint64_t rows = 0;
  // Of all rows, in whatever order they came; and in the order in which they did.
  uint64_t unordered = 0;
  uint64_t ordered = 0;

  void Add(const Row& row) noexcept;
  // As if each was of a query with ORDER, or one without.
  bool Agrees(const Digest& other, bool is_ordered) const noexcept {
    return rows == other.rows && unordered == other.unordered &&
           (!is_ordered || ordered == other.ordered);
  }
};

class Result final : public Operator {
 public:
  static constexpr size_t kRowsKept = 100;

  // The rows that it keeps are in `memory`, which outlives it.
  explicit Result(QueryMemory& memory) : memory_(memory), rows_(&memory.memory()) {}

  // kOutOfMemory if they do not fit.
  Expected<void> Add(std::span<const Row> rows) override;
  Expected<void> Finish() override { return {}; }

  const Digest& digest() const noexcept { return digest_; }
  std::span<const StoredRow> rows() const noexcept { return rows_; }

 private:
  QueryMemory& memory_;
  Digest digest_;
  std::pmr::vector<StoredRow> rows_;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_RESULT_H_
