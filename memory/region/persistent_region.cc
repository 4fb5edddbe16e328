#include "memory/region/persistent_region.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

namespace granary {

namespace {

std::string LogPath(const std::string& path, uint64_t epoch) {
  return path + ".log." + std::to_string(epoch);
}

Expected<File> TakeLock(const std::string& path, FileCalls& calls) {
  auto lock = File::Open(path + ".lock", O_RDWR | O_CREAT, 0644, calls);
  if (!lock) return lock;
  if (auto locked = lock->Lock(/*is_exclusive=*/true); !locked) {
    return tl::unexpected(std::move(locked.error()));
  }
  return lock;
}

// A number that no other region has.
uint64_t NewIdentity() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// A log, and then the snapshot that it follows: when the snapshot has its name, both are there.
struct Pair {
  RegionLog log;
  uint64_t snapshot_bytes;
};
// `is_unknown` becomes true if after an error the snapshot may be the new one.
Expected<Pair> WritePair(const std::string& path, const RegionAllocator& region,
                         SnapshotLabel label, FileCalls& calls, bool& is_unknown) {
  const EncodedSnapshot snapshot = EncodeSnapshot(region.Image(), label);
  const std::string log_path = LogPath(path, label.epoch);
  auto log =
      RegionLog::Create(log_path, {.snapshot = label, .snapshot_checksum = snapshot.checksum},
                        region.options().grain, calls);
  if (log) {
    if (auto written = region::WriteNewSnapshot(snapshot, path, calls); !written) {
      log = tl::unexpected(std::move(written.error()));
    }
  }
  if (!log) {
    (void)calls.Unlink(log_path.c_str());
    return tl::unexpected(std::move(log.error()));
  }
  if (auto renamed = region::RenameNewSnapshot(path, calls); !renamed) {
    is_unknown = true;
    return tl::unexpected(std::move(renamed.error()));
  }
  return Pair{.log = std::move(*log), .snapshot_bytes = snapshot.bytes.size()};
}

}  // namespace

// --- On the disk --------------------------------------------------------------------------------

Expected<PersistentRegion> PersistentRegion::Create(const std::string& path, uint64_t size,
                                                    const RegionOptions& options, FileCalls& calls,
                                                    SystemCalls& system_calls) {
  auto region = RegionAllocator::Create(size, options, system_calls);
  if (!region) return tl::unexpected(std::move(region.error()));
  auto lock = TakeLock(path, calls);
  if (!lock) return tl::unexpected(std::move(lock.error()));
  const auto there = File::Open(path, O_RDONLY, 0, calls);
  if (there || there.error().system_errno != ENOENT) {
    return tl::unexpected(!there ? there.error()
                                 : Error{.code = ErrorCode::kInvalidArgument,
                                         .message = path + ": there is a region already",
                                         .where = "PersistentRegion::Create"});
  }
  const SnapshotLabel label = {.identity = NewIdentity(), .epoch = 1};
  bool is_unknown = false;
  auto pair = WritePair(path, *region, label, calls, is_unknown);
  if (!pair) return tl::unexpected(std::move(pair.error()));
  PersistentRegion created(path, std::move(*lock), std::move(*region), std::move(pair->log), label,
                           pair->snapshot_bytes, calls);
  created.recovery_.epoch = label.epoch;
  return created;
}

Expected<PersistentRegion> PersistentRegion::Open(const std::string& path, FileCalls& calls,
                                                  SystemCalls& system_calls) {
  auto lock = TakeLock(path, calls);
  if (!lock) return tl::unexpected(std::move(lock.error()));
  auto loaded = LoadSnapshot(path, calls, system_calls);
  if (!loaded) return tl::unexpected(std::move(loaded.error()));
  const RegionLogLabel label = {.snapshot = loaded->label, .snapshot_checksum = loaded->checksum};
  const uint64_t epoch = loaded->label.epoch;
  const std::string log_path = LogPath(path, epoch);
  auto replay = ReplayRegionLog(log_path, label, std::move(loaded->region), calls);
  if (!replay) return tl::unexpected(std::move(replay.error()));
  // Both files, their names, and that they are what goes on, are on the disk before anything is
  // appended.
  auto log = RegionLog::Continue(log_path, label, replay->region.options().grain,
                                 replay->good_bytes, replay->changes, calls);
  if (!log) return tl::unexpected(std::move(log.error()));
  // What a crash in a checkpoint may have left.
  (void)calls.Unlink((path + ".new").c_str());
  for (uint64_t near = epoch - std::min<uint64_t>(epoch, 2); near <= epoch + 2; ++near) {
    if (near != epoch) (void)calls.Unlink(LogPath(path, near).c_str());
  }
  PersistentRegion region(path, std::move(*lock), std::move(replay->region), std::move(*log),
                          label.snapshot, loaded->bytes, calls);
  region.recovery_ = {.epoch = epoch,
                      .changes = replay->changes,
                      .torn_bytes = replay->bytes - replay->good_bytes,
                      .torn = std::move(replay->torn)};
  return region;
}

Expected<void> PersistentRegion::Sync() {
  if (last_epoch_ != label_.epoch) {
    return tl::unexpected(Error{.code = ErrorCode::kIo,
                                .message = path_ +
                                           ": a checkpoint failed, and whether its snapshot is on "
                                           "the disk is not known",
                                .where = "PersistentRegion::Sync"});
  }
  return log_.Sync();
}

Expected<void> PersistentRegion::Checkpoint() {
  // Not the number of a snapshot that may be there with other contents.
  const SnapshotLabel label = {.identity = label_.identity, .epoch = last_epoch_ + 1};
  bool is_unknown = false;
  auto pair = WritePair(path_, region_, label, *calls_, is_unknown);
  if (!pair) {
    if (is_unknown) {
      last_epoch_ = label.epoch;
      log_.GiveUp();
    }
    return tl::unexpected(std::move(pair.error()));
  }
  for (uint64_t old = label_.epoch; old < label.epoch; ++old) {
    (void)calls_->Unlink(LogPath(path_, old).c_str());
  }
  log_ = std::move(pair->log);
  label_ = label;
  last_epoch_ = label.epoch;
  snapshot_bytes_ = pair->snapshot_bytes;
  return {};
}

// --- Changes ------------------------------------------------------------------------------------

OptionalRange PersistentRegion::Allocate(uint64_t bytes, uint64_t alignment, Fit fit) {
  log_.MakeRoom();
  const auto range = region_.Allocate(bytes, alignment, fit);
  if (range) Changed(RegionChange::Kind::kAllocate, *range);
  return range;
}

bool PersistentRegion::Reserve(Range range) {
  log_.MakeRoom();
  if (!region_.Reserve(range)) return false;
  Changed(RegionChange::Kind::kAllocate, range);
  return true;
}

FreeStatus PersistentRegion::Free(Range range) {
  log_.MakeRoom();
  const FreeStatus status = region_.Free(range);
  if (status == FreeStatus::kOk && range.size != 0) Changed(RegionChange::Kind::kFree, range);
  return status;
}

FreeStatus PersistentRegion::FreeAt(uint64_t offset) {
  // A region that does not track says why not.
  const auto live = region_.LiveAt(offset);
  return live ? Free(*live) : region_.FreeAt(offset);
}

FreeStatus PersistentRegion::FreeDeferred(Range range, uint64_t epoch) {
  log_.MakeRoom();
  const FreeStatus status = region_.FreeDeferred(range, epoch);
  if (status == FreeStatus::kOk && range.size != 0) {
    Changed(RegionChange::Kind::kFreeDeferred, range, epoch);
  }
  return status;
}

uint64_t PersistentRegion::ReleaseUpTo(uint64_t epoch) {
  log_.MakeRoom();
  const uint64_t released = region_.ReleaseUpTo(epoch);
  if (released != 0) Changed(RegionChange::Kind::kReleaseUpTo, {}, epoch);
  return released;
}

OptionalRange PersistentRegion::Resize(Range range, uint64_t bytes, Grow grow) {
  log_.MakeRoom();
  const auto resized = region_.Resize(range, bytes, grow);
  if (resized) {
    Changed(grow == Grow::kForward ? RegionChange::Kind::kResizeForward
                                   : RegionChange::Kind::kResizeBackward,
            range, bytes);
  }
  return resized;
}

Expected<void> PersistentRegion::Extend(uint64_t new_size) {
  log_.MakeRoom();
  auto extended = region_.Extend(new_size);
  if (extended) Changed(RegionChange::Kind::kExtend, {}, new_size);
  return extended;
}

bool PersistentRegion::Truncate(uint64_t new_size) {
  log_.MakeRoom();
  if (!region_.Truncate(new_size)) return false;
  Changed(RegionChange::Kind::kTruncate, {}, new_size);
  return true;
}

uint64_t PersistentRegion::TrimTail() {
  log_.MakeRoom();
  const uint64_t trimmed = region_.TrimTail();
  if (trimmed != 0) Changed(RegionChange::Kind::kTruncate, {}, region_.size_bytes());
  return trimmed;
}

}  // namespace granary
