// BlobStore: byte strings of any length, kept in a region of memory or of a file.
//
//   auto store = granary::BlobStore::OpenFile("values.blobs");
//   const BlobId id = *(*store)->Add(bytes);
//   (*store)->Checkpoint();                          // now it survives
//   std::vector<std::byte> again = *(*store)->Load(id);
//
// For values that are too large or too uneven for pages: each takes its length, rounded up to the
// grain, and its place is what a RegionAllocator's best fit finds. An empty blob takes no place.
//
// When not: for many writers at once, for a log (every change needs a Checkpoint to survive), for
// blobs of a few bytes (48 bytes of memory each, 24 in the file).
//
// Ids. A BlobId names its blob until this is removed, wherever Shrink moves it. The id of one that
// was removed is refused from then on (kInvalidArgument), also after the file is opened again; but
// an id that was given since the last checkpoint is lost with its blob in a crash, and given again.
// Where a blob is, AddressOf says.
//
// Views. View gives the bytes where they are: in memory, and in a file that is mapped. They stay
// until the next Replace, Remove or Discard of that blob, or Clear, ClearAndRetainHeader, or
// Shrink; what is added, and that the region grows, does not touch them. Of a file that is not
// mapped, blobs are loaded into a buffer.
//
// Files. Between checkpoints a file's store is like one in memory: changes are seen at once, and
// lost in a crash. Checkpoint() makes all of them last, or none: a process that is killed or a
// machine that loses power at whatever moment, inside Checkpoint too, leaves a file that opens as
// the last checkpoint that returned, or the one that was being made. What that stands on: a write
// that was synced stays; one that was not may be there, not there, or there in part, and the bytes
// beside it do not change.
//   No byte that the last checkpoint has is written before the next one is durable (blob_space.h).
// So a Replace writes to another place, and what is removed is free only after a checkpoint, and
// after the last reader of an older one has gone.
//   One writer has the file; a second one is refused (kBusy), also while a child that the writer
// forked still has it open. Readers beside it, in any process, are BlobReader's: each sees the
// checkpoint that was the newest when it was opened, unchanged, for as long as it likes.
//
// Errors. After an error of Add, Replace, Remove, Shrink or of a Checkpoint that cannot write (the
// disk is full, say) every blob is as it was before the call. After a failed sync nobody knows what
// is on the disk, and after a failed write of the header nobody knows which checkpoint is the last:
// then the store is poisoned. What it has can be loaded; every change is refused with that error;
// opening the file again gives the last checkpoint.
//
// Costs. Add, Replace, Remove: the allocator's O(log F), O(log n) for the order by address, the
// checksum (several bytes a cycle), and for a file one pwrite. Load: an array's element and one
// pread; View: an array's element, and the checksum unless verify_loads is off. Checkpoint: two
// syncs, and writes in proportion to what has changed since the last one, not to what is there
// (blob_directory.h). OpenFile: reads the directory, 24 bytes a blob, and sorts it by address.
// Shrink: what it moves.
//
// Threading. One thread at a time; loads and views may go on side by side.
//
// File format: docs/blob_file.md. Sources: names and behaviours after NatLabs' MemoryRegion
// (memory_region_behaviours_test.cc); the three states of space after WiredTiger's block manager;
// headers in turn as in LMDB and DuckDB.
#ifndef GRANARY_MEMORY_REGION_BLOB_STORE_H_
#define GRANARY_MEMORY_REGION_BLOB_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "memory/error.h"
#include "memory/region/blob_types.h"

namespace granary {

namespace blob {
struct Blob;
struct Extent;
struct Node;
class Backing;
class BlobFile;
class Catalog;
class Directory;
class ReaderPins;
class Space;
}  // namespace blob

class BlobStore final {
 public:
  // In memory that it reserves, and commits as it grows.
  static Expected<std::unique_ptr<BlobStore>> CreateInMemory(const BlobStoreOptions& options = {});
  // In memory that the caller has, and that outlives it; max_bytes is its size.
  static Expected<std::unique_ptr<BlobStore>> CreateOver(std::span<std::byte> memory,
                                                         const BlobStoreOptions& options = {});
  // In a file, as its last checkpoint left it. kBusy if another writer has it, kCorrupt, kIo,
  // kInvalidArgument if it is not there or is there and the mode says otherwise, kUnsupported for
  // another version of the format, kOutOfMemory if it has more than max_bytes or max_blobs.
  static Expected<std::unique_ptr<BlobStore>> OpenFile(const std::string& path,
                                                       const BlobFileOptions& options = {});

  BlobStore(const BlobStore&) = delete;
  BlobStore& operator=(const BlobStore&) = delete;
  // Makes no checkpoint.
  ~BlobStore();

  // --- Blobs
  // --------------------------------------------------------------------------------------

  // kOutOfMemory where it fits nowhere, kIo.
  Expected<BlobId> Add(std::span<const std::byte> bytes);

  // Other bytes by the same id. In memory at the same place if they fit there: a blob of the same
  // length stays where it is. `bytes` may be a view of this or another blob.
  Expected<void> Replace(BlobId id, std::span<const std::byte> bytes);

  // Takes the blob out, and returns its bytes. kCorrupt if they are not what was added: it is still
  // there then.
  Expected<std::vector<std::byte>> Remove(BlobId id);
  // The same without looking at the bytes.
  Expected<void> Discard(BlobId id);

  // All of them. After kOutOfMemory, for want of records of ranges, some may be left.
  Expected<void> Clear();
  // All but those that lie within the first `bytes` of the region, which stay as they are.
  // kInvalidArgument, and nothing has changed, if the region is smaller, or if a blob lies across
  // the end of them.
  Expected<void> ClearAndRetainHeader(uint64_t bytes);

  // --- Reading
  // ------------------------------------------------------------------------------------

  Expected<std::vector<std::byte>> Load(BlobId id) const;
  // Into the begin of `buffer`; returns how many bytes. kInvalidArgument if it is too small.
  Expected<size_t> LoadInto(BlobId id, std::span<std::byte> buffer) const;
  // The bytes where they are, see above; kUnsupported for a file that is not mapped.
  Expected<std::span<const std::byte>> View(BlobId id) const;
  bool Contains(BlobId id) const noexcept;
  // Its length.
  Expected<uint64_t> Size(BlobId id) const;
  // Where it is in the region, and its length; {0, 0} of an empty one.
  Expected<Range> AddressOf(BlobId id) const;
  // Calls `visit(id, address)` for all, by address; for empty ones first. It may not change the
  // store.
  void ForEach(const std::function<void(BlobId, Range)>& visit) const;
  // Calls `visit(Range)` for the free ranges of the region by address.
  void ForEachFree(const std::function<void(Range)>& visit) const;

  BlobStats Stats() const noexcept;

  // --- Files
  // --------------------------------------------------------------------------------------

  // Returns when all that is here is on the disk, with the checkpoint's number. Does nothing if
  // nothing has changed. kUnsupported in memory.
  Expected<uint64_t> Checkpoint();
  // Why every change is refused, if it is.
  const std::optional<Error>& poison() const noexcept { return poison_; }

  // One step of making the file, or the committed memory, as small as what is in it: gives the free
  // end back, then moves blobs from the end into the smallest holes below that hold them, until
  // `budget_bytes` are moved, but at least one blob. For a file, what a step moves is at its new
  // place with the next checkpoint, and the step after that gives the end back:
  //
  //   for (;;) {
  //     const auto step = store->Shrink(1 << 20);
  //     if (!step || step->is_done) break;
  //     store->Checkpoint();                      // and whatever else there is to do
  //   }
  //
  // Where a blob fits into no hole it stays, and those below it are tried, some hundreds of them.
  // When none of them moves, what is left are holes that are too small for any of them. A blob
  // whose checksum is wrong is not moved: kCorrupt, and what the step had moved by then is moved.
  Expected<ShrinkReport> Shrink(uint64_t budget_bytes);

  // --- For tests
  // ----------------------------------------------------------------------------------

  // Looks at everything: the order of blobs, that none overlaps another, that exactly what they
  // take is used, and all sums. O(n).
  Expected<void> Validate() const;

 private:
  struct Step;

  BlobStore(std::unique_ptr<blob::BlobFile> file, std::unique_ptr<blob::Backing> backing) noexcept;

  static Expected<std::unique_ptr<BlobStore>> CreateIn(std::unique_ptr<blob::Backing> backing,
                                                       const BlobStoreOptions& options);
  // Makes what is above the backing. `region_bytes` of the region are used until somebody says
  // otherwise.
  Expected<void> Build(std::string name, const BlobStoreOptions& options, uint64_t grain,
                       uint64_t region_bytes);
  // Reads the last checkpoint.
  Expected<void> LoadFile();

  Expected<void> RefuseIfPoisoned() const;
  tl::unexpected<Error> Poison(Error error);
  // A slot for a new blob, with all that a checkpoint will need for it.
  Expected<void> MakeSlot();
  // Allocates and writes; {0, 0} for no bytes.
  Expected<Range> Place(std::span<const std::byte> bytes);
  // Whether the bytes could go where the blob is.
  bool ReplaceInPlace(blob::Blob& blob, std::span<const std::byte> bytes);
  // Frees or retires where a blob is.
  Expected<void> Vacate(const blob::Blob& blob);
  Expected<void> Take(blob::Blob& blob);
  void Touch(const blob::Blob& blob) noexcept;
  // Frees what no checkpoint needs any more, and no reader.
  void ReleaseRetired();

  // Shrink: moves one, if there is a hole below; whether it did.
  Expected<bool> MoveDown(blob::Extent& extent, Step& step);
  Expected<bool> MoveBlobDown(blob::Blob& blob, Range place);
  // Hides what is free from `end` to where it was hidden before.
  Expected<void> Hide(uint64_t end, Step& step);
  void Unhide(Step& step) noexcept;

  // In this order: what is below stands on what is above. Of a store in memory the file's parts are
  // null.
  std::unique_ptr<blob::BlobFile> file_;
  std::unique_ptr<blob::Backing> backing_;
  std::unique_ptr<blob::Space> space_;
  std::unique_ptr<blob::Catalog> catalog_;
  std::unique_ptr<blob::Directory> directory_;
  std::unique_ptr<blob::ReaderPins> pins_;
  uint64_t checkpoint_ = 0;
  // What the nodes of the next checkpoint take: low places while the file shrinks.
  Fit node_fit_ = Fit::kBest;
  std::optional<Error> poison_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_BLOB_STORE_H_
