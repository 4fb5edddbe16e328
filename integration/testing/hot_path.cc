// The beginning and the end of a scope that is not used, each as a function by itself, for the test
// that disassembles them.
#include <array>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <new>

#include "integration/query_scope.h"

using granary::EngineMemory;
using granary::QueryScope;

extern "C" {

void HotBeginScope(void* place, EngineMemory& engine) { ::new (place) QueryScope(engine); }
void HotEndScope(QueryScope* scope) { std::destroy_at(scope); }

}  // extern "C"

// Calls them through pointers, so that neither is inlined, and what is counted also works.
int main() {
  void (*volatile const begin)(void*, EngineMemory&) = HotBeginScope;
  void (*volatile const end)(QueryScope*) = HotEndScope;
  EngineMemory engine({.limit_bytes = size_t{16} << 20});
  alignas(QueryScope) std::array<std::byte, sizeof(QueryScope)> place;
  for (int i = 0; i < 20; ++i) {
    begin(place.data(), engine);
    end(std::launder(reinterpret_cast<QueryScope*>(place.data())));
  }
  const size_t bytes = engine.queries_budget().Stats().peak_bytes;
  std::printf("annotations off, %zu bytes taken\n", bytes);
  return bytes == 0 ? 0 : 1;
}
