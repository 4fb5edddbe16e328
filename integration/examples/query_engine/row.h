// Row: what flows between the operators of the example's query engine.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_ROW_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_ROW_H_

#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <utility>

namespace granary::query_engine {

// One row on its way. Its text is somebody else's, and stays until the call that passes it returns.
struct Row {
  // What it is joined and grouped by.
  int64_t key = 0;
  // The key of the table that its own refers to: an order's customer, a customer's nation.
  int64_t other = 0;
  int64_t amount = 0;
  // How many rows were made one.
  int64_t count = 1;
  std::string_view text;

  friend bool operator==(const Row&, const Row&) = default;
};

// The order of results: largest amounts first. Rows that are equal by it are equal.
inline bool ComesBefore(const Row& a, const Row& b) noexcept {
  if (a.amount != b.amount) return a.amount > b.amount;
  if (a.key != b.key) return a.key < b.key;
  if (a.other != b.other) return a.other < b.other;
  if (a.count != b.count) return a.count < b.count;
  return a.text < b.text;
}

// A row that is kept, with its text, in the memory of its container.
struct StoredRow {
  using allocator_type = std::pmr::polymorphic_allocator<>;

  StoredRow(const Row& row, const allocator_type& memory)
      : key(row.key),
        other(row.other),
        amount(row.amount),
        count(row.count),
        text(row.text, memory) {}
  StoredRow(StoredRow&&) noexcept = default;
  StoredRow(StoredRow&& row, const allocator_type& memory)
      : key(row.key),
        other(row.other),
        amount(row.amount),
        count(row.count),
        text(std::move(row.text), memory) {}
  StoredRow& operator=(StoredRow&&) = default;

  Row view() const noexcept { return {key, other, amount, count, text}; }

  int64_t key;
  int64_t other;
  int64_t amount;
  int64_t count;
  std::pmr::string text;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_ROW_H_
