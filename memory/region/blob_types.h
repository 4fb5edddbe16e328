// What a BlobStore is asked and what it answers.
#ifndef GRANARY_MEMORY_REGION_BLOB_TYPES_H_
#define GRANARY_MEMORY_REGION_BLOB_TYPES_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "memory/region/region_types.h"

namespace granary {

class FileCalls;
class SystemCalls;

// Names a blob for as long as it is there, wherever it is moved. The place of a removed blob is
// used again, in another generation: an id that is stale is known to be. One made by default names
// none.
struct BlobId {
  uint32_t index = 0;
  uint32_t generation = 0;

  friend auto operator<=>(const BlobId&, const BlobId&) = default;
};

// "7.3": for messages.
inline std::string BlobIdName(BlobId id) {
  return std::to_string(id.index) + "." + std::to_string(id.generation);
}

struct BlobStoreOptions {
  // Blobs begin at multiples of it, and take so many bytes or a multiple. A file keeps the one that
  // it was made with. Where a disk may damage bytes beside those that are written when the power
  // goes, a file wants one of the disk's sector.
  uint64_t grain = 16;
  // The region grows to so many bytes. In memory, and for a file that is mapped, address space for
  // all of them is set aside.
  uint64_t max_bytes = uint64_t{1} << 36;
  // So many blobs are there at once, up to 2^31; address space of 48 bytes each is set aside.
  uint32_t max_blobs = uint32_t{1} << 24;
  // Compares each blob that is loaded with its checksum. Remove and Shrink always do.
  bool verify_loads = true;
  // Null for the real ones.
  SystemCalls* system_calls = nullptr;
};

struct BlobFileOptions {
  enum class Mode : uint8_t {
    kOpenOrCreate,
    kOpen,    // The file must be there.
    kCreate,  // The file must not be there.
  };

  BlobStoreOptions store = {};
  Mode mode = Mode::kOpenOrCreate;
  // Maps the file for reading, so that it has views. Errors of the disk while a view is read are
  // SIGBUS then, as with any mapped file.
  bool is_mapped = false;
  // Null for the real ones.
  FileCalls* file_calls = nullptr;
};

struct BlobReaderOptions {
  // As in BlobFileOptions.
  bool is_mapped = false;
  bool verify_loads = true;
  uint32_t max_blobs = uint32_t{1} << 24;
  SystemCalls* system_calls = nullptr;
  FileCalls* file_calls = nullptr;
};

struct BlobStats {
  uint64_t blobs = 0;
  // Their lengths.
  uint64_t blob_bytes = 0;
  // Of a file: what the directory takes, in grains.
  uint64_t directory_bytes = 0;
  // What the backing has for the region: memory that was committed, or the file's length without
  // its headers.
  uint64_t capacity_bytes = 0;
  // Of a file: the checkpoint that a reopened one would have.
  uint64_t checkpoint = 0;
  RegionStats region = {};
};

// What a step of BlobStore::Shrink did.
struct ShrinkReport {
  uint64_t moved_blobs = 0;
  uint64_t moved_bytes = 0;
  // By so much the file, or the committed memory, became smaller.
  uint64_t truncated_bytes = 0;
  // What was moved is moved when the next checkpoint is there, and truncated by a step after that.
  bool needs_checkpoint = false;
  // Nothing was there to do, and nothing would be after a checkpoint.
  bool is_done = false;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_BLOB_TYPES_H_
