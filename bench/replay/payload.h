// What a verified replay writes into an allocation: bytes that its id determines, so that a payload
// which somebody else has written to is found out, and so is one that did not move as it was.
#ifndef GRANARY_BENCH_REPLAY_PAYLOAD_H_
#define GRANARY_BENCH_REPLAY_PAYLOAD_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace granary::bench {

// The word at `index` of the payload of `id`.
inline uint64_t PayloadWord(uint32_t id, size_t index) {
  return (uint64_t{id} + 1) * 0x9e3779b97f4a7c15 + index * 0xd1b54a32d192ed03;
}

inline void FillPayload(std::byte* data, size_t bytes, uint32_t id) {
  for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
    const uint64_t word = PayloadWord(id, i / sizeof(uint64_t));
    std::memcpy(data + i, &word, std::min(sizeof(word), bytes - i));
  }
}

// The offset of the first word that is not as it was filled.
inline std::optional<size_t> FindDamage(const std::byte* data, size_t bytes, uint32_t id) {
  for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
    const uint64_t word = PayloadWord(id, i / sizeof(uint64_t));
    if (std::memcmp(data + i, &word, std::min(sizeof(word), bytes - i)) != 0) return i;
  }
  return std::nullopt;
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPLAY_PAYLOAD_H_
