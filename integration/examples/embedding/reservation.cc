// Memory that another library takes, charged before it does.
#include <cstddef>
#include <string>

#include "integration/engine_memory.h"

namespace {

// Of another library, which has a malloc of its own.
std::string Compress(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == 0 || text[i] != text[i - 1]) out += text[i];
  }
  out.shrink_to_fit();
  return out;
}

}  // namespace

// [sample]
granary::Expected<std::string> CompressCharged(granary::MemoryBudget& budget,
                                               const std::string& text) {
  auto reserved = budget.Reserve(2 * text.size());  // The most that it could take.
  if (!reserved) return tl::unexpected(reserved.error());
  std::string out = Compress(text);
  // The caller's, who releases it one day. What is not taken goes back with `reserved`.
  reserved->Take(out.capacity());
  return out;
}
// [/sample]

int main() {
  granary::EngineMemory memory({.limit_bytes = size_t{4} << 20});
  granary::MemoryBudget codec(memory.budget(), {.name = "codec"});
  const auto out = CompressCharged(codec, std::string(100'000, 'x') + "yz");
  if (!out || *out != "xyz") return 1;
  if (codec.Stats().taken_bytes != out->capacity()) return 2;
  codec.Release(out->capacity());

  const auto refused = CompressCharged(codec, std::string(size_t{3} << 20, 'x'));
  if (refused || refused.error().code != granary::ErrorCode::kOutOfMemory) return 3;
  return memory.budget().Stats().taken_bytes == 0 ? 0 : 4;
}
