// Crc32c: the checksum of what granary stores.
//
// Castagnoli's polynomial, as iSCSI (RFC 3720), ext4 and every storage engine have it; ISA-L
// computes it with the processor's instructions, at several bytes a cycle.
#ifndef GRANARY_MEMORY_CRC32C_H_
#define GRANARY_MEMORY_CRC32C_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace granary {

// Of `bytes`, after what `before` is the checksum of: Crc32c(b, Crc32c(a)) is that of a and b
// together. Any thread.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t before = 0) noexcept;

}  // namespace granary

#endif  // GRANARY_MEMORY_CRC32C_H_
