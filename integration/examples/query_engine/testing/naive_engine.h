// The same queries with nothing but standard containers and no thought of memory: what the answers
// are compared with.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TESTING_NAIVE_ENGINE_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TESTING_NAIVE_ENGINE_H_

#include <string>
#include <vector>

#include "integration/examples/query_engine/result.h"
#include "integration/examples/query_engine/tables.h"

namespace granary::query_engine {

struct NaiveResult {
  std::vector<Row> rows;
  Digest digest;
  bool is_ordered = false;
};

// Of a text that is well formed. Runs it once for each pair of text and tables, and remembers what
// came out. Any thread.
const NaiveResult& NaiveResultOf(const std::string& text, const Tables& tables);

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_TESTING_NAIVE_ENGINE_H_
