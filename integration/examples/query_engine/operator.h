// Operator: one step of a query, to which rows are pushed.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_OPERATOR_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_OPERATOR_H_

#include <array>
#include <cstddef>
#include <span>

#include "integration/examples/query_engine/row.h"
#include "memory/error.h"

namespace granary::query_engine {

class Operator {
 public:
  virtual ~Operator() = default;

  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;

  // Takes rows, whose texts are gone when it returns. After an error the query is over.
  virtual Expected<void> Add(std::span<const Row> rows) = 0;
  // There are no more: passes on what it still has, and finishes the operator behind it.
  virtual Expected<void> Finish() = 0;

 protected:
  Operator() = default;
};

// Rows on their way to an operator, some at a time. They are passed on before their texts go: by
// Flush, where the caller knows that.
class Batch {
 public:
  static constexpr size_t kRowsMax = 64;

  explicit Batch(Operator& to) noexcept : to_(to) {}

  Expected<void> Add(const Row& row) {
    rows_[count_++] = row;
    return count_ == kRowsMax ? Flush() : Expected<void>();
  }
  Expected<void> Flush() {
    const size_t count = count_;
    count_ = 0;
    return count != 0 ? to_.Add(std::span(rows_).first(count)) : Expected<void>();
  }

 private:
  Operator& to_;
  size_t count_ = 0;
  std::array<Row, kRowsMax> rows_;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_OPERATOR_H_
