#include "pool/buffer/buffer_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/page_scope.h"
#include "pool/buffer/testing/test_log.h"
#include "pool/buffer/testing/tested_pool.h"
#include "pool/buffer/testing/watched_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 4096;

class BufferPoolTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kPages = 200;

  void Make(size_t frames, BufferPoolOptions options = {}) {
    pages_ = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = 1000});
    options.pages = pages_.get();
    options.frames = frames;
    options.wal_gate = &log_;
    options.has_evictor = false;
    options.frame_wait = std::chrono::milliseconds(20);
    auto made = TestedPool::Create(options);
    ASSERT_TRUE(made) << made.error().message;
    pool_ = std::move(*made);
    auto store = std::make_unique<buffer::WatchedStore>(
        *MemoryPageStore::Create(
            {.page_bytes = kPageBytes, .pages = kPages, .capacity_pages = 2 * kPages}),
        log_, 0, watch_);
    AttachOptions attach;
    attach.store = std::move(store);
    attach.pages_max = 2 * kPages;
    auto file = pool_->Attach(std::move(attach));
    ASSERT_TRUE(file) << file.error().message;
    file_ = *file;
  }

  PageId Page(uint64_t page) const { return {file_, page}; }

  void Change(uint64_t page, Lsn lsn) {
    auto fixed = pool_->FixExclusive(Page(page));
    ASSERT_TRUE(fixed) << fixed.error().message;
    std::memcpy(fixed->data(), &lsn, sizeof(lsn));
    fixed->MarkDirty(lsn);
  }
  Lsn Content(uint64_t page) {
    auto fixed = pool_->FixShared(Page(page));
    EXPECT_TRUE(fixed) << fixed.error().message;
    Lsn lsn;
    std::memcpy(&lsn, fixed->data(), sizeof(lsn));
    return lsn;
  }

  TestLog log_;
  buffer::StoreWatch watch_;
  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<TestedPool> pool_;
  FileId file_ = 0;
};

TEST_F(BufferPoolTest, APageIsReadOnceAndIsThereFromThenOn) {
  Make(16);
  for (int i = 0; i < 5; ++i) {
    auto page = pool_->FixShared(Page(7));
    ASSERT_TRUE(page);
    EXPECT_EQ(page->id(), Page(7));
    EXPECT_EQ(page->bytes().size(), kPageBytes);
  }
  EXPECT_EQ(watch_.pages_read, 1U);
  EXPECT_EQ(pool_->Stats().misses, 1U);
}

TEST_F(BufferPoolTest, ManyThreadsThatMissOnePageReadItOnce) {
  Make(16);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] { EXPECT_TRUE(pool_->FixShared(Page(3))); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(watch_.pages_read, 1U);
}

TEST_F(BufferPoolTest, ChangesComeBackAfterTheirPageWasEvicted) {
  Make(16);
  for (uint64_t page = 0; page < kPages; ++page) Change(page, page + 1);
  for (uint64_t page = 0; page < kPages; ++page) EXPECT_EQ(Content(page), page + 1);
  EXPECT_LE(pool_->Stats().used_frames, 16U);
  EXPECT_EQ(watch_.violations, 0U);
  EXPECT_GT(log_.Flushed(), 0U);
}

TEST_F(BufferPoolTest, NothingIsWrittenThatTheLogHasNotGot) {
  Make(16);
  log_.fails = true;
  Change(0, 5);
  const auto flushed = pool_->Flush();
  ASSERT_FALSE(flushed);
  EXPECT_NE(flushed.error().message.find("the log is full"), std::string::npos);
  EXPECT_EQ(watch_.writes, 0U);
  EXPECT_EQ(pool_->Stats().dirty_pages, 1U);
  log_.fails = false;
  ASSERT_TRUE(pool_->Flush());
  EXPECT_EQ(watch_.writes, 1U);
  EXPECT_EQ(watch_.violations, 0U);
  EXPECT_EQ(pool_->Stats().dirty_pages, 0U);
}

TEST_F(BufferPoolTest, FlushUpToWritesWhatWasChangedBeforeAndNothingElse) {
  Make(16);
  Change(0, 5);
  Change(1, 6);
  Change(2, 7);
  ASSERT_TRUE(pool_->Flush(6));
  EXPECT_EQ(pool_->Stats().dirty_pages, 1U);
  EXPECT_EQ(pool_->Stats().written_pages, 2U);
}

TEST_F(BufferPoolTest, NeighboursAreWrittenInOneBatch) {
  Make(64);
  for (uint64_t page = 40; page > 0; --page) Change(page, page);
  ASSERT_TRUE(pool_->Flush());
  EXPECT_EQ(watch_.writes, 1U);
}

TEST_F(BufferPoolTest, ACheckpointSaysFromWhereTheLogIsNeeded) {
  Make(16);
  Change(0, 5);
  Change(1, 6);
  ASSERT_TRUE(log_.FlushTo(6));
  const auto needed = pool_->Checkpoint();
  ASSERT_TRUE(needed);
  EXPECT_EQ(*needed, 6U);
  EXPECT_EQ(pool_->Stats().dirty_pages, 0U);
}

TEST_F(BufferPoolTest, NewPagesAreZerosAndTakeReservedFrames) {
  Make(16);
  auto reserved = pool_->Reserve(2);
  ASSERT_TRUE(reserved);
  auto first = pool_->Allocate(file_, *reserved, 9);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->id(), Page(kPages));
  EXPECT_TRUE(std::all_of(first->bytes().begin(), first->bytes().end(),
                          [](std::byte byte) { return byte == std::byte{0}; }));
  auto second = pool_->Allocate(file_, *reserved, 9);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->id(), Page(kPages + 1));
  const auto third = pool_->Allocate(file_, *reserved, 9);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(watch_.pages_read, 0U);
}

TEST_F(BufferPoolTest, AReservationHoldsWhileAllElseIsPinned) {
  Make(16);
  auto reserved = pool_->Reserve(4);
  ASSERT_TRUE(reserved);
  std::vector<SharedPage> pins;
  for (uint64_t page = 0; page < 12; ++page) pins.push_back(*pool_->FixShared(Page(page)));
  ASSERT_FALSE(pool_->FixShared(Page(100)));
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(pool_->Allocate(file_, *reserved));
  }
}

TEST_F(BufferPoolTest, FramesThatAreAllPinnedAreAnErrorThatSaysByWhom) {
  BufferPoolOptions options;
  options.record_pins = true;
  Make(8, std::move(options));
  std::vector<SharedPage> pins;
  for (uint64_t page = 0; page < 8; ++page) pins.push_back(*pool_->FixShared(Page(page)));
  const auto refused = pool_->FixShared(Page(8));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(refused.error().message.find("8 pins are held: page 0 of file 0"), std::string::npos)
      << refused.error().message;
  EXPECT_NE(refused.error().message.find("buffer_pool_test.cc:"), std::string::npos);
  EXPECT_EQ(pool_->Pins().size(), 8U);
  pins.pop_back();
  EXPECT_TRUE(pool_->FixShared(Page(8)));
  pins.clear();
  EXPECT_TRUE(pool_->Pins().empty());
}

TEST_F(BufferPoolTest, ADiscardedPageIsNotWritten) {
  Make(16);
  Change(5, 42);
  auto page = pool_->FixExclusive(Page(5));
  ASSERT_TRUE(page);
  pool_->Discard(std::move(*page));
  EXPECT_EQ(pool_->Stats().dirty_pages, 0U);
  EXPECT_EQ(pool_->Stats().free_frames, 16U);
  EXPECT_EQ(Content(5), 0U);
}

TEST_F(BufferPoolTest, ALookSeesThatThePageWasChanged) {
  if constexpr (buffer::kOptimisticReadsPin) GTEST_SKIP() << "reads pin under this sanitizer";
  Make(16);
  Change(1, 1);
  auto look = pool_->Peek(Page(1));
  ASSERT_TRUE(look);
  EXPECT_EQ(look->Read<Lsn>(0), 1U);
  EXPECT_TRUE(look->Validate());
  Change(1, 2);
  EXPECT_FALSE(look->Validate());
  EXPECT_FALSE(look->TryUpgrade());
  EXPECT_FALSE(look->TryLatchShared());
  auto again = pool_->TryPeek(Page(1));
  ASSERT_TRUE(again);
  auto mine = again->TryUpgrade();
  ASSERT_TRUE(mine);
  EXPECT_FALSE(pool_->TryPeek(Page(1)));
}

TEST_F(BufferPoolTest, ALookSeesThatThePageWasEvicted) {
  if constexpr (buffer::kOptimisticReadsPin) GTEST_SKIP() << "reads pin under this sanitizer";
  Make(8);
  auto look = pool_->Peek(Page(1));
  ASSERT_TRUE(look);
  for (uint64_t page = 10; page < 100; ++page) ASSERT_TRUE(pool_->FixShared(Page(page)));
  EXPECT_FALSE(look->Validate());
  EXPECT_FALSE(pool_->TryPeek(Page(1)));
}

TEST_F(BufferPoolTest, EntriesOfPagesThatAreGoneGiveTheirMemoryBack) {
  Make(8);
  ASSERT_TRUE(pool_->FixShared(Page(0)));
  EXPECT_EQ(pool_->Stats().entry_bytes, 4096U);
  auto page = pool_->FixExclusive(Page(0));
  ASSERT_TRUE(page);
  pool_->Discard(std::move(*page));
  EXPECT_EQ(pool_->TrimEntries(), 4096U);
  EXPECT_EQ(pool_->Stats().entry_bytes, 0U);
  EXPECT_TRUE(pool_->FixShared(Page(0)));
}

TEST_F(BufferPoolTest, PrefetchedPagesAreThereWithoutAnotherRead) {
  Make(64);
  std::vector<PageId> ahead;
  for (uint64_t page = 0; page < 40; ++page) ahead.push_back(Page(page));
  EXPECT_EQ(pool_->Prefetch(ahead), 40U);
  EXPECT_EQ(pool_->Prefetch(ahead), 0U);
  const size_t reads = watch_.pages_read;
  for (const PageId id : ahead) ASSERT_TRUE(pool_->FixShared(id));
  EXPECT_EQ(watch_.pages_read, reads);
  std::vector<PageId> resident = pool_->ResidentPages();
  std::sort(resident.begin(), resident.end());
  EXPECT_EQ(resident, ahead);
}

TEST_F(BufferPoolTest, AScanOfManyPagesDrivesOutNothingElse) {
  Make(64);
  for (int round = 0; round < 4; ++round) {
    for (uint64_t page = 0; page < 50; ++page) ASSERT_TRUE(pool_->FixShared(Page(page)));
  }
  for (uint64_t page = 50; page < 64; ++page) ASSERT_TRUE(pool_->FixShared(Page(page)));
  for (uint64_t page = 64; page < kPages; ++page) {
    ASSERT_TRUE(pool_->FixShared(Page(page), Access::kScan));
  }
  EXPECT_GT(pool_->Stats().ring_reuses, 100U);
  const uint64_t misses = pool_->Stats().misses;
  for (uint64_t page = 0; page < 50; ++page) ASSERT_TRUE(pool_->FixShared(Page(page)));
  EXPECT_EQ(pool_->Stats().misses, misses);
}

TEST_F(BufferPoolTest, AQueryHasNoMorePinsThanItMay) {
  Make(64);
  TestedPageScope query(*pool_, {.name = "query 17", .pins_max = 2});
  {
    auto first = query.FixShared(Page(0));
    auto second = query.FixExclusive(Page(1));
    ASSERT_TRUE(first);
    ASSERT_TRUE(second);
    EXPECT_EQ((*second)->id(), Page(1));
    const auto third = query.FixShared(Page(2));
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(third.error().message, "query 17 has 2 pages latched, all that it may");
    auto moved = std::move(*first);
    EXPECT_EQ(query.pins(), 2U);
  }
  EXPECT_EQ(query.pins(), 0U);
  EXPECT_TRUE(query.FixShared(Page(2)));
}

TEST_F(BufferPoolTest, EachQueryScansInARingOfItsOwn) {
  Make(64);
  for (uint64_t page = 0; page < 64; ++page) ASSERT_TRUE(pool_->FixShared(Page(page)));
  TestedPageScope one(*pool_, {.scan_ring_frames = 2});
  TestedPageScope other(*pool_, {.scan_ring_frames = 2});
  for (uint64_t page = 64; page < 164; ++page) {
    ASSERT_TRUE(one.FixShared(Page(page), Access::kScan));
    ASSERT_TRUE(other.FixShared(Page(page), Access::kScan));
  }
  // The second finds what the first has read; pages that both wanted went to the policy.
  EXPECT_EQ(pool_->Stats().misses, 164U);
}

TEST(PageScopeDeathTest, APageThatIsLeftIsReported) {
  EXPECT_DEATH(
      {
        auto pages = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = 16});
        BufferPoolOptions options;
        options.pages = pages.get();
        options.frames = 16;
        options.record_pins = true;
        auto pool = *TestedPool::Create(options);
        AttachOptions attach;
        attach.store = *MemoryPageStore::Create({.page_bytes = kPageBytes, .pages = 4});
        attach.pages_max = 4;
        const FileId file = *pool->Attach(std::move(attach));
        auto query = std::make_unique<TestedPageScope>(*pool, PageScopeOptions{.name = "query 17"});
        auto left = query->FixShared({file, 3});
        query.reset();
      },
      "PageScope query 17 ends with 1 pages latched.*page 3 of file 0.*buffer_pool_test.cc");
}

TEST_F(BufferPoolTest, ResizesWhilePagesAreThere) {
  Make(64);
  for (uint64_t page = 0; page < 64; ++page) Change(page, page + 1);
  ASSERT_TRUE(pool_->Resize(16));
  EXPECT_LE(pool_->Stats().used_frames, 16U);
  ASSERT_TRUE(pool_->Resize(128));
  for (uint64_t page = 0; page < 128; ++page) {
    EXPECT_EQ(Content(page), page < 64 ? page + 1 : 0);
  }
  EXPECT_EQ(pool_->Stats().used_frames, 128U);
}

TEST_F(BufferPoolTest, PagesStayWhereTheyAreWhileThePoolBecomesManyTimesAsLarge) {
  Make(16);
  {
    auto pinned = pool_->FixShared(Page(3));
    ASSERT_TRUE(pinned);
    auto look = pool_->Peek(Page(4));
    ASSERT_TRUE(look);
    ASSERT_TRUE(pool_->Resize(kPages));
    for (uint64_t page = 0; page < kPages; ++page) ASSERT_TRUE(pool_->FixShared(Page(page)));
    EXPECT_TRUE(look->Validate());
    EXPECT_TRUE(pool_->TryPeek(Page(3)));
  }
  for (uint64_t page = 0; page < kPages; ++page) ASSERT_TRUE(pool_->FixExclusive(Page(page)));
  EXPECT_EQ(watch_.pages_read, kPages);
  ASSERT_TRUE(pool_->Detach(file_));
  EXPECT_EQ(pool_->Stats().entry_bytes, 0U);
}

TEST_F(BufferPoolTest, AShrinkThatPinsStandAgainstLeavesThePoolAsItWas) {
  Make(32);
  std::vector<SharedPage> pins;
  for (uint64_t page = 0; page < 20; ++page) pins.push_back(*pool_->FixShared(Page(page)));
  const auto refused = pool_->Resize(16);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(pool_->Stats().frames, 32U);
  pins.clear();
  EXPECT_TRUE(pool_->Resize(16));
}

TEST_F(BufferPoolTest, UnderABudgetItGivesCleanPagesUpForOthers) {
  MemoryBudget engine({.name = "engine", .hard_limit_bytes = 80 * kPageBytes});
  MemoryBudget frames(engine, {.name = "pages"});
  MemoryBudget entries(engine, {.name = "entries"});
  MemoryBudget query(engine, {.name = "query"});
  pages_ = *PagePool::Create(
      {.page_bytes = kPageBytes, .max_pages = 1000, .magazine_pages = 1, .budget = &frames});
  BufferPoolOptions options = {.pages = pages_.get(), .frames = 64};
  options.budget = &entries;
  options.has_evictor = false;
  pool_ = *TestedPool::Create(options);
  AttachOptions attach;
  attach.store = *MemoryPageStore::Create({.page_bytes = kPageBytes, .pages = kPages});
  attach.pages_max = kPages;
  file_ = *pool_->Attach(std::move(attach));
  for (uint64_t page = 0; page < 64; ++page) ASSERT_TRUE(pool_->FixShared(Page(page)));
  ASSERT_TRUE(query.TryCharge(40 * kPageBytes));
  EXPECT_LT(pool_->Stats().used_frames, 40U);
  EXPECT_LE(engine.Stats().taken_bytes, 80 * kPageBytes);
  query.Release(40 * kPageBytes);
  for (uint64_t page = 0; page < 64; ++page) ASSERT_TRUE(pool_->FixShared(Page(page)));
  pool_.reset();
  pages_.reset();
  EXPECT_EQ(engine.Stats().taken_bytes, 0U);
}

TEST_F(BufferPoolTest, RequestsThatMakeNoSenseAreRefused) {
  Make(16);
  EXPECT_EQ(pool_->FixShared({file_ + 1, 0}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool_->FixShared({kFilesMax, 0}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool_->FixExclusive(Page(2 * kPages)).error().code, ErrorCode::kInvalidArgument);
  // Within what the file may have, and beyond what it has.
  EXPECT_EQ(pool_->Peek(Page(kPages)).error().code, ErrorCode::kIo);
  EXPECT_EQ(pool_->Resize(0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool_->Detach(17).error().code, ErrorCode::kInvalidArgument);
  AttachOptions twice;
  twice.store = *MemoryPageStore::Create({.page_bytes = kPageBytes, .pages = 1});
  twice.id = file_;
  EXPECT_EQ(pool_->Attach(std::move(twice)).error().code, ErrorCode::kInvalidArgument);
  AttachOptions small;
  small.store = *MemoryPageStore::Create({.page_bytes = 512, .pages = 1});
  EXPECT_EQ(pool_->Attach(std::move(small)).error().code, ErrorCode::kInvalidArgument);
  BufferPoolOptions options;
  EXPECT_EQ(TestedPool::Create(options).error().code, ErrorCode::kInvalidArgument);
  options.pages = pages_.get();
  options.frames = 1001;
  EXPECT_EQ(TestedPool::Create(options).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(BufferPoolTest, AFileThatIsInUseIsNotDetached) {
  Make(16);
  Change(1, 3);
  {
    auto pinned = pool_->FixShared(Page(0));
    ASSERT_TRUE(pinned);
    EXPECT_EQ(pool_->Detach(file_).error().code, ErrorCode::kBusy);
  }
  ASSERT_TRUE(pool_->Detach(file_));
  EXPECT_EQ(pool_->FixShared(Page(0)).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(BufferPoolTest, WaitingWritersAndReadersAllComeToTheirTurn) {
  Make(16);
  constexpr int kThreads = 6;
  constexpr int kRounds = 300;
  std::vector<std::thread> threads;
  std::atomic<int> writers = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        if (t % 2 == 0) {
          auto page = pool_->FixExclusive(Page(0));
          ASSERT_TRUE(page);
          EXPECT_EQ(writers.fetch_add(1), 0);
          if (i % 16 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
          writers.fetch_sub(1);
        } else {
          auto page = pool_->FixShared(Page(0));
          ASSERT_TRUE(page);
          EXPECT_EQ(writers.load(), 0);
          if (i % 16 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Each of the pages alone in its neighbourhood, which a pool of the other kind has no memory for.
TEST(HashBufferPoolTest, PagesThatAreAnywhereTakeNoMoreMemoryThanNeighbours) {
  if (!kIsHashPool) GTEST_SKIP() << "an array has a leaf for each";
  constexpr size_t kFrames = 500;
  constexpr uint64_t kGap = 1'000'003 * 1021;
  auto pages = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = kFrames});
  BufferPoolOptions options = {.pages = pages.get(), .frames = kFrames};
  options.files_max = 3000;
  auto pool = *TestedPool::Create(options);
  // Thousands of files, and all but the first have a page or two.
  for (FileId file = 0; file < options.files_max; ++file) {
    AttachOptions attach;
    attach.store =
        *MemoryPageStore::Create({.page_bytes = kPageBytes, .contents = MemoryPages::kDiscard});
    attach.pages_max = file == 0 ? kPagesMax : 2;
    ASSERT_TRUE(pool->Attach(std::move(attach)));
  }
  auto reserved = *pool->Reserve(1);
  const auto check = [&](PageId id) {
    if (reserved.pages() == 0) reserved = *pool->Reserve(1);
    auto made = pool->CreatePage(id, reserved, 1);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->id(), id);
  };
  for (uint64_t i = 0; i < 1000; ++i) ASSERT_NO_FATAL_FAILURE(check({0, i * kGap}));
  ASSERT_NO_FATAL_FAILURE(check({0, kPagesMax - 1}));
  for (FileId file = 1; file < options.files_max; ++file) {
    ASSERT_NO_FATAL_FAILURE(check({file, file % 2}));
  }
  EXPECT_EQ(pool->FixShared({0, kPagesMax}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_LE(pool->Stats().entry_bytes, kFrames * 29 + 4096);
}

}  // namespace
}  // namespace granary
