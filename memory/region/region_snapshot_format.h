// The numbers of docs/region_snapshot.md. Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_REGION_SNAPSHOT_FORMAT_H_
#define GRANARY_MEMORY_REGION_REGION_SNAPSHOT_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace granary::region {

// Of both kinds of files: written as a number, and read as another where bytes are in other order.
inline constexpr uint32_t kEndianTag = 0x01020304;

inline constexpr uint64_t kSnapshotMagic = 0x4e53474552415247;  // "GRAREGSN"
inline constexpr uint32_t kSnapshotVersion = 1;

// Where in the header a field is.
inline constexpr size_t kMagicAt = 0;
inline constexpr size_t kVersionAt = 8;
inline constexpr size_t kEndianTagAt = 12;
inline constexpr size_t kFileBytesAt = 16;
inline constexpr size_t kIdentityAt = 24;
inline constexpr size_t kEpochAt = 32;
inline constexpr size_t kGrainAt = 40;
inline constexpr size_t kSizeAt = 48;
inline constexpr size_t kMaxRangesAt = 56;
inline constexpr size_t kFitAt = 64;
inline constexpr size_t kFlagsAt = 65;
inline constexpr size_t kReservedAt = 66;
inline constexpr size_t kPeakUsedAt = 72;
inline constexpr size_t kHighWaterAt = 80;
inline constexpr size_t kFailuresAt = 88;
inline constexpr size_t kFailedBytesAt = 96;
inline constexpr size_t kFreeCountAt = 104;
inline constexpr size_t kFreeBytesAt = 112;
inline constexpr size_t kBinOrderBytesAt = 120;
inline constexpr size_t kPendingCountAt = 128;
inline constexpr size_t kPendingBytesAt = 136;
inline constexpr size_t kLiveCountAt = 144;
inline constexpr size_t kLiveBytesAt = 152;
inline constexpr size_t kSnapshotHeaderBytes = 160;

inline constexpr uint8_t kTracksUsedFlag = 1;
inline constexpr uint8_t kLowestAmongEqualsFlag = 2;

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_REGION_SNAPSHOT_FORMAT_H_
