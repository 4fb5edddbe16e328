// BlobReader: a checkpoint of a blob file, to be read while a writer goes on.
//
//   auto reader = granary::BlobReader::Open("values.blobs");
//   std::vector<std::byte> bytes = *(*reader)->Load(id);
//
// What it sees is the checkpoint that was the newest when it was opened, and that stays so however
// long it is open and whatever the writer does, in this process or another: the writer neither
// writes nor truncates what a checkpoint has that somebody reads. What it costs is space: as long
// as a reader is there, nothing becomes free that was removed since. Views stay as long as the
// reader. To see what is newer, open another one.
//
// Every node and every blob is compared with its checksum, so that damage of the file is an error
// (kCorrupt) and not wrong bytes; `verify_loads` says whether blobs are, too.
//
// Costs. Open reads the directory, 24 bytes a blob, and keeps 48 for each. Loads and views as in
// BlobStore.
//
// Threading. Any number of threads at once.
#ifndef GRANARY_MEMORY_REGION_BLOB_READER_H_
#define GRANARY_MEMORY_REGION_BLOB_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "memory/error.h"
#include "memory/region/blob_types.h"

namespace granary {

namespace blob {
class Backing;
class BlobFile;
class Catalog;
class Directory;
}  // namespace blob

class BlobReader final {
 public:
  // kIo if it is not there or cannot be read, kCorrupt, kUnsupported for another version of the
  // format, kOutOfMemory.
  static Expected<std::unique_ptr<BlobReader>> Open(const std::string& path,
                                                    const BlobReaderOptions& options = {});

  BlobReader(const BlobReader&) = delete;
  BlobReader& operator=(const BlobReader&) = delete;
  ~BlobReader();

  // The number of the checkpoint that it reads.
  uint64_t checkpoint() const noexcept;
  uint64_t blobs() const noexcept;
  uint64_t blob_bytes() const noexcept;

  // As BlobStore's.
  Expected<std::vector<std::byte>> Load(BlobId id) const;
  Expected<size_t> LoadInto(BlobId id, std::span<std::byte> buffer) const;
  Expected<std::span<const std::byte>> View(BlobId id) const;
  bool Contains(BlobId id) const noexcept;
  Expected<Range> AddressOf(BlobId id) const;
  void ForEach(const std::function<void(BlobId, Range)>& visit) const;

 private:
  BlobReader(std::unique_ptr<blob::BlobFile> file, std::unique_ptr<blob::Backing> backing) noexcept;

  std::unique_ptr<blob::BlobFile> file_;
  std::unique_ptr<blob::Backing> backing_;
  std::unique_ptr<blob::Catalog> catalog_;
  // Its nodes are among the catalog's extents.
  std::unique_ptr<blob::Directory> directory_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_BLOB_READER_H_
