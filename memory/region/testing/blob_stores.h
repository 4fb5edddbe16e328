// Stores over each kind of backing, empty ones, for tests of what they have in common.
#ifndef GRANARY_MEMORY_REGION_TESTING_BLOB_STORES_H_
#define GRANARY_MEMORY_REGION_TESTING_BLOB_STORES_H_

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/blob_store.h"
#include "memory/testing/simulated_files.h"

namespace granary {

enum class BlobBacking : uint8_t { kMemory, kCallersMemory, kFile, kMappedFile };

inline const char* BlobBackingName(BlobBacking backing) {
  switch (backing) {
    case BlobBacking::kMemory:
      return "Memory";
    case BlobBacking::kCallersMemory:
      return "CallersMemory";
    case BlobBacking::kFile:
      return "File";
    case BlobBacking::kMappedFile:
      return "MappedFile";
  }
  return "";
}

// A store, and what is beneath it.
class BlobStoreUnderTest {
 public:
  explicit BlobStoreUnderTest(BlobBacking backing, BlobStoreOptions options = {})
      : backing_(backing), options_(options) {
    if (options_.max_bytes > kMaxBytes) options_.max_bytes = kMaxBytes;
    if (options_.max_blobs > (1U << 16)) options_.max_blobs = 1U << 16;
    if (backing_ == BlobBacking::kMappedFile) RemoveFiles();
    Open();
  }
  ~BlobStoreUnderTest() {
    store_.reset();
    if (backing_ == BlobBacking::kMappedFile) RemoveFiles();
  }

  BlobStore* operator->() { return store_.get(); }
  BlobStore& operator*() { return *store_; }

  bool is_file() const {
    return backing_ == BlobBacking::kFile || backing_ == BlobBacking::kMappedFile;
  }
  // Of a file, makes one.
  bool CheckpointIfItCan() { return !is_file() || store_->Checkpoint(); }
  bool has_views() const { return backing_ != BlobBacking::kFile; }
  // Of a file, without a checkpoint.
  void Reopen() {
    store_.reset();
    Open();
  }

 private:
  static constexpr uint64_t kMaxBytes = uint64_t{64} << 20;

  void Open() {
    auto opened = Make();
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  Expected<std::unique_ptr<BlobStore>> Make() {
    switch (backing_) {
      case BlobBacking::kMemory:
        return BlobStore::CreateInMemory(options_);
      case BlobBacking::kCallersMemory:
        memory_.resize(options_.max_bytes);
        return BlobStore::CreateOver(memory_, options_);
      case BlobBacking::kFile:
        return BlobStore::OpenFile("blobs", {.store = options_, .file_calls = &files_});
      case BlobBacking::kMappedFile:
        return BlobStore::OpenFile(path_, {.store = options_, .is_mapped = true});
    }
    return tl::unexpected(Error{});
  }
  void RemoveFiles() {
    for (const char* suffix : {"", ".lock", ".pin0", ".pin1", ".new"}) {
      (void)::unlink((path_ + suffix).c_str());
    }
  }

  const BlobBacking backing_;
  BlobStoreOptions options_;
  std::vector<std::byte> memory_;
  SimulatedFiles files_;
  const std::string path_ = ::testing::TempDir() + "/blobs_" + std::to_string(::getpid());
  std::unique_ptr<BlobStore> store_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_TESTING_BLOB_STORES_H_
