// A query with an operator: what dies with it is in the arena, what dies before in the resource.
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "integration/engine_memory.h"
#include "integration/query_scope.h"

// [sample]
size_t CountGroups(granary::EngineMemory& memory, uint64_t id, const std::vector<int>& keys) {
  granary::QueryScope query(memory, {.id = id, .limit_bytes = size_t{256} << 20});
  granary::OperatorScope group(query, {.name = "group", .limit_bytes = size_t{64} << 20});

  // Grows to its end: nothing of it is freed before.
  std::pmr::unordered_map<int, std::string_view> names(&group.arena());
  // Comes and goes: every block is freed when the string grows or goes.
  std::pmr::string name(&group.resource());
  for (const int key : keys) {
    if (names.contains(key)) continue;
    name.assign("the group of all rows whose key is ").append(std::to_string(key));
    names.emplace(key, group.arena().Copy(name));
  }
  return names.size();
}
// [/sample]

int main() {
  granary::EngineMemory memory({.limit_bytes = size_t{1} << 30});
  if (CountGroups(memory, 17, {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}) != 7) return 1;
  if (memory.queries_budget().Stats().taken_bytes != 0) return 2;
  return memory.escapes() == 0 ? 0 : 3;
}
