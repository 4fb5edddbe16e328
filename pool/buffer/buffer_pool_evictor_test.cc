// Who evicts what: readers clean pages, the evictor what has to be written.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kFrames = 256;
constexpr uint64_t kPages = 1000;

// A log whose flushes can be held up, and that knows who asked for them.
class HeldLog final : public WalGate {
 public:
  Lsn Flushed() const noexcept override { return flushed_.load(); }
  Expected<void> FlushTo(Lsn lsn) override {
    if (std::this_thread::get_id() == maker_) ++asked_by_maker;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !is_held_; });
    flushed_.store(lsn);
    return {};
  }
  void Hold(bool is_held) {
    {
      const std::scoped_lock lock(mutex_);
      is_held_ = is_held;
    }
    changed_.notify_all();
  }

  std::atomic<int> asked_by_maker = 0;

 private:
  const std::thread::id maker_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_held_ = false;
  std::atomic<Lsn> flushed_ = 0;
};

class BufferPoolEvictorTest : public ::testing::Test {
 protected:
  BufferPoolEvictorTest() {
    pages_ = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = kFrames});
    pool_ = *BufferPool::Create({.pages = pages_.get(), .frames = kFrames, .wal_gate = &log_});
    AttachOptions attach;
    attach.store = *MemoryPageStore::Create(
        {.page_bytes = kPageBytes, .pages = kPages, .capacity_pages = kPages});
    attach.pages_max = kPages;
    file_ = *pool_->Attach(std::move(attach));
  }

  void Read(uint64_t begin, uint64_t end) {
    for (uint64_t page = begin; page < end; ++page) {
      ASSERT_TRUE(pool_->FixShared({file_, page})) << page;
    }
  }
  void Change(uint64_t page, Lsn lsn) {
    auto fixed = pool_->FixExclusive({file_, page});
    ASSERT_TRUE(fixed);
    std::memcpy(fixed->data(), &lsn, sizeof(lsn));
    fixed->MarkDirty(lsn);
  }
  Lsn Content(uint64_t page) {
    auto fixed = pool_->FixShared({file_, page});
    EXPECT_TRUE(fixed);
    Lsn lsn = 0;
    std::memcpy(&lsn, fixed->data(), sizeof(lsn));
    return lsn;
  }
  template <class Condition>
  bool Await(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  HeldLog log_;
  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<BufferPool> pool_;
  FileId file_ = 0;
};

TEST_F(BufferPoolEvictorTest, ReadersEvictWhatIsCleanThemselves) {
  Read(0, kPages);
  const BufferPoolStats stats = pool_->Stats();
  EXPECT_EQ(stats.misses, kPages);
  EXPECT_EQ(stats.write_batches, 0u);
  EXPECT_GE(stats.evictions, kPages - kFrames);
  EXPECT_GE(stats.foreground_batches, kPages - kFrames) << "a batch is one page of so few";
}

// As long as the evictor has not got too many of them, nobody else writes any.
TEST_F(BufferPoolEvictorTest, DirtyPagesAreLeftToTheEvictor) {
  constexpr uint64_t kDirty = 20;
  for (uint64_t page = 0; page < kDirty; ++page) Change(page, 7);
  log_.Hold(true);
  Read(100, kPages);
  EXPECT_EQ(log_.asked_by_maker, 0);
  EXPECT_EQ(pool_->Stats().written_pages, 0u);
  log_.Hold(false);
  EXPECT_TRUE(Await([&] { return pool_->Stats().dirty_pages == 0; }));
  EXPECT_EQ(log_.asked_by_maker, 0);
  for (uint64_t page = 0; page < kDirty; ++page) EXPECT_EQ(Content(page), 7u) << page;
}

TEST_F(BufferPoolEvictorTest, AnEvictorThatIsBehindIsHelped) {
  for (uint64_t page = 0; page < kFrames; ++page) Change(page, 7);
  Read(kFrames, kPages);
  EXPECT_TRUE(Await([&] { return pool_->Stats().dirty_pages == 0; }));
  for (uint64_t page = 0; page < kFrames; ++page) EXPECT_EQ(Content(page), 7u) << page;
}

TEST_F(BufferPoolEvictorTest, PagesThatAreDiscardedWhileTheyWaitToBeWrittenGiveTheirFramesBack) {
  constexpr uint64_t kDirty = 20;
  for (uint64_t page = 0; page < kDirty; ++page) Change(page, 7);
  log_.Hold(true);
  Read(100, kPages);
  for (uint64_t page = 0; page < kDirty; ++page) {
    auto fixed = pool_->FixExclusive({file_, page});
    ASSERT_TRUE(fixed);
    pool_->Discard(std::move(*fixed));
  }
  log_.Hold(false);
  // All of them, one after the other: none is lost.
  EXPECT_TRUE(Await([&] { return pool_->Reserve(kFrames).has_value(); }));
  EXPECT_EQ(pool_->Stats().dirty_pages, 0u);
}

TEST_F(BufferPoolEvictorTest, APoolEndsAndAFileGoesWhileDirtyPagesWait) {
  for (uint64_t page = 0; page < 20; ++page) Change(page, 7);
  Read(100, 700);
  for (uint64_t page = 0; page < 20; ++page) Change(page, 8);
  Read(100, 700);
  EXPECT_TRUE(pool_->Detach(file_));
  EXPECT_TRUE(Await([&] { return pool_->Reserve(kFrames).has_value(); }));
  pool_.reset();
}

}  // namespace
}  // namespace granary
