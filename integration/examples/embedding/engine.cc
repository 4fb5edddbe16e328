// One number, one object; and options that make no sense come back as an error.
#include <cstddef>
#include <memory>
#include <string>

#include "integration/engine_memory.h"

// [sample]
granary::Expected<std::unique_ptr<granary::EngineMemory>> OpenMemory(size_t limit_bytes) {
  return granary::EngineMemory::Create({
      .name = "mydb",
      .limit_bytes = limit_bytes,
      .soft_limit_bytes = limit_bytes / 10 * 9,
      .queries_limit_bytes = limit_bytes / 4 * 3,
  });
}
// [/sample]

int main() {
  const auto opened = OpenMemory(size_t{1} << 30);
  if (!opened) return 1;
  granary::MemoryResource& general = (*opened)->resource();
  void* const block = general.TryAllocate(1000, 16);
  if (block == nullptr) return 2;
  general.deallocate(block, 1000, 16);
  if (general.Stats().asked_bytes != 0) return 3;

  const auto refused = OpenMemory(1000);
  if (refused) return 4;
  return refused.error().message.find("at least 64 pages") != std::string::npos ? 0 : 5;
}
