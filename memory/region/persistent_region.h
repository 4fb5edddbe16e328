// PersistentRegion: a RegionAllocator whose changes survive a crash.
//
//   auto region = granary::PersistentRegion::Open("data/extents");   // or Create
//   const OptionalRange extent = region->Allocate(65536);
//   ... write the extent, sync it ...
//   if (auto synced = region->Sync(); !synced) ...   // From here on it is allocated for ever.
//
// It has a snapshot, at `path`, and a log of the changes since, at `path`.log.<epoch>. Sync appends
// to the log; Checkpoint makes a new snapshot with a log of its own. Whenever the power goes or the
// process dies, Open finds the state of a moment at which a Sync or Checkpoint was called: that of
// the last one that returned, or of one that did not. What happened between two calls of Sync comes
// back whole or not at all.
//
// Changes are in memory; none waits for a disk, or fails because of one. Sync says whether they are
// on it. After an error of the disk the region goes on in memory, and Checkpoint, when it succeeds,
// puts all of it on the disk again.
//
// What is freed may be handed out at once, though a crash may bring back a state in which it was
// not free. A caller whose data of that state must still be there frees with FreeDeferred, and
// calls ReleaseUpTo with the epochs of what has been synced. What is pending is pending after Open
// as well: with nobody left who reads it, the caller releases it.
//
// Costs. As RegionAllocator, and some tens of nanoseconds and about ten bytes a change until the
// next Sync. A Sync is one write and one fdatasync. A Checkpoint holds the region up for as long as
// SaveSnapshot takes; Open is LoadSnapshot, and a change's own cost for each in the log.
//
// Threading. One thread at a time; one process, which `path`.lock sees to.
#ifndef GRANARY_MEMORY_REGION_PERSISTENT_REGION_H_
#define GRANARY_MEMORY_REGION_PERSISTENT_REGION_H_

#include <cstdint>
#include <string>

#include "memory/error.h"
#include "memory/file.h"
#include "memory/file_calls.h"
#include "memory/region/region_allocator.h"
#include "memory/region/region_log.h"
#include "memory/region/region_snapshot.h"
#include "memory/system_calls.h"

namespace granary {

class PersistentRegion {
 public:
  using Grow = RegionAllocator::Grow;

  // What Open found.
  struct Recovery {
    uint64_t epoch = 0;
    uint64_t changes = 0;
    // Bytes at the log's end that were no whole group, and why not; 0 after all but a crash.
    uint64_t torn_bytes = 0;
    std::string torn;
  };

  // A region where there is none: all of it free, and on the disk. kInvalidArgument if there is
  // one, or as RegionAllocator::Create; kBusy if somebody else has it open. The calls outlive it.
  static Expected<PersistentRegion> Create(const std::string& path, uint64_t size,
                                           const RegionOptions& options = {},
                                           FileCalls& calls = FileCalls::Real(),
                                           SystemCalls& system_calls = SystemCalls::Real());
  // The region that is there. kIo if a file is missing or cannot be read, kCorrupt as LoadSnapshot
  // and ReplayRegionLog, kBusy if somebody else has it open.
  static Expected<PersistentRegion> Open(const std::string& path,
                                         FileCalls& calls = FileCalls::Real(),
                                         SystemCalls& system_calls = SystemCalls::Real());

  // --- On the disk ------------------------------------------------------------------------------
  // These, Create and Open may throw std::bad_alloc; nothing has changed then.

  // Returns when all changes are on the disk. After kIo they may be or not; see above.
  Expected<void> Sync();
  // The same, with a new snapshot and an empty log. After an error the old ones go on, unless
  // nobody knows which are on the disk: then Sync fails until a Checkpoint succeeds.
  Expected<void> Checkpoint();
  // The log's size, when everything is synced: a caller may want a Checkpoint when it is that of a
  // snapshot.
  uint64_t log_bytes() const noexcept { return log_.bytes(); }
  uint64_t snapshot_bytes() const noexcept { return snapshot_bytes_; }
  uint64_t epoch() const noexcept { return label_.epoch; }
  uint64_t unsynced_changes() const noexcept { return log_.changes() - log_.synced_changes(); }
  const Recovery& recovery() const noexcept { return recovery_; }

  // --- Changes ----------------------------------------------------------------------------------
  // As RegionAllocator's of the same names. May throw std::bad_alloc before anything has changed.

  [[nodiscard]] OptionalRange Allocate(uint64_t bytes, uint64_t alignment = 1) {
    return Allocate(bytes, alignment, region_.options().fit);
  }
  [[nodiscard]] OptionalRange Allocate(uint64_t bytes, uint64_t alignment, Fit fit);
  [[nodiscard]] bool Reserve(Range range);
  FreeStatus Free(Range range);
  FreeStatus FreeAt(uint64_t offset);
  FreeStatus FreeDeferred(Range range, uint64_t epoch);
  uint64_t ReleaseUpTo(uint64_t epoch);
  OptionalRange Resize(Range range, uint64_t bytes, Grow grow = Grow::kForward);
  Expected<void> Extend(uint64_t new_size);
  [[nodiscard]] bool Truncate(uint64_t new_size);
  uint64_t TrimTail();

  // For questions.
  const RegionAllocator& region() const noexcept { return region_; }
  uint64_t size_bytes() const noexcept { return region_.size_bytes(); }

 private:
  PersistentRegion(std::string path, File lock, RegionAllocator region, RegionLog log,
                   SnapshotLabel label, uint64_t snapshot_bytes, FileCalls& calls)
      : path_(std::move(path)),
        lock_(std::move(lock)),
        region_(std::move(region)),
        log_(std::move(log)),
        label_(label),
        last_epoch_(label.epoch),
        snapshot_bytes_(snapshot_bytes),
        calls_(&calls) {}

  void Changed(RegionChange::Kind kind, Range range, uint64_t number = 0) {
    log_.Append({.kind = kind, .range = range, .number = number});
  }

  std::string path_;
  File lock_;
  RegionAllocator region_;
  RegionLog log_;
  // Of the snapshot that the log follows.
  SnapshotLabel label_;
  // Of the last snapshot that may be on the disk; above that of `label_` if nobody knows.
  uint64_t last_epoch_;
  uint64_t snapshot_bytes_;
  Recovery recovery_;
  FileCalls* calls_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_PERSISTENT_REGION_H_
