// A scope for each worker, and what they made is the query's.
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "integration/engine_memory.h"
#include "integration/query_scope.h"

// [sample]
// What each of the workers has found; empty if it was refused the memory.
std::vector<std::string_view> Scan(granary::QueryScope& query, size_t workers) {
  std::vector<std::string_view> rows(workers);
  std::deque<granary::OperatorScope> scopes;  // They do not move.
  std::vector<std::thread> threads;
  for (size_t i = 0; i < workers; ++i) {
    granary::OperatorScope& scope =
        scopes.emplace_back(query, granary::ScopeOptions{.name = "scan", .id = i + 1});
    threads.emplace_back([&scope, &row = rows[i], i] {
      const std::string text = "found by worker " + std::to_string(i);
      if (const char* const copy = scope.arena().TryCopy(text)) row = {copy, text.size()};
      scope.arena().DisownThread();  // The next thread that uses it is the owner.
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < workers; ++i) {
    if (!scopes[i].Promote(query)) rows[i] = {};
  }
  return rows;
}
// [/sample]

int main() {
  granary::EngineMemory memory({.limit_bytes = size_t{64} << 20});
  {
    granary::QueryScope query(memory, {.id = 17});
    const auto rows = Scan(query, 4);
    if (rows.size() != 4) return 1;
    for (size_t i = 0; i < 4; ++i) {
      const std::string expected = "found by worker " + std::to_string(i);
      if (rows[i] != expected || !query.arena().Contains(rows[i].data())) return 2;
    }
  }
  return memory.pool().Stats().live_pages == 0 ? 0 : 3;
}
