// What PagePool promises to many threads: the exact cap, magazines that come back, fork.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

// With sites recorded and without: then there are magazines.
class PagePoolThreadsTest : public ::testing::TestWithParam<bool> {
 protected:
  static bool HasMagazines() { return !GetParam(); }
  static std::unique_ptr<PagePool> Make(PagePoolOptions options) {
    options.record_sites = GetParam();
    return std::move(*PagePool::Create(options));
  }
};
std::string SitesName(const ::testing::TestParamInfo<bool>& parameter) {
  return parameter.param ? "Recorded" : "NotRecorded";
}
INSTANTIATE_TEST_SUITE_P(Sites, PagePoolThreadsTest, ::testing::Bool(), SitesName);

// The stress tests' steps over all threads; more of them with GRANARY_TEST_OPERATIONS.
int Steps(int usual) {
  const char* const asked = std::getenv("GRANARY_TEST_OPERATIONS");
  return asked != nullptr ? std::atoi(asked) : usual;
}

TEST_P(PagePoolThreadsTest, TheLastFreePageIsFoundInAnyMagazine) {
  constexpr int kThreads = 64;
  constexpr size_t kPages = 4096;
  const auto pool = Make({.max_pages = kPages});
  std::barrier filled(kThreads);
  std::barrier hoarded(kThreads + 1);
  std::barrier checked(kThreads + 1);
  std::atomic<size_t> kept = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      // Fills its magazine, and keeps ten pages. No stop empties it again: that comes of
      // allocations.
      std::vector<std::byte*> pages;
      for (int i = 0; i < 60; ++i) {
        if (std::byte* const page = pool->Allocate()) pages.push_back(page);
      }
      filled.arrive_and_wait();
      while (pages.size() > 10) {
        pool->Deallocate(pages.back());
        pages.pop_back();
      }
      kept += pages.size();
      hoarded.arrive_and_wait();
      checked.arrive_and_wait();
      for (std::byte* const page : pages) pool->Deallocate(page);
    });
  }
  hoarded.arrive_and_wait();
  if (HasMagazines()) {
    EXPECT_GT(pool->Stats().magazine_pages, 100u) << "the threads were to hoard";
  }
  std::vector<std::byte*> rest;
  while (std::byte* const page = pool->Allocate()) rest.push_back(page);
  EXPECT_EQ(rest.size(), kPages - kept);
  EXPECT_EQ(pool->Stats().live_pages, kPages);
  pool->Deallocate(rest.back());
  rest.pop_back();
  // One page, and it is in the magazine of another thread.
  std::thread([&] {
    std::byte* const last = pool->Allocate();
    EXPECT_NE(last, nullptr);
    EXPECT_EQ(pool->Allocate(), nullptr);
    pool->Deallocate(last);
  }).join();
  pool->DeallocateBatch(rest);
  checked.arrive_and_wait();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool->Stats().live_pages, 0u);
}

// As many pages as there are takers: whoever gives one back finds one again, whatever the others
// do.
TEST_P(PagePoolThreadsTest, NobodyIsRefusedWhileAPageIsFree) {
  constexpr int kThreads = 4;
  const auto pool = Make({.max_pages = kThreads});
  std::vector<std::thread> threads;
  std::atomic<int> refused = 0;
  const int steps = Steps(20'000) / kThreads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < steps; ++i) {
        std::byte* const page = pool->Allocate();
        if (page == nullptr) {
          ++refused;
          continue;
        }
        page[0] = std::byte{1};
        pool->Deallocate(page);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(pool->Stats().live_pages, 0u);
}

// A thread is stopped for what it has at hand; who has been stopped and does nothing is left alone.
TEST_P(PagePoolThreadsTest, RefusalsStopNobodyTwice) {
  const auto pool = Make({.max_pages = 100});
  std::barrier turn(2);
  std::thread other([&] {
    std::byte* const page = pool->Allocate();
    pool->Deallocate(page);
    turn.arrive_and_wait();
    turn.arrive_and_wait();
  });
  turn.arrive_and_wait();
  std::vector<std::byte*> pages;
  while (std::byte* const page = pool->Allocate()) pages.push_back(page);
  EXPECT_EQ(pages.size(), 100u);
  const uint64_t stops = pool->Stats().stops;
  EXPECT_EQ(stops > 0, HasMagazines());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pool->Allocate(), nullptr);
  EXPECT_FALSE(pool->Reserve(1).has_value());
  EXPECT_EQ(pool->Stats().stops, stops);
  pool->DeallocateBatch(pages);
  turn.arrive_and_wait();
  other.join();
  EXPECT_EQ(pool->Stats().live_pages, 0u);
}

// Writes its tag into what it holds, finds it unharmed when it gives it back; pages wander between
// threads; now and then someone trims, resizes or takes a batch or a chain.
TEST_P(PagePoolThreadsTest, PagesAreNeverGivenToTwo) {
  constexpr int kThreads = 6;
  constexpr size_t kPages = 700;
  const auto pool = Make({.page_bytes = 512, .max_pages = kPages, .reserve_pages = 2 * kPages});
  std::mutex mutex;
  std::vector<std::byte*> wandering;
  std::atomic<uint64_t> harmed = 0;
  const int steps = Steps(300'000) / kThreads;
  const auto sign = [](std::byte* page, uint64_t tag) {
    std::memcpy(page, &tag, 8);
    std::memcpy(page + 504, &tag, 8);
  };
  const auto is_signed = [](const std::byte* page) {
    return std::memcmp(page, page + 504, 8) == 0;
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<uint64_t>(t) + 1);
      std::vector<std::byte*> mine;
      const auto take = [&](std::byte* page) {
        if (page == nullptr) return;
        sign(page, random());
        mine.push_back(page);
      };
      const auto drop = [&]() -> std::byte* {
        std::swap(mine[random() % mine.size()], mine.back());
        std::byte* const page = mine.back();
        mine.pop_back();
        if (!is_signed(page)) ++harmed;
        return page;
      };
      for (int i = 0; i < steps; ++i) {
        const uint64_t dice = random() % 1000;
        if (dice < 450) {
          take(pool->Allocate());
        } else if (dice < 850) {
          if (!mine.empty()) pool->Deallocate(drop());
        } else if (dice < 900) {
          const std::lock_guard lock(mutex);
          if (!mine.empty()) wandering.push_back(drop());
        } else if (dice < 950) {
          const std::lock_guard lock(mutex);
          if (!wandering.empty()) {
            mine.push_back(wandering.front());
            wandering.erase(wandering.begin());
          }
        } else if (dice < 970) {
          std::vector<std::byte*> batch(random() % 100);
          batch.resize(pool->AllocateBatch(batch));
          for (std::byte* const page : batch) take(page);
        } else if (dice < 985) {
          std::vector<std::byte*> batch;
          while (mine.size() > 20) batch.push_back(drop());
          pool->DeallocateBatch(batch);
        } else if (dice < 994) {
          auto chain = pool->AllocateChain(random() % 50);
          uint64_t tag = random();
          for (std::byte* const page : chain) sign(page, tag++);
          if (!mine.empty()) chain.Append(drop());
          for (std::byte* const page : chain) {
            if (!is_signed(page)) ++harmed;
          }
          if (!chain.empty()) take(chain.Take());
        } else if (dice < 997) {
          (void)pool->Trim(random() % 300);
        } else {
          (void)pool->Resize(kPages / 2 + random() % kPages);
        }
      }
      for (std::byte* const page : mine) {
        if (!is_signed(page)) ++harmed;
      }
      pool->DeallocateBatch(mine);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(harmed, 0u);
  pool->DeallocateBatch(wandering);
  EXPECT_EQ(pool->Stats().live_pages, 0u);
  size_t pages = 0;
  while (pool->Allocate() != nullptr) ++pages;
  EXPECT_EQ(pages, pool->Stats().max_pages) << "every page is still there, once";
}

TEST_P(PagePoolThreadsTest, ReservedPagesAreThereWhateverOthersTake) {
  constexpr int kThreads = 4;
  const auto pool = Make({.max_pages = 400});
  std::atomic<int> failed = 0;
  std::atomic<int> reserved_count = 0;
  const int steps = Steps(100'000) / kThreads;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<uint32_t>(t));
      std::vector<std::byte*> pages;
      for (int i = 0; i < steps;) {
        const size_t count = 1 + random() % 30;
        auto reserved = pool->Reserve(count);
        if (!reserved) {
          // The others have it all; they give it back without us.
          pool->DeallocateBatch(pages);
          pages.clear();
          ++i;
          continue;
        }
        ++reserved_count;
        // Meanwhile everything else goes.
        for (int k = 0; k < 40; ++k) {
          if (std::byte* const page = pool->Allocate()) pages.push_back(page);
        }
        for (size_t k = 0; k < count; ++k, ++i) {
          std::byte* const page = reserved->Take();
          if (page == nullptr) {
            ++failed;
          } else {
            pages.push_back(page);
          }
        }
        if (random() % 3 == 0) {
          pool->DeallocateBatch(pages);
          pages.clear();
        }
      }
      pool->DeallocateBatch(pages);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(reserved_count, 0);
  EXPECT_EQ(pool->Stats().live_pages, 0u);
}

TEST_P(PagePoolThreadsTest, AThreadThatEndsLeavesItsMagazine) {
  const auto pool = Make({.max_pages = 10'000});
  for (int round = 0; round < 100; ++round) {
    std::thread([&] {
      std::byte* const page = pool->Allocate();
      ASSERT_NE(page, nullptr);
      pool->Deallocate(page);
      if (HasMagazines()) {
        ASSERT_GT(pool->Stats().magazine_pages, 0u);
      }
    }).join();
    ASSERT_EQ(pool->Stats().magazine_pages, 0u);
  }
  EXPECT_LE(pool->Stats().touched_pages_max, 64u) << "each uses what the one before has left";
  EXPECT_EQ(pool->Stats().stops, 0u);
}

TEST_P(PagePoolThreadsTest, PoolsComeAndGoWhileThreadsLive) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 100;
  std::vector<std::unique_ptr<PagePool>> pools(3);
  std::barrier made(kThreads + 1);
  std::barrier used(kThreads + 1);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        made.arrive_and_wait();
        for (int i = 0; i < 100; ++i) {
          for (const auto& pool : pools) {
            std::byte* const page = pool->Allocate();
            ASSERT_NE(page, nullptr);
            page[0] = std::byte{1};
            pool->Deallocate(page);
          }
        }
        used.arrive_and_wait();
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    for (auto& pool : pools) pool = Make({.max_pages = 1000});
    made.arrive_and_wait();
    used.arrive_and_wait();
    for (const auto& pool : pools) EXPECT_EQ(pool->Stats().live_pages, 0u);
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(PagePoolThreadsTest, AChildOfAForkHasAPoolOfItsOwn) {
  const auto pool = Make({.max_pages = 1000});
  std::atomic<bool> stop = false;
  std::atomic<int> running = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      std::vector<std::byte*> pages;
      for (bool first = true; !stop; first = false) {
        for (int i = 0; i < 100; ++i) pages.push_back(pool->Allocate());
        pool->DeallocateBatch(std::span(pages).subspan(50));
        pages.resize(50);
        for (std::byte* const page : pages) pool->Deallocate(page);
        pages.clear();
        if (first) ++running;
      }
    });
  }
  while (running < 3) std::this_thread::yield();
  std::byte* const mine = pool->Allocate();
  mine[0] = std::byte{42};
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      // At most what the three threads had out, and mine, are missing.
      size_t found = 0;
      while (std::byte* const page = pool->Allocate()) {
        page[0] = std::byte{1};
        ++found;
      }
      const bool good = mine[0] == std::byte{42} && found >= 1000 - 3 * 100 - 1 && found <= 999;
      _exit(good ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  pool->Deallocate(mine);
  EXPECT_EQ(pool->Stats().live_pages, 0u);
}

}  // namespace
}  // namespace granary
