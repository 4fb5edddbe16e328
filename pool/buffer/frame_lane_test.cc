// Frames and pages that lanes have: a pool with lanes is to be like one without, but for its costs.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kFrames = 4096;
constexpr uint64_t kPages = 4 * kFrames;

class FrameLaneTest : public ::testing::Test {
 protected:
  void SetUp() override {
    pages_ = *PagePool::Create({.page_bytes = 512, .max_pages = kFrames});
    BufferPoolOptions options;
    options.pages = pages_.get();
    options.frames = kFrames;
    options.frame_wait = std::chrono::milliseconds(100);
    pool_ = *BufferPool::Create(options);
    file_ = Attach();
  }

  FileId Attach() {
    AttachOptions attach;
    attach.store = *MemoryPageStore::Create({.page_bytes = 512, .pages = kPages});
    attach.pages_max = kPages;
    return *pool_->Attach(std::move(attach));
  }
  void Read(FileId file, uint64_t begin, uint64_t end) {
    for (uint64_t page = begin; page < end; ++page) {
      ASSERT_TRUE(pool_->FixShared({file, page})) << page;
    }
  }
  // By threads that come one after another, each with a lane of its own.
  void ReadByManyThreads(FileId file, uint64_t pages) {
    constexpr uint64_t kThreads = 8;
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (uint64_t page = t; page < pages; page += kThreads) {
          ASSERT_TRUE(pool_->FixShared({file, page})) << page;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<BufferPool> pool_;
  FileId file_ = 0;
};

TEST_F(FrameLaneTest, EveryFrameIsToBeHadWhereverItIs) {
  ReadByManyThreads(file_, kPages);
  EXPECT_EQ(pool_->Stats().misses, kPages);
  EXPECT_EQ(pool_->Stats().used_frames, kFrames);
  const auto all = pool_->Reserve(kFrames);
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_TRUE(pool_->ResidentPages().empty());
  EXPECT_EQ(pool_->Reserve(1).error().code, ErrorCode::kOutOfMemory);
}

TEST_F(FrameLaneTest, FreeFramesAreCountedWhereverTheyAre) {
  ReadByManyThreads(file_, kPages);
  const BufferPoolStats stats = pool_->Stats();
  EXPECT_EQ(stats.free_frames + pool_->ResidentPages().size(), kFrames);
  EXPECT_LE(stats.free_frames, 8 * 16U);
}

TEST_F(FrameLaneTest, PagesThatAreDiscardedAtOnceGiveTheirFramesBack) {
  for (int round = 0; round < 3; ++round) {
    for (uint64_t page = 0; page < kFrames; ++page) {
      auto fixed = pool_->FixExclusive({file_, page});
      ASSERT_TRUE(fixed) << fixed.error().message;
      pool_->Discard(*std::move(fixed));
    }
    EXPECT_TRUE(pool_->ResidentPages().empty());
    EXPECT_TRUE(pool_->Reserve(kFrames));
  }
}

// Hits of a page that the policy has not been told of yet.
TEST_F(FrameLaneTest, EarlyHitsCount) {
  constexpr uint64_t kHot = kFrames / 2;
  for (uint64_t page = 0; page < kHot; ++page) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool_->FixShared({file_, page}));
  }
  Read(file_, kHot, kPages);
  const uint64_t before = pool_->Stats().misses;
  Read(file_, 0, kHot);
  EXPECT_EQ(pool_->Stats().misses, before) << "pages that were read once drive out what was hot";
}

TEST_F(FrameLaneTest, AFileIsDetachedWhosePagesAreInLanes) {
  const FileId other = Attach();
  ReadByManyThreads(other, kFrames / 2);
  EXPECT_TRUE(pool_->Detach(other));
  EXPECT_TRUE(pool_->Reserve(kFrames));
}

// A pool that is too small for lanes leaves nothing in them.
TEST_F(FrameLaneTest, APoolThatBecomesSmallHasAllOfItsFrames) {
  ReadByManyThreads(file_, kPages);
  constexpr size_t kFew = 32;
  const auto resized = pool_->Resize(kFew);
  ASSERT_TRUE(resized) << resized.error().message;
  EXPECT_EQ(pool_->Stats().used_frames, kFew);
  {
    const auto all = pool_->Reserve(kFew);
    ASSERT_TRUE(all) << all.error().message;
  }
  Read(file_, 0, kPages);
  ASSERT_TRUE(pool_->Resize(kFrames));
  ReadByManyThreads(file_, kPages);
  EXPECT_TRUE(pool_->Reserve(kFrames));
}

// Both are at their limit all the time.
TEST_F(FrameLaneTest, ReservationsAndMissesTakeTurns) {
  std::atomic<bool> ends = false;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t page = t; !ends; page = (page + 7) % kPages) {
        const auto fixed = pool_->FixShared({file_, page});
        // Or the reservation has them all.
        if (!fixed) {
          ASSERT_EQ(fixed.error().code, ErrorCode::kOutOfMemory);
        }
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    const auto most = pool_->Reserve(kFrames - 16);
    EXPECT_TRUE(most) << most.error().message;
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(pool_->Reserve(kFrames));
}

}  // namespace
}  // namespace granary
