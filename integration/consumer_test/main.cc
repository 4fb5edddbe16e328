// What a project sees of granary: the headers by their paths, the library by one label.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory_resource>
#include <numeric>
#include <string_view>
#include <vector>

#include "arena/arena.h"
#include "arena/arena_scope.h"
#include "integration/engine_memory.h"
#include "integration/query_scope.h"
#include "memory/system_memory.h"

namespace {

// Rows in a standard container, their text beside them, all of it gone with the arena's reset.
size_t CountLetters(granary::Arena& arena, int rows) {
  std::pmr::vector<std::string_view> texts(&arena);
  for (int i = 0; i < rows; ++i) texts.push_back(arena.Copy("granary"));
  size_t letters = 0;
  for (const std::string_view text : texts) letters += text.size();
  return letters;
}

// A query under a limit, with rows on its arena.
uint64_t SumOfIds(granary::EngineMemory& memory, uint64_t rows) {
  granary::QueryScope query(memory, {.id = 17, .limit_bytes = size_t{1} << 20});
  std::pmr::vector<uint64_t> ids(rows, &query.arena());
  std::iota(ids.begin(), ids.end(), uint64_t{1});
  return std::accumulate(ids.begin(), ids.end(), uint64_t{0});
}

}  // namespace

int main() {
  granary::Arena arena({.retention = granary::Retention::KeepAll(), .name = "consumer"});
  size_t letters = 0;
  for (int query = 0; query < 3; ++query) {
    letters += CountLetters(arena, 1000);
    const granary::ArenaScope scope(arena);
    letters += CountLetters(arena, 10);
  }
  arena.Reset();

  const auto memory = granary::SystemMemory::Reserve({.reserve_bytes = size_t{1} << 30});
  if (!memory) {
    std::fprintf(stderr, "%s\n", memory.error().message.c_str());
    return 1;
  }

  const auto engine = granary::EngineMemory::Create({.limit_bytes = size_t{64} << 20});
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().message.c_str());
    return 1;
  }
  const uint64_t sum = SumOfIds(**engine, 1000);

  std::printf("%zu letters, %zu bytes in use after the reset, %zu bytes reserved\n", letters,
              arena.Stats().asked_bytes, memory->size_bytes());
  std::printf("the ids' sum is %llu, %zu bytes left of the query\n",
              static_cast<unsigned long long>(sum),
              (*engine)->queries_budget().Stats().taken_bytes);
  return 0;
}
