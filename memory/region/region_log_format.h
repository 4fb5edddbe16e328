// The bytes of a region log: docs/region_snapshot.md. Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_REGION_LOG_FORMAT_H_
#define GRANARY_MEMORY_REGION_REGION_LOG_FORMAT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/crc32c.h"
#include "memory/little_endian.h"
#include "memory/region/region_log.h"
#include "memory/region/region_snapshot_format.h"

namespace granary::region {

inline constexpr uint64_t kLogMagic = 0x474c474552415247;  // "GRAREGLG"
inline constexpr uint32_t kLogVersion = 1;
// Magic, version and endian tag are where a snapshot has them.
inline constexpr size_t kLogIdentityAt = 16;
inline constexpr size_t kLogEpochAt = 24;
inline constexpr size_t kLogSnapshotChecksumAt = 32;
inline constexpr size_t kLogChecksumAt = 36;
inline constexpr size_t kLogHeaderBytes = 40;

inline constexpr uint32_t kGroupMagic = 0x50524752;  // "RGRP"
inline constexpr size_t kGroupChecksumAt = 4;
inline constexpr size_t kGroupBytesAt = 8;
inline constexpr size_t kGroupSequenceAt = 16;
inline constexpr size_t kGroupSyncedAt = 24;
inline constexpr size_t kGroupHeaderBytes = 32;

constexpr bool HasRange(RegionChange::Kind kind) noexcept {
  using Kind = RegionChange::Kind;
  return kind == Kind::kAllocate || kind == Kind::kFree || kind == Kind::kFreeDeferred ||
         kind == Kind::kResizeForward || kind == Kind::kResizeBackward;
}
constexpr bool HasNumber(RegionChange::Kind kind) noexcept {
  return kind != RegionChange::Kind::kAllocate && kind != RegionChange::Kind::kFree;
}

inline uint32_t LogHeaderChecksum(const std::array<std::byte, kLogHeaderBytes>& header) noexcept {
  return GetFixed<uint32_t>(header.data() + kLogChecksumAt);
}

inline std::array<std::byte, kLogHeaderBytes> LogHeader(const RegionLogLabel& label) noexcept {
  std::array<std::byte, kLogHeaderBytes> header = {};
  PutFixed(header.data() + kMagicAt, kLogMagic);
  PutFixed(header.data() + kVersionAt, kLogVersion);
  PutFixed(header.data() + kEndianTagAt, kEndianTag);
  PutFixed(header.data() + kLogIdentityAt, label.snapshot.identity);
  PutFixed(header.data() + kLogEpochAt, label.snapshot.epoch);
  PutFixed(header.data() + kLogSnapshotChecksumAt, label.snapshot_checksum);
  PutFixed(header.data() + kLogChecksumAt, Crc32c(std::span(header).first(kLogChecksumAt)));
  return header;
}

// Of a group with its header: of all behind the checksum itself.
inline uint32_t GroupChecksum(std::span<const std::byte> group, uint32_t header_checksum) noexcept {
  return Crc32c(group.subspan(kGroupBytesAt), header_checksum);
}

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_REGION_LOG_FORMAT_H_
