// Queries wait for room until a deadline, and then have what they were promised.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include "integration/engine_memory.h"
#include "integration/query_scope.h"

namespace {

// The engine's: it returns errors and throws nothing.
granary::Expected<void> Execute(granary::EngineMemory& memory, uint64_t id, size_t limit_bytes) {
  granary::QueryScope query(memory, {.id = id, .limit_bytes = limit_bytes});
  if (query.arena().TryAllocate(limit_bytes / 2, 64) != nullptr) return {};
  return tl::unexpected(query.Refusal(limit_bytes / 2));
}

}  // namespace

// [sample]
granary::Expected<void> Run(granary::EngineMemory& memory, granary::MemoryBudget& admission,
                            uint64_t id, size_t estimate_bytes,
                            granary::MemoryBudget::Clock::time_point deadline) {
  granary::MemoryBudget ticket(admission, {.name = "query", .number = id});
  if (auto admitted = ticket.Charge(estimate_bytes, deadline); !admitted) return admitted;
  auto ended = Execute(memory, id, estimate_bytes);  // A QueryScope of that limit; no exception.
  ticket.Release(estimate_bytes);
  return ended;
}
// [/sample]

int main() {
  using std::chrono::milliseconds;
  constexpr size_t kMiB = size_t{1} << 20;
  granary::EngineMemory memory({.limit_bytes = 128 * kMiB});
  // A tree of its own: it counts promises and not memory.
  granary::MemoryBudget admission({.name = "admission", .hard_limit_bytes = 100 * kMiB});
  const auto in = [](milliseconds time) { return granary::MemoryBudget::Clock::now() + time; };
  granary::MemoryBudget first(admission, {.name = "query", .number = 1});
  if (!first.Charge(80 * kMiB, in(milliseconds(0)))) return 1;

  const auto late = Run(memory, admission, 2, 60 * kMiB, in(milliseconds(10)));
  if (late || late.error().code != granary::ErrorCode::kOutOfMemory) return 2;
  if (late.error().message.find("by query 1 83886080") == std::string::npos) return 3;
  if (late.error().message.find("nobody released enough in time") == std::string::npos) return 4;

  const uint64_t waits = admission.Stats().waits;
  bool is_done = false;
  std::thread second([&] {
    is_done = Run(memory, admission, 3, 60 * kMiB, in(milliseconds(100'000))).has_value();
  });
  while (admission.Stats().waits == waits) std::this_thread::yield();
  first.Release(80 * kMiB);
  second.join();
  return is_done && admission.Stats().taken_bytes == 0 ? 0 : 5;
}
