// Sealed blocks: bytes in blocks of 4 KiB that carry their checksums. Internal to memory/region.
//
// Each block is 4092 bytes and their CRC-32C, which begins with the block's index in place of an
// earlier checksum, so that a block in another's place is found; the last may be shorter. Behind it
// stands the CRC-32C of the bytes alone. It cannot go over the blocks' own checksums as well: what
// a CRC is of bytes and their CRC does not depend on the bytes.
#ifndef GRANARY_MEMORY_REGION_SEALED_BLOCKS_H_
#define GRANARY_MEMORY_REGION_SEALED_BLOCKS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "memory/error.h"

namespace granary::region {

inline constexpr size_t kSealedBlockBytes = 4096;
inline constexpr size_t kSealedPayloadBytes = kSealedBlockBytes - sizeof(uint32_t);

// How many bytes `payload_bytes`, not 0, are when they are sealed.
constexpr uint64_t SealedBytes(uint64_t payload_bytes) noexcept {
  const uint64_t blocks = (payload_bytes + kSealedPayloadBytes - 1) / kSealedPayloadBytes;
  return payload_bytes + (blocks + 1) * sizeof(uint32_t);
}
// Where among the sealed bytes this one of the payload is.
constexpr uint64_t SealedOffset(uint64_t payload_offset) noexcept {
  return payload_offset + payload_offset / kSealedPayloadBytes * sizeof(uint32_t);
}

// May throw std::bad_alloc.
std::vector<std::byte> Seal(std::span<const std::byte> payload);

struct Unsealed {
  // So many zeros follow it.
  static constexpr size_t kPaddingBytes = 16;

  std::unique_ptr<std::byte[]> payload;
  size_t bytes = 0;
  // Of all of the payload.
  uint32_t checksum = 0;
};
// kCorrupt, with the block and its offset, where a checksum does not agree or bytes are missing.
// May throw std::bad_alloc.
Expected<Unsealed> Unseal(std::span<const std::byte> sealed);

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_SEALED_BLOCKS_H_
