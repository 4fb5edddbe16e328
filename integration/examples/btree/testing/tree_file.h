// TreeFile: a pool of few frames, and a file in memory that outlives being detached, for tests of
// trees.
#ifndef GRANARY_INTEGRATION_EXAMPLES_BTREE_TESTING_TREE_FILE_H_
#define GRANARY_INTEGRATION_EXAMPLES_BTREE_TESTING_TREE_FILE_H_

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "gtest/gtest.h"
#include "integration/examples/btree/btree.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/page_codec.h"
#include "pool/buffer/page_store.h"
#include "pool/page_pool.h"

namespace granary::btree {

// What a pool has of a store that is somebody else's. Its n-th read fails, if somebody says so.
class BorrowedStore final : public PageStore {
 public:
  BorrowedStore(PageStore& store, std::atomic<int64_t>& reads_left)
      : PageStore(store.page_bytes()), store_(store), reads_left_(reads_left) {}

  void Read(std::span<PageRead> pages) noexcept override {
    store_.Read(pages);
    for (PageRead& page : pages) {
      if (reads_left_.fetch_sub(1) == 0) page.error_number = EIO;
    }
  }
  void Write(std::span<PageWrite> pages) noexcept override { store_.Write(pages); }
  Expected<void> Sync() override { return store_.Sync(); }
  uint64_t PageCount() const noexcept override { return store_.PageCount(); }
  Expected<void> Extend(uint64_t pages) override { return store_.Extend(pages); }
  Expected<void> Truncate(uint64_t pages) override { return store_.Truncate(pages); }
  IoLimits Limits() const noexcept override { return store_.Limits(); }
  std::string_view name() const noexcept override { return store_.name(); }

 private:
  PageStore& store_;
  std::atomic<int64_t>& reads_left_;
};

class TreeFile {
 public:
  static constexpr size_t kPageBytes = 512;
  static constexpr uint64_t kPagesMax = 4000;

  explicit TreeFile(size_t frames, BufferPoolOptions options = {})
      : store_(*MemoryPageStore::Create(
            {.page_bytes = kPageBytes, .pages = 0, .capacity_pages = kPagesMax})),
        frames_(frames),
        options_(std::move(options)) {
    StartPool();
  }

  BufferPool& pool() { return *pool_; }
  FileId file() const { return file_; }
  PageStore& store() { return *store_; }
  BTreeOptions tree_options(ChangeLog* log = nullptr) {
    return {.pool = pool_.get(), .file = file_, .header_bytes = codec_.header_bytes(), .log = log};
  }

  // The next read but `reads` fails; none does if it is negative.
  void FailReadIn(int64_t reads) { reads_left_.store(reads); }
  // True if one did since.
  bool HasFailed() const { return reads_left_.load() < 0; }

  // What the pool has of the file is written, and the file is another time's then.
  void Reattach() {
    const auto detached = pool_->Detach(file_);
    ASSERT_TRUE(detached) << detached.error().message;
    Attach();
  }
  // What the pool has is lost. To be followed by StartPool().
  void Crash() {
    pool_.reset();
    pages_.reset();
  }
  void StartPool() {
    pages_ = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = frames_ + 100});
    BufferPoolOptions options = options_;
    options.pages = pages_.get();
    options.frames = frames_;
    options.write_batch_pages = 8;
    auto pool = BufferPool::Create(options);
    ASSERT_TRUE(pool) << pool.error().message;
    pool_ = std::move(*pool);
    Attach();
  }

 private:
  void Attach() {
    AttachOptions attach;
    attach.store = std::make_unique<BorrowedStore>(*store_, reads_left_);
    attach.codec = std::make_unique<ChecksumPageCodec>();
    attach.pages_max = kPagesMax;
    auto file = pool_->Attach(std::move(attach));
    ASSERT_TRUE(file) << file.error().message;
    file_ = *file;
  }

  const ChecksumPageCodec codec_;
  std::atomic<int64_t> reads_left_ = -1;
  std::unique_ptr<MemoryPageStore> store_;
  const size_t frames_;
  const BufferPoolOptions options_;
  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<BufferPool> pool_;
  FileId file_ = 0;
};

}  // namespace granary::btree

#endif  // GRANARY_INTEGRATION_EXAMPLES_BTREE_TESTING_TREE_FILE_H_
