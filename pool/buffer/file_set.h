// FileSet: the files that are attached to a buffer pool. Internal to pool/buffer.
//
// Threading. Any thread may look a file up; it stays as long as one of its pages is resident, being
// brought or being written, which is the pool's to see to.
#ifndef GRANARY_POOL_BUFFER_FILE_SET_H_
#define GRANARY_POOL_BUFFER_FILE_SET_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "memory/error.h"
#include "pool/buffer/page_codec.h"
#include "pool/buffer/page_store.h"
#include "pool/buffer/page_types.h"

namespace granary::buffer {

struct BufferedFile {
  std::unique_ptr<PageStore> store;
  std::unique_ptr<PageCodec> codec;
  // The first page that Allocate has not given out yet.
  std::atomic<uint64_t> next_page = 0;
  // Something was written, and no Sync has begun since.
  std::atomic<bool> is_unsynced = false;
};

class FileSet {
 public:
  explicit FileSet(uint32_t files_max) : files_(files_max) {}

  uint32_t files_max() const noexcept { return static_cast<uint32_t>(files_.size()); }

  // nullptr if there is none.
  BufferedFile* Find(FileId id) const noexcept {
    return id < files_.size() ? files_[id].load(std::memory_order_acquire) : nullptr;
  }

  // The lowest number that is free, files_max() if there is none. One attaches or detaches at a
  // time.
  FileId FirstFree() const noexcept {
    FileId id = 0;
    while (id < files_max() && Find(id) != nullptr) ++id;
    return id;
  }
  void Add(FileId id, std::unique_ptr<BufferedFile> file) noexcept {
    files_[id].store(file.release(), std::memory_order_release);
  }
  // Waits for who is syncing. Nothing is being written to the file.
  std::unique_ptr<BufferedFile> Remove(FileId id) noexcept {
    const std::scoped_lock lock(sync_mutex_);
    return std::unique_ptr<BufferedFile>(files_[id].exchange(nullptr));
  }

  // What was written to any file before is durable, or the first error says of which it is not.
  Expected<void> SyncWritten() {
    // Who finds that another has begun must not go on before that one is done.
    const std::scoped_lock lock(sync_mutex_);
    Expected<void> result;
    for (auto& at : files_) {
      BufferedFile* const file = at.load(std::memory_order_acquire);
      if (file == nullptr || !file->is_unsynced.exchange(false, std::memory_order_seq_cst))
        continue;
      if (auto synced = file->store->Sync(); !synced) {
        file->is_unsynced.store(true, std::memory_order_seq_cst);
        if (result) result = std::move(synced);
      }
    }
    return result;
  }

  ~FileSet() {
    for (auto& file : files_) delete file.load(std::memory_order_relaxed);
  }

  FileSet(const FileSet&) = delete;
  FileSet& operator=(const FileSet&) = delete;

 private:
  std::vector<std::atomic<BufferedFile*>> files_;
  std::mutex sync_mutex_;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_FILE_SET_H_
