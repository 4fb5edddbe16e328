// A query that is told to end.
#include <atomic>
#include <cstddef>
#include <string>
#include <thread>

#include "integration/engine_memory.h"
#include "integration/query_scope.h"

// [sample]
// Goes on until it is refused memory, and says why it was.
granary::Error Work(granary::QueryScope& query, std::atomic<bool>& has_begun) {
  constexpr size_t kRunBytes = 100'000;
  while (void* const run = query.resource().TryAllocate(kRunBytes, 64)) {
    has_begun = true;
    query.resource().deallocate(run, kRunBytes, 64);
  }
  return query.Refusal(kRunBytes);
}

// On any thread.
void Cancel(granary::QueryScope& query) {
  query.Abort({.code = granary::ErrorCode::kAborted, .message = "cancelled by its user"});
}
// [/sample]

int main() {
  granary::EngineMemory memory({.limit_bytes = size_t{64} << 20});
  granary::QueryScope query(memory, {.id = 17});
  granary::QueryScope other(memory, {.id = 18});
  std::atomic<bool> has_begun = false;
  std::thread user([&] {
    while (!has_begun) std::this_thread::yield();
    Cancel(query);
  });
  const granary::Error reason = Work(query, has_begun);
  user.join();
  if (reason.code != granary::ErrorCode::kAborted) return 1;
  if (reason.message != "cancelled by its user") return 2;
  return other.arena().TryAllocate(1000, 8) != nullptr ? 0 : 3;
}
