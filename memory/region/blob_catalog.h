// Catalog: the blobs of a store or of a reader, by id and by address, and how they are read.
// Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_BLOB_CATALOG_H_
#define GRANARY_MEMORY_REGION_BLOB_CATALOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "memory/error.h"
#include "memory/region/blob_backing.h"
#include "memory/region/blob_extent.h"
#include "memory/region/blob_table.h"
#include "memory/region/blob_types.h"

namespace granary::blob {

class Catalog {
 public:
  // `name` is for messages: the path of a file. `backing` outlives it.
  Catalog(std::string name, BlobTable table, uint64_t grain, const Backing& backing,
          bool verify_loads) noexcept
      : name_(std::move(name)),
        table_(std::move(table)),
        extents_(grain),
        backing_(backing),
        verify_loads_(verify_loads) {}
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  const std::string& name() const noexcept { return name_; }
  BlobTable& table() noexcept { return table_; }
  const BlobTable& table() const noexcept { return table_; }
  Extents& extents() noexcept { return extents_; }
  const Extents& extents() const noexcept { return extents_; }

  // kInvalidArgument, with what is known of the id. Not null.
  Expected<Blob*> Find(BlobId id, const char* where) const;

  Expected<Range> AddressOf(BlobId id) const;
  Expected<std::span<const std::byte>> View(BlobId id) const;
  Expected<size_t> LoadInto(BlobId id, std::span<std::byte> buffer) const;
  Expected<std::vector<std::byte>> Load(BlobId id) const;

  // All of a blob, compared with its checksum.
  Expected<std::vector<std::byte>> LoadVerified(const Blob& blob) const;

  // kCorrupt unless `bytes` have the blob's checksum.
  Expected<void> Verify(const Blob& blob, std::span<const std::byte> bytes) const;

  void ForEach(const std::function<void(BlobId, Range)>& visit) const;

 private:
  Expected<void> Read(const Blob& blob, std::span<std::byte> buffer, bool verifies) const;
  Expected<std::vector<std::byte>> LoadWhole(const Blob& blob, bool verifies) const;

  const std::string name_;
  BlobTable table_;
  Extents extents_;
  const Backing& backing_;
  const bool verify_loads_;
};

}  // namespace granary::blob

#endif  // GRANARY_MEMORY_REGION_BLOB_CATALOG_H_
