// Pages that threads of the pool bring, while whoever asked for them goes on.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <future>
#include <memory>
#include <random>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/prefetcher.h"
#include "pool/buffer/testing/fault_page_store.h"
#include "pool/buffer/testing/held_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

using namespace std::chrono_literals;

constexpr size_t kPageBytes = 512;
constexpr uint64_t kPages = 20'000;

class StartPrefetchTest : public ::testing::Test {
 protected:
  void Make(size_t frames, size_t threads = 1) {
    pool_.reset();
    pages_ = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = frames});
    pool_ = *BufferPool::Create({.pages = pages_.get(),
                                 .frames = frames,
                                 .has_evictor = false,
                                 .prefetch_threads = threads});
  }
  FileId Attach(std::unique_ptr<PageStore> store) {
    AttachOptions attach;
    attach.store = std::move(store);
    attach.pages_max = kPages;
    return *pool_->Attach(std::move(attach));
  }
  FileId Attach() {
    return Attach(std::make_unique<HeldStore>(
        traffic_,
        MemoryPageStoreOptions{
            .page_bytes = kPageBytes, .pages = kPages, .contents = MemoryPages::kDiscard}));
  }
  static std::vector<PageId> Ids(FileId file, uint64_t first, uint64_t end) {
    std::vector<PageId> ids;
    for (uint64_t page = first; page < end; ++page) ids.push_back({file, page});
    return ids;
  }
  bool IsThere(PageId id) { return pool_->TryPeek(id).has_value(); }
  // False after a while in which some do not come.
  bool AwaitThere(std::span<const PageId> ids) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    for (const PageId& id : ids) {
      while (!IsThere(id)) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::yield();
      }
    }
    return true;
  }

  // The last ones are counted when they are there already.
  bool AwaitPrefetched(uint64_t count) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (pool_->Stats().prefetched != count && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    return pool_->Stats().prefetched == count;
  }

  Traffic traffic_;
  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<BufferPool> pool_;
};

TEST_F(StartPrefetchTest, TheCallerGoesOnWhilePagesCome) {
  Make(1000);
  const FileId file = Attach();
  const auto ids = Ids(file, 0, 300);
  traffic_.HoldReads();
  EXPECT_EQ(pool_->StartPrefetch(ids), ids.size());
  ASSERT_TRUE(traffic_.AwaitHeld());
  EXPECT_FALSE(IsThere(ids[0]));
  traffic_.LetGo();
  EXPECT_TRUE(AwaitThere(ids));
  for (const PageId& id : ids) {
    const auto fixed = pool_->FixShared(id);
    ASSERT_TRUE(fixed) << fixed.error().message;
    uint64_t number;
    std::memcpy(&number, fixed->data(), sizeof(number));
    EXPECT_EQ(number, id.page);
    EXPECT_EQ(traffic_.ReadsOf(id.page), 1);
  }
  EXPECT_EQ(pool_->Stats().misses, 0U);
  EXPECT_TRUE(AwaitPrefetched(ids.size()));
}

TEST_F(StartPrefetchTest, WhoFixesAPageThatIsOnItsWayWaitsForThatRead) {
  Make(1000);
  const FileId file = Attach();
  traffic_.HoldReads();
  ASSERT_EQ(pool_->StartPrefetch(Ids(file, 0, 10)), 10U);
  ASSERT_TRUE(traffic_.AwaitHeld());
  auto fixed = std::async(std::launch::async, [&] { return bool{pool_->FixShared({file, 3})}; });
  EXPECT_EQ(fixed.wait_for(10ms), std::future_status::timeout);
  traffic_.LetGo();
  EXPECT_TRUE(fixed.get());
  EXPECT_EQ(traffic_.ReadsOf(3), 1);
  EXPECT_EQ(pool_->Stats().misses, 0U);
}

TEST_F(StartPrefetchTest, NoMoreAreTakenThanMayWait) {
  constexpr size_t kMax = buffer::Prefetcher::kPagesMax;
  Make(16);
  const FileId file = Attach();
  traffic_.HoldReads();
  // This one is on its way, and no page waits.
  ASSERT_EQ(pool_->StartPrefetch(Ids(file, kPages - 1, kPages)), 1U);
  ASSERT_TRUE(traffic_.AwaitHeld());
  EXPECT_EQ(pool_->StartPrefetch(Ids(file, 0, kMax - 1)), kMax - 1);
  EXPECT_EQ(pool_->StartPrefetch(Ids(file, kMax, kMax + 9)), 1U);
  EXPECT_EQ(pool_->StartPrefetch(Ids(file, kMax, kMax + 9)), 0U);
  traffic_.LetGo();
  EXPECT_TRUE(AwaitThere(Ids(file, kMax, kMax + 1)));
}

TEST_F(StartPrefetchTest, NoneAreTakenWithoutThreads) {
  Make(16, 0);
  const FileId file = Attach();
  EXPECT_EQ(pool_->StartPrefetch(Ids(file, 0, 9)), 0U);
  EXPECT_EQ(pool_->StartPrefetch({}), 0U);
  EXPECT_EQ(pool_->Prefetch(Ids(file, 0, 9)), 9U);
  EXPECT_FALSE(BufferPool::Create({.pages = pages_.get(), .frames = 16, .prefetch_threads = 65}));
}

TEST_F(StartPrefetchTest, PagesOfFilesThatAlternateAllCome) {
  for (const size_t threads : {1u, 3u}) {
    Make(2000, threads);
    const FileId files[] = {Attach(), Attach(), Attach()};
    std::vector<PageId> ids;
    for (uint64_t i = 0; i < 1500; ++i) ids.push_back({files[i * i % 7 % 3], i});
    for (size_t i = 0; i < ids.size(); i += 50) {
      ASSERT_EQ(pool_->StartPrefetch(std::span(ids).subspan(i, 50)), 50U);
    }
    EXPECT_TRUE(AwaitThere(ids));
    EXPECT_TRUE(AwaitPrefetched(ids.size()));
  }
}

// Behind pages of one file that come without end, those of another have their turn.
TEST_F(StartPrefetchTest, NobodyWaitsForEver) {
  Make(64);
  const FileId busy = Attach();
  const FileId other = Attach();
  std::atomic<bool> is_enough = false;
  std::thread feeding([&] {
    for (uint64_t page = 0; !is_enough; page = (page + 32) % (kPages - 32)) {
      (void)pool_->StartPrefetch(Ids(busy, page, page + 32), Access::kOnce);
    }
  });
  while (pool_->Stats().prefetched < 5000) std::this_thread::yield();
  // Evicted again as soon as it comes, perhaps: its read is what is seen.
  while (pool_->StartPrefetch(Ids(other, kPages - 1, kPages)) == 0) std::this_thread::yield();
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (traffic_.ReadsOf(kPages - 1) == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  is_enough = true;
  feeding.join();
  EXPECT_NE(traffic_.ReadsOf(kPages - 1), 0);
}

TEST_F(StartPrefetchTest, PagesThatCannotBeBroughtHarmNoOther) {
  Make(100);
  auto faults = std::make_unique<FaultPageStore>(
      *MemoryPageStore::Create({.page_bytes = kPageBytes, .pages = 500}));
  FaultPageStore& store = *faults;
  const FileId file = Attach(std::move(faults));
  store.InjectNth(PageFault::kReadError, 5);
  std::vector<PageId> ids = {{file, kPages}, {file, 600}, {file + 1, 1}, {~FileId{0}, 1}};
  const auto right = Ids(file, 0, 10);
  ids.insert(ids.end(), right.begin(), right.end());
  EXPECT_EQ(pool_->StartPrefetch(ids), ids.size());
  EXPECT_TRUE(AwaitThere(Ids(file, 5, 10)));
  EXPECT_FALSE(IsThere({file, 4}));
  EXPECT_EQ(pool_->Stats().read_errors, 1U);
  EXPECT_TRUE(pool_->FixShared({file, 4}));
}

TEST_F(StartPrefetchTest, WhatThereAreNoFramesForIsInNobodysWay) {
  Make(32);
  const FileId file = Attach();
  {
    const auto all = pool_->Reserve(32);
    ASSERT_TRUE(all);
    EXPECT_EQ(pool_->StartPrefetch(Ids(file, 0, 500)), 500U);
    // Of a page that there is no frame for, whoever fixes it hears after a while.
    EXPECT_EQ(pool_->FixShared({file, 700}).error().code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(pool_->Stats().prefetched, 0U);
  }
  EXPECT_EQ(pool_->StartPrefetch(Ids(file, 1000, 1008)), 8U);
  EXPECT_TRUE(AwaitThere(Ids(file, 1000, 1008)));
}

TEST_F(StartPrefetchTest, AFileIsDetachedWhateverIsAskedForOfIt) {
  Make(1000);
  const FileId file = Attach();
  const FileId other = Attach();
  traffic_.HoldReads();
  ASSERT_EQ(pool_->StartPrefetch(Ids(file, 0, 500)), 500U);
  ASSERT_TRUE(traffic_.AwaitHeld());
  ASSERT_EQ(pool_->StartPrefetch(Ids(other, 1000, 1010)), 10U);
  ASSERT_EQ(pool_->StartPrefetch(Ids(file, 500, 900)), 400U);
  auto detached = std::async(std::launch::async, [&] { return bool{pool_->Detach(file)}; });
  EXPECT_EQ(detached.wait_for(10ms), std::future_status::timeout);
  traffic_.LetGo();
  EXPECT_TRUE(detached.get());
  EXPECT_EQ(traffic_.ReadsOf(899), 0);
  EXPECT_TRUE(AwaitThere(Ids(other, 1000, 1010)));
  for (const PageId& id : pool_->ResidentPages()) EXPECT_EQ(id.file, other);
}

TEST_F(StartPrefetchTest, APoolEndsWhateverIsAskedForOfIt) {
  for (const size_t threads : {1u, 2u}) {
    Make(1000, threads);
    const FileId file = Attach();
    ASSERT_EQ(pool_->StartPrefetch(Ids(file, 0, 4000)), 4000U);
    pool_.reset();
  }
}

TEST_F(StartPrefetchTest, BesideAllElseThatAPoolDoes) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  Make(1200, 2);
  const FileId file = Attach();
  constexpr size_t kSteps = kCheckedBuild ? 2000 : 20'000;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + t);
      for (size_t i = 0; i < kSteps; ++i) {
        const uint64_t page = random() % 4000;
        const auto access = static_cast<Access>(random() % 4);
        if (random() % 4 == 0) {
          (void)pool_->StartPrefetch(Ids(file, page, page + random() % 40), access);
        }
        auto fixed = pool_->FixShared({file, page}, access);
        ASSERT_TRUE(fixed) << fixed.error().message;
        uint64_t number;
        std::memcpy(&number, fixed->data(), sizeof(number));
        ASSERT_EQ(number, page);
      }
    });
  }
  std::mt19937_64 random(seed + 3);
  for (int i = 0; i < 20; ++i) {
    // A file of its own, which goes while its pages come.
    const FileId passing = Attach();
    (void)pool_->StartPrefetch(Ids(passing, 0, random() % 300));
    EXPECT_TRUE(pool_->Resize(300 + random() % 900));
    const auto gone = pool_->Detach(passing);
    EXPECT_TRUE(gone) << gone.error().message;
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace granary
