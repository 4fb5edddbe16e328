// Where the memory is.
#include <cinttypes>
#include <cstddef>
#include <cstdio>

#include "integration/engine_memory.h"
#include "integration/query_scope.h"

// [sample]
void Print(granary::EngineMemory& memory) {
  memory.budget().Visit([](const granary::BudgetStats& node) {
    std::printf("%*s%s %" PRIu64 ": %zu bytes, %zu of them prepaid; at most %zu; %" PRIu64
                " requests met its limit\n",
                static_cast<int>(2 * node.depth), "", node.name, node.number, node.taken_bytes,
                node.prepaid_bytes, node.peak_bytes, node.refusals);
  });
  std::printf("%" PRIu64 " scopes ended with %" PRIu64 " bytes still out\n", memory.escapes(),
              memory.escaped_bytes());
}
// [/sample]

int main() {
  granary::EngineMemory memory({.limit_bytes = size_t{64} << 20});
  granary::QueryScope query(memory, {.id = 17});
  granary::OperatorScope sort(query, {.name = "sort"});
  if (sort.arena().TryAllocate(1000, 8) == nullptr) return 1;
  Print(memory);
  const auto nodes = memory.budget().Snapshot();
  // The engine, its pages, region, large blocks and queries, the query and the sort.
  if (nodes.size() != 7) return 2;
  return nodes[0].taken_bytes <= nodes[0].hard_limit_bytes ? 0 : 3;
}
