// Region logs: the changes of a RegionAllocator since a snapshot of it, in a file.
//
// A log names the snapshot that it follows, and is of use with no other. Changes are in groups: a
// group is replayed whole or not at all. What was synced comes back; of what was not, some of the
// first groups may.
//
// PersistentRegion is this with a region and its snapshots; take that unless you have your own.
//
// Costs. A change is 3 to 12 bytes in common; a group 32 more. Sync is one write and one fdatasync
// for all that was appended since the last one.
//
// Threading. One thread at a time. docs/region_snapshot.md has the format byte for byte.
#ifndef GRANARY_MEMORY_REGION_REGION_LOG_H_
#define GRANARY_MEMORY_REGION_REGION_LOG_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "memory/error.h"
#include "memory/file.h"
#include "memory/file_calls.h"
#include "memory/region/region_allocator.h"
#include "memory/region/region_snapshot.h"

namespace granary {

// A call on a region that did what it should, with its result.
struct RegionChange {
  enum class Kind : uint8_t {
    kAllocate = 1,        // `range` was free, and is allocated: by Allocate, or Reserve.
    kFree = 2,            // `range`.
    kFreeDeferred = 3,    // `range`, until `number` is the epoch.
    kReleaseUpTo = 4,     // The epoch is `number`.
    kResizeForward = 5,   // `range` now has `number` bytes from its begin on.
    kResizeBackward = 6,  // The same, up to its end.
    kExtend = 7,          // The region has `number` bytes now.
    kTruncate = 8,        // The same.
  };
  Kind kind = Kind::kAllocate;
  Range range;
  uint64_t number = 0;
};

// Which log it is.
struct RegionLogLabel {
  SnapshotLabel snapshot;
  uint32_t snapshot_checksum = 0;
};

class RegionLog {
 public:
  // A log without changes: it and its name are on the disk. What was at `path` is gone. `grain` is
  // the region's.
  static Expected<RegionLog> Create(const std::string& path, const RegionLogLabel& label,
                                    uint64_t grain, FileCalls& calls = FileCalls::Real());
  // The log at `path`, to go on behind its first `bytes`, which are on the disk then; those behind
  // them are gone. So many changes are in them.
  static Expected<RegionLog> Continue(const std::string& path, const RegionLogLabel& label,
                                      uint64_t grain, uint64_t bytes, uint64_t changes,
                                      FileCalls& calls = FileCalls::Real());

  // Memory for one change, so that the next Append does not throw. May throw std::bad_alloc.
  void MakeRoom();
  // Into the group that is open; nothing is written.
  void Append(const RegionChange& change);
  // The next change begins another group.
  void EndGroup() noexcept;
  // Ends the group; returns when all changes are on the disk. After an error of the write it may be
  // called again. After one of the sync nobody knows what is on the disk: it says so from then on,
  // as after GiveUp.
  Expected<void> Sync();
  // Changes are counted from now on, and kept nowhere.
  void GiveUp() noexcept;

  // Changes that were appended, and those of them that are on the disk.
  uint64_t changes() const noexcept { return changes_; }
  uint64_t synced_changes() const noexcept { return synced_changes_; }
  // Of the file, when everything is synced.
  uint64_t bytes() const noexcept { return file_bytes_ + buffer_.size(); }
  const std::string& path() const noexcept { return file_.path(); }

 private:
  RegionLog(File file, const RegionLogLabel& label, uint64_t grain, uint64_t bytes,
            uint64_t changes);

  File file_;
  uint64_t grain_;
  // Of the header: every group's checksum begins with it, so that no other log's group is taken.
  uint32_t header_checksum_;
  uint64_t file_bytes_;
  uint64_t changes_;
  uint64_t synced_changes_;
  // Groups that are not written; the open one begins at `group_at_`, if it has begun.
  std::vector<std::byte> buffer_;
  size_t group_at_ = 0;
  uint64_t group_changes_ = 0;
  bool has_given_up_ = false;
};

struct RegionReplay {
  RegionAllocator region;
  uint64_t changes = 0;
  uint64_t groups = 0;
  // Where the last good group ends, and how many bytes there are.
  uint64_t good_bytes = 0;
  uint64_t bytes = 0;
  // Why it ends before the last byte; empty if it does not.
  std::string torn;
};

// `region`, which is that of the snapshot that the label names, with the changes of the log up to
// its first group that is not whole: a crash leaves such a tail. kCorrupt for a log of another
// snapshot, a damaged header, a group that is damaged though a later one says that it was synced,
// and changes that the region refuses. May throw std::bad_alloc.
Expected<RegionReplay> ReplayRegionLog(std::span<const std::byte> log, const RegionLogLabel& label,
                                       RegionAllocator region);
// The same from a file; kIo if it cannot be read.
Expected<RegionReplay> ReplayRegionLog(const std::string& path, const RegionLogLabel& label,
                                       RegionAllocator region,
                                       FileCalls& calls = FileCalls::Real());

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_REGION_LOG_H_
