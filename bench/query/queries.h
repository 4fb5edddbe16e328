// The queries that the suite runs, and the data they are about.
#ifndef GRANARY_BENCH_QUERY_QUERIES_H_
#define GRANARY_BENCH_QUERY_QUERIES_H_

#include <cstddef>
#include <memory_resource>
#include <string_view>

#include "bench/program.h"
#include "integration/examples/query_engine/plan.h"
#include "integration/examples/query_engine/query_memory.h"
#include "integration/examples/query_engine/result.h"
#include "integration/examples/query_engine/tables.h"

namespace granary::bench {

struct QueryCase {
  const char* name;
  const char* text;
  // In one iteration of a benchmark.
  size_t queries_per_iteration;
  // Whether it is large enough for its memory to be seen in that of the process.
  bool is_large;
};

// `small` is the parsing, the plan, and a hundred rows.
inline constexpr QueryCase kQueryCases[] = {
    {"small", "from customer where custkey > 500 and custkey < 601 order", 200, false},
    {"small_join",
     "from lineitem where orderkey > 500 and orderkey < 526 join orders where orderkey > 500 "
     "and orderkey < 526 group order limit 10",
     200, false},
    {"aggregation", "from lineitem group", 1, true},
    {"join", "from lineitem join orders", 1, true},
    {"sort", "from lineitem order", 1, true},
    {"top_n", "from lineitem order limit 1000", 1, true},
    {"all_operators", "from lineitem join orders join customer group order", 1, true},
};

// 3,000 customers, 30,000 orders and 120,000 lines.
inline const query_engine::Tables& QueryTables() {
  static const query_engine::Tables tables(0.02, *std::pmr::new_delete_resource());
  return tables;
}

// Runs one query in memory of its own, from its text to its end. Returns the rows that came out.
template <class Memory>
size_t RunQuery(typename Memory::Engine& engine, std::string_view text) {
  static const query_engine::SpillStorageFactory no_files;
  Memory memory(engine);
  query_engine::QueryContext context{memory, no_files};
  query_engine::Result result(memory);
  const auto done = query_engine::RunText(text, QueryTables(), context, result);
  if (!done) Die(done.error().message);
  return result.digest().rows;
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_QUERY_QUERIES_H_
