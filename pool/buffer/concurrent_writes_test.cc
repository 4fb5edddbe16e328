// Pages that are on their way to their stores, while others write, sync, discard and detach.
#include <chrono>
#include <cstdint>
#include <cstring>
#include <future>
#include <memory>
#include <utility>

#include "gtest/gtest.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/testing/held_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

using namespace std::chrono_literals;

constexpr size_t kPageBytes = 4096;
constexpr size_t kFrames = 256;
constexpr uint64_t kPages = 1000;

class ConcurrentWritesTest : public ::testing::Test {
 protected:
  ConcurrentWritesTest() {
    pages_ = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = kFrames});
    pool_ = *BufferPool::Create({.pages = pages_.get(), .frames = kFrames});
    file_ = Attach(traffic_);
  }

  FileId Attach(Traffic& traffic) {
    AttachOptions attach;
    attach.store = std::make_unique<HeldStore>(
        traffic, MemoryPageStoreOptions{
                     .page_bytes = kPageBytes, .pages = kPages, .capacity_pages = kPages});
    attach.pages_max = kPages;
    return *pool_->Attach(std::move(attach));
  }
  void Change(FileId file, uint64_t page, uint64_t value) {
    auto fixed = pool_->FixExclusive({file, page});
    ASSERT_TRUE(fixed) << fixed.error().message;
    std::memcpy(fixed->data(), &value, sizeof(value));
    fixed->MarkDirty(1);
  }
  uint64_t Content(uint64_t page) {
    auto fixed = pool_->FixShared({file_, page});
    EXPECT_TRUE(fixed) << fixed.error().message;
    uint64_t value;
    std::memcpy(&value, fixed->data(), sizeof(value));
    return value;
  }
  std::future<bool> FlushAside() {
    return std::async(std::launch::async, [&] { return pool_->Flush().has_value(); });
  }

  // The pool goes before what its stores use.
  Traffic traffic_;
  Traffic other_traffic_;
  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<BufferPool> pool_;
  FileId file_ = 0;
};

// With a batch on its way that never ends: all the dirty pages are written one by one.
TEST_F(ConcurrentWritesTest, WhoNeedsAFrameDoesNotWaitForABatch) {
  for (uint64_t page = 0; page < 2; ++page) Change(file_, page, page + 1);
  traffic_.HoldNextWrite();
  auto flushed = FlushAside();
  ASSERT_TRUE(traffic_.AwaitHeld());
  for (uint64_t page = 2; page < kPages; ++page) Change(file_, page, page + 1);
  EXPECT_EQ(flushed.wait_for(0s), std::future_status::timeout);
  traffic_.LetGo();
  EXPECT_TRUE(flushed.get());
  for (uint64_t page = 0; page < kPages; ++page) EXPECT_EQ(Content(page), page + 1) << page;
  EXPECT_EQ(traffic_.doubles, 0);
}

// It is changed again, wanted out of the pool, and flushed, while an older copy is on its way.
TEST_F(ConcurrentWritesTest, APageIsNotWrittenWhileItIsBeingWritten) {
  Change(file_, 0, 1);
  traffic_.HoldNextWrite();
  auto flushed = FlushAside();
  ASSERT_TRUE(traffic_.AwaitHeld());
  Change(file_, 0, 2);
  auto flushed_too = FlushAside();
  for (uint64_t page = 1; page < kPages; ++page) Change(file_, page, page + 1);
  traffic_.LetGo();
  EXPECT_TRUE(flushed.get());
  EXPECT_TRUE(flushed_too.get());
  for (uint64_t page = 1; page < kPages; ++page) EXPECT_EQ(Content(page), page + 1) << page;
  EXPECT_EQ(Content(0), 2U);
  EXPECT_EQ(traffic_.doubles, 0);
}

TEST_F(ConcurrentWritesTest, AFileStaysUntilPagesOfItThatWereDiscardedHaveArrived) {
  Change(file_, 0, 1);
  traffic_.HoldNextWrite();
  auto flushed = FlushAside();
  ASSERT_TRUE(traffic_.AwaitHeld());
  {
    auto fixed = pool_->FixExclusive({file_, 0});
    ASSERT_TRUE(fixed);
    pool_->Discard(std::move(*fixed));
  }
  auto detached = std::async(std::launch::async, [&] { return pool_->Detach(file_).has_value(); });
  EXPECT_EQ(detached.wait_for(50ms), std::future_status::timeout);
  traffic_.LetGo();
  EXPECT_TRUE(detached.get());
  EXPECT_TRUE(flushed.get());
  EXPECT_FALSE(traffic_.went_under_a_writer);
}

// A sync that begins while a page is on its way may have missed it.
TEST_F(ConcurrentWritesTest, APageThatArrivesBehindASyncIsSyncedTheNextTime) {
  const FileId other = Attach(other_traffic_);
  Change(file_, 0, 1);
  Change(other, 0, 1);
  std::future<bool> flushed;
  traffic_.on_sync = [&] {
    // The checkpoint has flushed and is about to sync the other file.
    if (flushed.valid()) return;
    Change(other, 1, 1);
    other_traffic_.HoldNextWrite();
    flushed = FlushAside();
    ASSERT_TRUE(other_traffic_.AwaitHeld());
  };
  ASSERT_TRUE(pool_->Checkpoint());
  EXPECT_EQ(other_traffic_.syncs, 1);
  other_traffic_.LetGo();
  ASSERT_TRUE(flushed.get());
  ASSERT_TRUE(pool_->Checkpoint());
  EXPECT_EQ(other_traffic_.syncs, 2);
}

// It would say that all is durable before it is.
TEST_F(ConcurrentWritesTest, ACheckpointWaitsForTheSyncOfAnother) {
  Change(file_, 0, 1);
  std::promise<void> begun;
  std::promise<void> ends;
  traffic_.on_sync = [&] {
    begun.set_value();
    ends.get_future().wait();
  };
  auto first = std::async(std::launch::async, [&] { return pool_->Checkpoint().has_value(); });
  begun.get_future().wait();
  auto second = std::async(std::launch::async, [&] { return pool_->Checkpoint().has_value(); });
  EXPECT_EQ(second.wait_for(50ms), std::future_status::timeout);
  ends.set_value();
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
}

}  // namespace
}  // namespace granary
