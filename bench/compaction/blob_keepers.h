// What keeps blobs: the implementations of the cases blobs_memory and blobs_file.
//
//   void Begin();                                  // Of a change of many blobs,
//   Id Add(std::span<const std::byte> bytes);
//   void Remove(Id id);
//   void Commit();                                 // which is made, or of a file lasts, with this.
//   std::vector<std::byte> Load(Id id);
#ifndef GRANARY_BENCH_COMPACTION_BLOB_KEEPERS_H_
#define GRANARY_BENCH_COMPACTION_BLOB_KEEPERS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/compaction/checked.h"
#include "bench/program.h"
#include "memory/region/blob_store.h"

namespace granary::bench {

class GranaryBlobs {
 public:
  static constexpr const char* kName = "granary";
  using Id = BlobId;

  // In memory.
  GranaryBlobs() : store_(Surely(BlobStore::CreateInMemory())) {}
  // In a new file.
  explicit GranaryBlobs(const std::string& path)
      : store_(Surely(BlobStore::OpenFile(path, {.mode = BlobFileOptions::Mode::kCreate}))),
        is_file_(true) {}

  void Begin() {}
  Id Add(std::span<const std::byte> bytes) { return Surely(store_->Add(bytes)); }
  // The others do not look at the bytes either.
  void Remove(Id id) { Surely(store_->Discard(id)); }
  void Commit() {
    if (is_file_) Surely(store_->Checkpoint());
  }
  std::vector<std::byte> Load(Id id) const { return Surely(store_->Load(id)); }

  BlobStore& store() noexcept { return *store_; }

 private:
  std::unique_ptr<BlobStore> store_;
  const bool is_file_ = false;
};

// What one writes without a store.
class MapOfMalloc {
 public:
  static constexpr const char* kName = "map_of_malloc";
  using Id = uint64_t;

  void Begin() {}
  Id Add(std::span<const std::byte> bytes) {
    auto copy = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
    std::ranges::copy(bytes, copy.get());
    blobs_.emplace_hint(blobs_.end(), ++last_id_, Blob{std::move(copy), bytes.size()});
    return last_id_;
  }
  void Remove(Id id) {
    if (blobs_.erase(id) != 1) Die("there is no blob " + std::to_string(id));
  }
  void Commit() {}
  std::vector<std::byte> Load(Id id) const {
    const Blob& blob = blobs_.at(id);
    return {blob.bytes.get(), blob.bytes.get() + blob.size};
  }

 private:
  struct Blob {
    std::unique_ptr<std::byte[]> bytes;
    size_t size;
  };

  std::map<Id, Blob> blobs_;
  Id last_id_ = 0;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_BLOB_KEEPERS_H_
