// What outlives its query, without a copy.
#include <cstddef>
#include <cstdint>
#include <span>

#include "integration/engine_memory.h"
#include "integration/query_scope.h"

// [sample]
struct Row {
  uint64_t key = 0;
  uint64_t count = 0;
};

granary::Expected<std::span<const Row>> Run(granary::EngineMemory& memory, uint64_t id,
                                            granary::ResultScope& result) {
  granary::QueryScope query(memory, {.id = id});
  granary::OperatorScope output(query, {.name = "output"});  // What is to live on, and only that.
  constexpr size_t kCount = 1000;
  Row* const rows = output.arena().TryCreateArray<Row>(kCount);
  if (rows == nullptr) return tl::unexpected(output.Refusal(kCount * sizeof(Row)));
  for (size_t i = 0; i < kCount; ++i) rows[i] = {.key = i, .count = 2 * i};
  if (auto promoted = output.Promote(result); !promoted) return tl::unexpected(promoted.error());
  return std::span<const Row>(rows, kCount);
}
// [/sample]

int main() {
  granary::EngineMemory memory({.limit_bytes = size_t{64} << 20});
  {
    granary::ResultScope result(memory, {.name = "result", .id = 17});
    const auto rows = Run(memory, 17, result);
    if (!rows || rows->size() != 1000) return 1;
    if (memory.queries_budget().Stats().taken_bytes != 0) return 2;
    if (memory.results_budget().Stats().taken_bytes == 0) return 3;
    if ((*rows)[999].key != 999 || (*rows)[999].count != 1998) return 4;
  }
  return memory.pool().Stats().live_pages == 0 ? 0 : 5;
}
