// Query: what is asked for, as a text and as a tree.
//
//   from lineitem where shipdate < 1000 and quantity > 10 join orders where priority = 1
//        join customer group order limit 10
//
// Rows of the first table, joined by their keys to those of the second, and what comes out of that
// to those of the third; `group` adds up what has the same key, `order` puts the largest amounts
// first, `limit` cuts off. Each `where` is about the table before it.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_QUERY_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_QUERY_H_

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "integration/examples/query_engine/tables.h"
#include "memory/error.h"

namespace granary::query_engine {

enum class Comparison : uint8_t { kEqual, kLess, kGreater };

// `column comparison number`
struct Condition {
  using allocator_type = std::pmr::polymorphic_allocator<>;

  explicit Condition(const allocator_type& memory) : column(memory) {}
  Condition(Condition&&) noexcept = default;
  Condition(Condition&& other, const allocator_type& memory)
      : column(std::move(other.column), memory),
        comparison(other.comparison),
        number(other.number) {}

  std::pmr::string column;
  Comparison comparison = Comparison::kEqual;
  int64_t number = 0;
};

// A table and which of its rows.
struct Source {
  using allocator_type = std::pmr::polymorphic_allocator<>;

  explicit Source(const allocator_type& memory) : table(memory), conditions(memory) {}
  Source(Source&&) noexcept = default;
  Source(Source&& other, const allocator_type& memory)
      : table(std::move(other.table), memory), conditions(std::move(other.conditions), memory) {}

  std::pmr::string table;
  std::pmr::vector<Condition> conditions;
};

struct Query {
  explicit Query(std::pmr::memory_resource* memory) : sources(memory) {}

  // The first is scanned, the others are joined to it.
  std::pmr::vector<Source> sources;
  bool is_grouped = false;
  bool is_ordered = false;
  std::optional<size_t> limit;
};

// Reads `text` into an empty query. kInvalidArgument with the word that was not expected. Throws
// what the query's memory throws.
Expected<void> Parse(std::string_view text, Query* query);

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_QUERY_H_
