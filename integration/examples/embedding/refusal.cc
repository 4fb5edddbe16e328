// The limit as a value and as an exception, and who holds the memory.
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <string>
#include <vector>

#include "integration/engine_memory.h"
#include "integration/query_scope.h"

// [sample]
granary::Expected<void*> MakeRun(granary::QueryScope& query, size_t bytes) {
  void* const run = query.arena().TryAllocate(bytes, 64);
  if (run == nullptr) return tl::unexpected(query.Refusal(bytes));
  return run;
}
// [/sample]

// [sample]
bool Collect(granary::QueryScope& query, size_t row_count, std::string& answer) {
  try {
    std::pmr::vector<uint64_t> rows(&query.resource());
    for (size_t i = 0; i < row_count; ++i) rows.push_back(i);
    return true;
  } catch (const granary::BudgetExceeded& refusal) {
    std::pmr::string text("refused by ", &query.emergency_arena());
    text.append(refusal.scope_path());
    answer = text;
    return false;
  }
}
// [/sample]

int main() {
  granary::EngineMemory memory({.name = "mydb", .limit_bytes = size_t{64} << 20});
  granary::QueryScope query(memory, {.id = 17, .limit_bytes = size_t{8} << 20});
  granary::OperatorScope sort(query, {.name = "sort"});
  if (!MakeRun(query, size_t{2} << 20)) return 1;
  if (sort.arena().TryAllocate(size_t{5} << 20, 64) == nullptr) return 2;

  const auto refused = MakeRun(query, size_t{4} << 20);
  if (refused || refused.error().code != granary::ErrorCode::kOutOfMemory) return 3;
  const std::string& message = refused.error().message;
  if (message.find("mydb/queries/query 17 asked for 4194304 bytes") != 0) return 4;
  if (message.find("of 8388608 bytes taken, by sort ") == std::string::npos) return 5;

  std::string answer;
  if (!Collect(query, 1000, answer)) return 6;
  if (Collect(query, size_t{1} << 20, answer)) return 7;
  return answer == "refused by mydb/queries/query 17" ? 0 : 8;
}
