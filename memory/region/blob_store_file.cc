// What a BlobStore in a file does: it is opened, makes checkpoints, and shrinks.
#include <algorithm>
#include <new>
#include <utility>

#include "memory/region/blob_backing.h"
#include "memory/region/blob_catalog.h"
#include "memory/region/blob_directory.h"
#include "memory/region/blob_file.h"
#include "memory/region/blob_loading.h"
#include "memory/region/blob_space.h"
#include "memory/region/blob_store.h"

namespace granary {

// --- Opening ------------------------------------------------------------------------------------

Expected<void> BlobStore::LoadFile() {
  const blob::Header& header = file_->header();
  checkpoint_ = header.checkpoint;
  if (auto loaded = blob::LoadCheckpoint(header, *backing_, *directory_, *catalog_); !loaded) {
    return loaded;
  }
  // What nothing refers to may be what a reader of an older checkpoint reads: that there is one the
  // pins tell, and then all of it waits until there is none.
  uint64_t used_end = 0;
  const auto retire = [&](uint64_t end) -> Expected<void> {
    if (end == used_end) return {};
    return space_->Retire({used_end, end - used_end}, checkpoint_);
  };
  for (const blob::Extent& extent : catalog_->extents().tree()) {
    if (extent.bytes == 0) continue;
    if (auto done = retire(extent.offset); !done) return done;
    used_end = catalog_->extents().RangeOf(extent).end();
  }
  if (auto done = retire(header.region_bytes); !done) return done;
  ReleaseRetired();
  return {};
}

void BlobStore::ReleaseRetired() {
  if (pins_ == nullptr || space_->region().Stats().pending_bytes == 0) return;
  (void)space_->Release(pins_->ReleasableUpTo(checkpoint_));
}

// --- Checkpoints --------------------------------------------------------------------------------

tl::unexpected<Error> BlobStore::Poison(Error error) {
  error.message += "; nothing can be changed until it is opened again";
  poison_ = std::move(error);
  return tl::unexpected(*poison_);
}

Expected<uint64_t> BlobStore::Checkpoint() {
  if (file_ == nullptr) {
    return tl::unexpected(Error{.code = ErrorCode::kUnsupported,
                                .message = catalog_->name() + " has no checkpoints",
                                .where = "BlobStore::Checkpoint"});
  }
  if (auto usable = RefuseIfPoisoned(); !usable) return tl::unexpected(std::move(usable.error()));
  if (!directory_->is_dirty()) {
    ReleaseRetired();
    return checkpoint_;
  }
  blob::BlobTable& table = catalog_->table();
  const auto written = directory_->Write(table, catalog_->extents(), *space_, *backing_, node_fit_);
  if (!written) return tl::unexpected(written.error());
  // The header is written when all that it refers to is on the disk.
  if (auto done = file_->file().Sync(); !done) return Poison(std::move(done.error()));
  const blob::Header header = {.checkpoint = checkpoint_ + 1,
                               .grain = catalog_->extents().grain(),
                               .region_bytes = space_->region().size_bytes(),
                               .used_bytes = written->used_bytes,
                               .blobs = table.blobs(),
                               .blob_bytes = table.blob_bytes(),
                               .slots = table.slots(),
                               .root = written->root};
  if (auto done = file_->WriteHeader(header); !done) return Poison(std::move(done.error()));
  if (auto done = file_->file().Sync(); !done) return Poison(std::move(done.error()));
  ++checkpoint_;
  directory_->Commit(table, catalog_->extents(), *space_, checkpoint_);
  node_fit_ = Fit::kBest;
  ReleaseRetired();
  return checkpoint_;
}

// --- Shrinking ----------------------------------------------------------------------------------

struct BlobStore::Step {
  // What is free above `wall` is hidden, so that only what is below can be found.
  uint64_t wall;
  std::vector<Range> hidden;
  ShrinkReport report;
};

Expected<ShrinkReport> BlobStore::Shrink(uint64_t budget_bytes) {
  // So many blobs that fit nowhere, one below the other, end a step; and so many that move.
  constexpr size_t kStuckMax = 512;
  constexpr size_t kMovesMax = 4096;
  if (auto usable = RefuseIfPoisoned(); !usable) return tl::unexpected(std::move(usable.error()));
  ReleaseRetired();
  Step step = {.wall = 0, .hidden = {}, .report = {}};
  const auto truncated = space_->TruncateTail();
  if (!truncated) return tl::unexpected(truncated.error());
  step.report.truncated_bytes = *truncated;
  step.wall = space_->region().size_bytes();

  blob::Extents& extents = catalog_->extents();
  Expected<bool> moved = false;
  size_t stuck = 0;
  size_t moves = 0;
  for (blob::Extent* at = extents.Last(); at != nullptr && at->bytes != 0;) {
    if (stuck == kStuckMax || moves == kMovesMax) break;
    if (moves != 0 && extents.RoundUp(at->bytes) > budget_bytes - step.report.moved_bytes) break;
    blob::Extent* const below = extents.Previous(*at);
    moved = MoveDown(*at, step);
    if (!moved) break;
    *moved ? ++moves : ++stuck;
    if (step.report.moved_bytes >= budget_bytes) break;
    at = below;
  }
  Unhide(step);
  if (!moved) return tl::unexpected(std::move(moved.error()));
  if (moves == 0 && file_ == nullptr) {
    step.report.is_done = true;
  } else if (file_ != nullptr) {
    step.report.needs_checkpoint = directory_->is_dirty();
    step.report.is_done = moves == 0 && !step.report.needs_checkpoint;
    if (step.report.needs_checkpoint) node_fit_ = Fit::kLowest;
  }
  // In memory what was moved away from is free now.
  if (file_ == nullptr && moves != 0) {
    if (const auto more = space_->TruncateTail()) step.report.truncated_bytes += *more;
  }
  return step.report;
}

// With room for one more than it hides.
Expected<void> BlobStore::Hide(uint64_t end, Step& step) {
  const size_t before = step.hidden.size();
  try {
    if (end < step.wall) {
      space_->region().ForEachFree({end, step.wall - end},
                                   [&](Range range) { step.hidden.push_back(range); });
    }
    step.hidden.emplace_back();
    step.hidden.pop_back();
  } catch (const std::bad_alloc&) {
    step.hidden.resize(before);
    return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                                .message = catalog_->name() + ": no memory for a step",
                                .where = "BlobStore::Shrink"});
  }
  for (size_t i = before; i < step.hidden.size(); ++i) {
    (void)space_->region().Reserve(step.hidden[i]);
  }
  return {};
}

void BlobStore::Unhide(Step& step) noexcept {
  for (const Range range : step.hidden) space_->FreeOrLose(range);
}

Expected<bool> BlobStore::MoveDown(blob::Extent& extent, Step& step) {
  const Range range = catalog_->extents().RangeOf(extent);
  if (auto hidden = Hide(range.end(), step); !hidden) {
    return tl::unexpected(std::move(hidden.error()));
  }
  step.wall = range.offset;
  if (extent.is_node) {
    auto& node = static_cast<blob::Node&>(extent);
    // Then the next checkpoint has it elsewhere anyway.
    if (node.is_dirty) return false;
    const auto place = space_->region().Allocate(range.size);
    if (!place) return false;
    directory_->Move(node, *place);
  } else {
    const auto place = space_->region().Allocate(range.size);
    if (!place) return false;
    auto& blob = static_cast<blob::Blob&>(extent);
    const bool is_hidden = !blob.is_checkpointed;
    auto moved = MoveBlobDown(blob, *place);
    if (!moved) {
      space_->FreeOrLose(*place);
      return moved;
    }
    // What is free above the wall stays hidden until the end of the step.
    if (is_hidden) step.hidden.push_back(range);
    ++step.report.moved_blobs;
  }
  step.report.moved_bytes += range.size;
  return true;
}

Expected<bool> BlobStore::MoveBlobDown(blob::Blob& blob, Range place) {
  if (const std::byte* const at = backing_->View(blob.offset)) {
    const std::span<const std::byte> bytes(at, static_cast<size_t>(blob.bytes));
    if (auto good = catalog_->Verify(blob, bytes); !good) {
      return tl::unexpected(std::move(good.error()));
    }
    if (auto done = backing_->Write(place.offset, bytes); !done) {
      return tl::unexpected(std::move(done.error()));
    }
  } else {
    const auto bytes = catalog_->LoadVerified(blob);
    if (!bytes) return tl::unexpected(bytes.error());
    if (auto done = backing_->Write(place.offset, *bytes); !done) {
      return tl::unexpected(std::move(done.error()));
    }
  }
  const Range old = catalog_->extents().RangeOf(blob);
  if (blob.is_checkpointed) {
    if (auto retired = space_->Retire(old, checkpoint_ + 1); !retired) {
      return tl::unexpected(std::move(retired.error()));
    }
  } else {
    backing_->Forget(old);
  }
  catalog_->extents().Erase(blob);
  blob.offset = place.offset;
  blob.is_checkpointed = 0;
  catalog_->extents().Insert(blob);
  Touch(blob);
  return true;
}

}  // namespace granary
