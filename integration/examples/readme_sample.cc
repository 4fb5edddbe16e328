#include <cstdio>
#include <memory_resource>
#include <string_view>
#include <vector>

#include "arena/arena.h"

struct Row {
  int id;
  std::string_view name;
};

bool RunQuery(granary::Arena& arena) {
  std::pmr::vector<Row> rows(&arena);  // Any container of std::pmr.
  for (int id = 0; id < 1000; ++id) rows.push_back({id, arena.Copy("granary")});

  void* const run = arena.TryAllocate(1 << 16, 64);  // A refusal is nullptr, not an exception.
  if (run == nullptr) return false;
  std::printf("%zu rows, %zu bytes asked for\n", rows.size(), arena.Stats().asked_bytes);
  return true;
}

int main() {
  granary::Arena arena({.max_block_bytes = 256 << 10, .name = "query"});
  for (int query = 0; query < 3; ++query) {
    if (!RunQuery(arena)) return 1;
    arena.Reset();  // Takes everything back and keeps the memory for the next query.
  }
  return 0;
}
