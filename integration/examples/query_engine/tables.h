// Tables: data of TPC-H's shape, made up from its row numbers.
//
// customer, orders and lineitem, with ten orders for a customer on average (a third of them have
// none) and one to seven lines for an order, as the benchmark's specification has them. Every run
// and every machine gets the same rows.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TABLES_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TABLES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include "integration/examples/query_engine/row.h"

namespace granary::query_engine {

// The columns that all tables have, under names of their own.
enum Column : uint8_t { kKey, kOther, kAmount, kDate, kQuantity, kColumnCount };

struct Record {
  std::array<int64_t, kColumnCount> columns;
  std::string_view text;

  Row AsRow() const noexcept {
    return {
        .key = columns[kKey], .other = columns[kOther], .amount = columns[kAmount], .text = text};
  }
};

struct Table {
  std::string_view name;
  std::array<std::string_view, kColumnCount> column_names;
  // In the order of their keys.
  std::span<const Record> records;

  // Those with first <= key < last.
  std::span<const Record> WithKeys(int64_t first, int64_t last) const noexcept;
};

class Tables {
 public:
  // 1,500 customers, 15,000 orders and about 60,000 lines for a hundredth of TPC-H's unit, and so
  // on in proportion; in `memory`, which outlives them. Throws what that throws.
  Tables(double scale, std::pmr::memory_resource& memory);

  const Table& customer() const noexcept { return tables_[0]; }
  const Table& orders() const noexcept { return tables_[1]; }
  const Table& lineitem() const noexcept { return tables_[2]; }

  // By its name, or nullptr.
  const Table* Find(std::string_view name) const noexcept;

 private:
  std::pmr::vector<Record> customer_;
  std::pmr::vector<Record> orders_;
  std::pmr::vector<Record> lineitem_;
  // What all texts are parts of.
  std::pmr::vector<char> text_;
  std::array<Table, 3> tables_;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TABLES_H_
