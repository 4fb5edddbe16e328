// What the tests of the query engine have in common.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TESTING_TEST_QUERIES_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TESTING_TEST_QUERIES_H_

#include <algorithm>
#include <cstddef>
#include <memory_resource>
#include <string>

#include "gtest/gtest.h"
#include "integration/engine_memory.h"
#include "integration/examples/query_engine/engine.h"
#include "integration/examples/query_engine/tables.h"
#include "integration/examples/query_engine/testing/naive_engine.h"

namespace granary::query_engine {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;

// Every operator, alone and behind others.
inline constexpr const char* kQueries[] = {
    "from lineitem",
    "from lineitem where quantity > 49 and shipdate < 1000",
    "from customer where custkey > 10 and custkey < 20 order",
    "from lineitem group",
    "from lineitem order",
    "from lineitem order limit 100",
    "from lineitem order limit 0",
    "from lineitem join orders",
    "from orders join lineitem order",
    "from lineitem where quantity = 1 join orders where priority = 1 join customer group order",
    "from lineitem join orders group order",
    "from lineitem join orders join customer group order limit 10",
};

// Nothing of a query is left.
inline void ExpectAllBack(EngineMemory& memory) {
  EXPECT_EQ(memory.queries_budget().Stats().taken_bytes, 0u);
  EXPECT_EQ(memory.results_budget().Stats().taken_bytes, 0u);
  EXPECT_EQ(memory.pool().Stats().live_pages, 0u);
  EXPECT_EQ(memory.escapes(), 0u);
}

inline void ExpectRight(const std::string& text, const Tables& tables, const Outcome& outcome) {
  ASSERT_FALSE(outcome.error) << text << ": " << outcome.error->message;
  const NaiveResult& expected = NaiveResultOf(text, tables);
  EXPECT_TRUE(outcome.digest.Agrees(expected.digest, expected.is_ordered)) << text;
  if (!expected.is_ordered) return;
  const size_t rows = std::min(expected.rows.size(), Result::kRowsKept);
  ASSERT_EQ(outcome.rows.size(), rows) << text;
  EXPECT_TRUE(std::equal(outcome.rows.begin(), outcome.rows.end(), expected.rows.begin())) << text;
}

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TESTING_TEST_QUERIES_H_
