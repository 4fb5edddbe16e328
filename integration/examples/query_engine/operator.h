// Operator: one step of a query, to which rows are pushed.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_OPERATOR_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_OPERATOR_H_

#include <cstddef>
#include <memory>
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
    std::construct_at(rows() + count_, row);
    return ++count_ == kRowsMax ? Flush() : Expected<void>();
  }
  Expected<void> Flush() {
    const size_t count = count_;
    count_ = 0;
    return count != 0 ? to_.Add({rows(), count}) : Expected<void>();
  }

 private:
  Row* rows() noexcept { return reinterpret_cast<Row*>(bytes_); }

  Operator& to_;
  size_t count_ = 0;
  // Not std::array<Row>, which would be initialised.
  alignas(Row) std::byte bytes_[kRowsMax * sizeof(Row)];
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_OPERATOR_H_
