// Numbers in as few bytes as they need, seven bits a byte, the lowest first; a byte's highest bit
// says that another follows (LEB128). Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_VARINT_H_
#define GRANARY_MEMORY_REGION_VARINT_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace granary::region {

inline constexpr size_t kVarintBytesMax = 10;

// At `at`, where there is room for kVarintBytesMax; returns what is behind it.
inline std::byte* PutVarint(std::byte* at, uint64_t number) noexcept {
  while (number >= 0x80) {
    *at++ = static_cast<std::byte>(number | 0x80);
    number >>= 7;
  }
  *at++ = static_cast<std::byte>(number);
  return at;
}

// The number at `at`; returns what is behind it, or nullptr if there are more bytes than the number
// needs, or more bits than 64. kVarintBytesMax bytes can be read at `at`: the caller sees by what
// comes back whether the number reaches beyond his end.
inline const std::byte* GetVarint(const std::byte* at, uint64_t& number) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    const uint64_t last_bytes = ~word & 0x8080808080808080;
    if (last_bytes != 0) [[likely]] {
      // No branch on the length, which nobody can foresee: bits behind the first last byte go,
      // and the gaps between the sevens close from one byte to two, four and eight.
      const auto bytes = static_cast<unsigned>(std::countr_zero(last_bytes)) / 8 + 1;
      word &= (last_bytes ^ (last_bytes - 1)) & 0x7f7f7f7f7f7f7f7f;
      word = (word & 0x007f007f007f007f) | (word & 0x7f007f007f007f00) >> 1;
      word = (word & 0x00003fff00003fff) | (word & 0x3fff00003fff0000) >> 2;
      word = (word & 0x000000000fffffff) | (word & 0x0fffffff00000000) >> 4;
      number = word;
      const bool is_shortest = (word >> (7 * (bytes - 1))) != 0 || bytes == 1;
      return is_shortest ? at + bytes : nullptr;
    }
  }
  uint64_t value = 0;
  for (unsigned i = 0; i < kVarintBytesMax; ++i) {
    const auto byte = static_cast<uint64_t>(at[i]);
    if (i == kVarintBytesMax - 1 && byte > 1) return nullptr;
    value |= (byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    if (byte == 0 && i != 0) return nullptr;
    number = value;
    return at + i + 1;
  }
  return nullptr;
}

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_VARINT_H_
