// Region snapshots: a RegionAllocator in a file that it can be read back from.
//
//   auto saved = granary::SaveSnapshot(region, "extents.region", {.identity = id, .epoch = 7});
//   ...
//   auto loaded = granary::LoadSnapshot("extents.region");
//   if (!loaded) ... loaded.error().message ...
//   loaded->region.Allocate(...);
//
// What comes back gives the same offsets as the region that was saved, in every mode and for ever:
// besides the free ranges the image has the order of those of one size. What is pending stays
// pending, with its epoch: whoever knows after a restart that nobody reads it any more calls
// ReleaseUpTo. In tracked mode the live ranges are kept, as their bounds are state. The counts of
// RegionStats come back as well.
//
// The format has a version, and a checksum for each 4 KiB and for all; docs/region_snapshot.md has
// it byte for byte. Whatever is not exactly an image is refused with what is wrong and where, and
// there is one image only of a state: bytes that decode are the ones that it is encoded to.
//
// When not: for changes that must not be lost between two snapshots; PersistentRegion has a log.
//
// Costs. O(F + P + L) in the free, pending and live ranges: two to four bytes each in common, a
// few tens of nanoseconds; loading builds the trees from below, without a search. Saving and
// loading hold some 60 bytes a range for the time that it takes, and may throw std::bad_alloc
// before anything has changed.
//
// Threading. One thread at a time for a region; a file is written by one at a time.
#ifndef GRANARY_MEMORY_REGION_REGION_SNAPSHOT_H_
#define GRANARY_MEMORY_REGION_REGION_SNAPSHOT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "memory/error.h"
#include "memory/file_calls.h"
#include "memory/region/region_allocator.h"
#include "memory/region/region_image.h"
#include "memory/system_calls.h"

namespace granary {

// Which snapshot it is. Both numbers are the caller's; nothing here looks at them.
struct SnapshotLabel {
  // Of the region, the same for all of its snapshots.
  uint64_t identity = 0;
  // How many there were before it.
  uint64_t epoch = 0;

  friend bool operator==(const SnapshotLabel&, const SnapshotLabel&) = default;
};

// A snapshot in memory.
struct EncodedSnapshot {
  std::vector<std::byte> bytes;
  // Of what is in it: what a log names to say that it follows this snapshot.
  uint32_t checksum = 0;
};
// `image` is one that RegionAllocator::Image has made.
EncodedSnapshot EncodeSnapshot(const RegionImage& image, SnapshotLabel label);

struct DecodedSnapshot {
  RegionImage image;
  SnapshotLabel label;
  uint32_t checksum = 0;
};
// kCorrupt for what is no snapshot or a damaged one, kUnsupported for a version that is not known.
Expected<DecodedSnapshot> DecodeSnapshot(std::span<const std::byte> bytes);

struct SavedSnapshot {
  uint64_t bytes = 0;
  uint32_t checksum = 0;
};
// Writes it to `path`.new, syncs that, renames it and syncs the folder: whenever the power goes,
// `path` has the snapshot that it had, or this one. After an error it has one of them: the old one
// unless the folder's sync failed.
Expected<SavedSnapshot> SaveSnapshot(const RegionAllocator& region, const std::string& path,
                                     SnapshotLabel label, FileCalls& calls = FileCalls::Real());
// The same for one that is encoded already.
Expected<SavedSnapshot> SaveSnapshot(const EncodedSnapshot& snapshot, const std::string& path,
                                     FileCalls& calls = FileCalls::Real());

struct LoadedSnapshot {
  RegionAllocator region;
  SnapshotLabel label;
  uint32_t checksum = 0;
  uint64_t bytes = 0;
};
// kIo if it cannot be read, kCorrupt or kUnsupported as DecodeSnapshot, kOutOfMemory as
// RegionAllocator::Create. `system_calls` outlives the region.
Expected<LoadedSnapshot> LoadSnapshot(const std::string& path, FileCalls& calls = FileCalls::Real(),
                                      SystemCalls& system_calls = SystemCalls::Real());

namespace region {

// The two steps of SaveSnapshot. After an error of the first `path` is as it was, and its
// temporary file is gone; after one of the second it is the old snapshot or the new one.
Expected<void> WriteNewSnapshot(const EncodedSnapshot& snapshot, const std::string& path,
                                FileCalls& calls);
Expected<void> RenameNewSnapshot(const std::string& path, FileCalls& calls);

}  // namespace region

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_REGION_SNAPSHOT_H_
