#include "memory/crc32c.h"

#include <crc.h>

#include <algorithm>
#include <climits>

namespace granary {

uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t before) noexcept {
  // The library counts with int, and leaves the inversions that the standard asks for to us. It
  // reads only; its parameter is not const by an oversight.
  uint32_t crc = ~before;
  while (!bytes.empty()) {
    const size_t count = std::min<size_t>(bytes.size(), INT_MAX);
    auto* const data = const_cast<std::byte*>(bytes.data());
    crc = ::crc32_iscsi(reinterpret_cast<unsigned char*>(data), static_cast<int>(count), crc);
    bytes = bytes.subspan(count);
  }
  return ~crc;
}

}  // namespace granary
