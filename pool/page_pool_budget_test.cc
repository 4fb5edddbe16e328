// A PagePool under a MemoryBudget: what has memory is charged, and nothing else.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"
#include "pool/page_pool.h"
#include "pool/page_pool_resource.h"

namespace granary {
namespace {

constexpr size_t kPage = 4096;

std::unique_ptr<PagePool> Make(MemoryBudget& budget, size_t max_pages) {
  return std::move(*PagePool::Create({.max_pages = max_pages, .budget = &budget}));
}

TEST(PagePoolBudgetTest, TheBudgetIsTheLimit) {
  MemoryBudget budget({.name = "engine", .hard_limit_bytes = 100 * kPage});
  {
    const auto pool = Make(budget, 1000);
    EXPECT_EQ(budget.Stats().taken_bytes, 0u) << "what was never used has no memory";
    std::vector<std::byte*> pages;
    while (std::byte* const page = pool->Allocate()) pages.push_back(page);
    EXPECT_EQ(pages.size(), 100u);
    EXPECT_EQ(budget.Stats().taken_bytes, 100 * kPage);
    const auto reserved = pool->Reserve(1);
    ASSERT_FALSE(reserved.has_value());
    EXPECT_NE(reserved.error().message.find("engine has 409600 of 409600 bytes"), std::string::npos)
        << reserved.error().message;
    pool->DeallocateBatch(pages);
    EXPECT_EQ(budget.Stats().taken_bytes, 100 * kPage) << "free pages have memory";
    EXPECT_FALSE(budget.TryCharge(1));
    EXPECT_EQ(pool->AllocateChain(100).size(), 100u) << "and are handed out again";
    EXPECT_EQ(pool->Trim(40), 60 * kPage);
    EXPECT_EQ(budget.Stats().taken_bytes, 40 * kPage);
    EXPECT_TRUE(budget.TryCharge(30 * kPage));
    EXPECT_EQ(pool->AllocateBatch(pages), 70u);
    pages.resize(70);
    pool->DeallocateBatch(pages);
    budget.Release(30 * kPage);
  }
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
}

// Of a cache, say, which has pages of its own to give.
TEST(PagePoolBudgetTest, WhoOnlyTriesAsksNobody) {
  class Asked final : public Reclaimer {
   public:
    size_t Reclaim(size_t, Clock::time_point) noexcept override {
      ++calls;
      return 0;
    }
    size_t calls = 0;
  };
  MemoryBudget engine({.name = "engine", .hard_limit_bytes = 100 * kPage});
  MemoryBudget ours(engine, {});
  MemoryBudget others(engine, {});
  Asked asked;
  others.AddReclaimer(asked);
  {
    const auto pool = Make(ours, 1000);
    std::vector<std::byte*> pages;
    while (std::byte* const page = pool->TryAllocate()) pages.push_back(page);
    EXPECT_EQ(pages.size(), 100u) << "all that is free";
    EXPECT_EQ(asked.calls, 0u);
    EXPECT_EQ(engine.Stats().refusals, 0u);
    EXPECT_EQ(pool->Stats().stops, 0u);
    pool->Deallocate(pages.back());
    EXPECT_EQ(pool->TryAllocate(), pages.back()) << "what the thread has at hand";
    EXPECT_EQ(pool->Allocate(), nullptr);
    EXPECT_NE(asked.calls, 0u);
    pool->DeallocateBatch(pages);
  }
  others.RemoveReclaimer(asked);
}

TEST(PagePoolBudgetTest, ASmallerCapReleasesWhatItTakes) {
  MemoryBudget budget({});
  const auto pool = Make(budget, 1000);
  std::vector<std::byte*> pages(800);
  ASSERT_EQ(pool->AllocateBatch(pages), 800u);
  pool->DeallocateBatch(pages);
  ASSERT_TRUE(pool->Resize(300).has_value());
  EXPECT_EQ(pool->Stats().free_pages, 300u);
  // With those that are charged for later.
  EXPECT_GE(pool->Stats().charged_pages, 300u);
  EXPECT_LE(pool->Stats().charged_pages, 300u + 64u);
  (void)pool->Trim();
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
  ASSERT_TRUE(pool->Resize(1000).has_value());
  pages.resize(1000);
  EXPECT_EQ(pool->AllocateBatch(pages), 1000u);
  EXPECT_GE(budget.Stats().taken_bytes, 1000 * kPage);
  pool->DeallocateBatch(pages);
}

TEST(PagePoolBudgetTest, TheExceptionNamesTheBudget) {
  MemoryBudget budget({.name = "engine", .hard_limit_bytes = kPage});
  const auto pool = Make(budget, 10);
  PagePoolResource resource(*pool);
  void* const page = resource.allocate(kPage, kPage);
  try {
    (void)resource.allocate(kPage, kPage);
    FAIL();
  } catch (const BudgetExceeded& refusal) {
    EXPECT_EQ(refusal.scope_path(), "engine");
  }
  resource.deallocate(page, kPage, kPage);
}

// Whoever has memory that costs something to release is asked only when no page is free, in other
// threads' magazines neither.
TEST(PagePoolBudgetTest, FreePagesOfOtherThreadsComeBeforeReclaimers) {
  constexpr size_t kCached = 10;
  class Cache final : public Reclaimer {
   public:
    explicit Cache(MemoryBudget& budget) : budget_(budget) {
      EXPECT_TRUE(budget_.TryCharge(kCached * kPage));
      budget_.AddReclaimer(*this);
    }
    ~Cache() override { budget_.RemoveReclaimer(*this); }
    size_t Reclaim(size_t, Clock::time_point) noexcept override {
      const size_t released = ++calls == 1 ? kCached * kPage : 0;
      if (released != 0) budget_.Release(released);
      return released;
    }
    size_t calls = 0;

   private:
    MemoryBudget& budget_;
  };
  MemoryBudget budget({.hard_limit_bytes = 100 * kPage});
  MemoryBudget pages_budget(budget, {});
  MemoryBudget cache_budget(budget, {});
  Cache cache(cache_budget);
  const auto pool = std::move(
      *PagePool::Create({.max_pages = 1000, .record_sites = false, .budget = &pages_budget}));
  std::vector<std::byte*> theirs;
  std::barrier steps(2);
  std::thread other([&] {
    for (size_t i = 0; i < 90; ++i) theirs.push_back(pool->Allocate());
    for (size_t i = 0; i < 30; ++i) {
      pool->Deallocate(theirs.back());
      theirs.pop_back();
    }
    steps.arrive_and_wait();
    steps.arrive_and_wait();
  });
  steps.arrive_and_wait();
  EXPECT_EQ(std::count(theirs.begin(), theirs.end(), nullptr), 0);
  EXPECT_EQ(pool->Stats().magazine_pages, 30u);
  std::vector<std::byte*> mine(20);
  EXPECT_EQ(pool->AllocateBatch(mine), 20u);
  mine.push_back(pool->Allocate());
  EXPECT_NE(mine.back(), nullptr);
  {
    const auto chain = pool->AllocateChain(9);
    EXPECT_EQ(chain.size(), 9u);
    EXPECT_EQ(cache.calls, 0u);
    EXPECT_EQ(pages_budget.Stats().refusals + budget.Stats().refusals, 0u);
    mine.push_back(pool->Allocate());
    EXPECT_NE(mine.back(), nullptr) << "what the cache had";
    EXPECT_EQ(cache.calls, 1u);
  }
  steps.arrive_and_wait();
  other.join();
  pool->DeallocateBatch(mine);
  pool->DeallocateBatch(theirs);
}

// What is freed on another thread meanwhile may come to lie in that thread's magazine, unseen by
// the budget, and no reclaimer speaks of it.
TEST(PagePoolBudgetTest, PagesThatComeIntoAMagazineDuringReclaimAreFound) {
  class Waits final : public Reclaimer {
   public:
    explicit Waits(std::barrier<>& steps) : steps_(steps) {}
    size_t Reclaim(size_t, Clock::time_point) noexcept override {
      steps_.arrive_and_wait();
      steps_.arrive_and_wait();
      return 0;
    }

   private:
    std::barrier<>& steps_;
  };
  MemoryBudget budget({.hard_limit_bytes = 100 * kPage});
  MemoryBudget pages_budget(budget, {});
  MemoryBudget waiting(budget, {});
  std::barrier steps(2);
  Waits waits(steps);
  waiting.AddReclaimer(waits);
  const auto pool = std::move(
      *PagePool::Create({.max_pages = 1000, .record_sites = false, .budget = &pages_budget}));
  std::vector<std::byte*> pages(100);
  ASSERT_EQ(pool->AllocateBatch(pages), 100u);
  std::thread other([&] {
    steps.arrive_and_wait();
    // The first goes to the lists, as the thread has no magazine that is started, the next into it.
    pool->Deallocate(pages.back());
    pages.back() = pool->Allocate();
    pool->Deallocate(pages.back());
    pages.pop_back();
    EXPECT_EQ(pool->Stats().magazine_pages, 1u);
    steps.arrive_and_wait();
    steps.arrive_and_wait();
  });
  std::byte* const page = pool->Allocate();
  EXPECT_NE(page, nullptr);
  steps.arrive_and_wait();
  other.join();
  if (page != nullptr) pool->Deallocate(page);
  pool->DeallocateBatch(pages);
  waiting.RemoveReclaimer(waits);
}

// Above a soft limit reclaimers are asked for pages as for everything else.
TEST(PagePoolBudgetTest, PagesAboveASoftLimitAskForMemory) {
  class Counts final : public Reclaimer {
   public:
    size_t Reclaim(size_t, Clock::time_point) noexcept override { return ++calls, 0; }
    size_t calls = 0;
  };
  MemoryBudget budget({.soft_limit_bytes = 200 * kPage});
  MemoryBudget pages_budget(budget, {});
  MemoryBudget cache_budget(budget, {});
  Counts counts;
  cache_budget.AddReclaimer(counts);
  ASSERT_TRUE(cache_budget.TryCharge(1));
  const auto pool = Make(pages_budget, 1000);
  std::vector<std::byte*> pages(100);
  EXPECT_EQ(pool->AllocateBatch(pages), 100u);
  EXPECT_EQ(counts.calls, 0u);
  std::vector<std::byte*> more(200);
  EXPECT_EQ(pool->AllocateBatch(more), 200u);
  EXPECT_GT(counts.calls, 0u);
  pool->DeallocateBatch(pages);
  pool->DeallocateBatch(more);
  cache_budget.RemoveReclaimer(counts);
}

// A reclaimer that trims the pool, asked from within the pool's own allocations and by others.
TEST(PagePoolBudgetTest, ThePoolTrimsForOthersAndForItself) {
  class Trims final : public Reclaimer {
   public:
    explicit Trims(std::unique_ptr<PagePool>& pool) : pool_(pool) {}
    size_t Reclaim(size_t, Clock::time_point) noexcept override { return pool_->Trim(); }

   private:
    std::unique_ptr<PagePool>& pool_;
  };
  MemoryBudget budget({.hard_limit_bytes = 300 * kPage});
  MemoryBudget pages_budget(budget, {});
  MemoryBudget others(budget, {});
  std::unique_ptr<PagePool> pool = Make(pages_budget, 1000);
  Trims trims(pool);
  pages_budget.AddReclaimer(trims, 0, Reclaimer::Serves::kEveryone);
  std::atomic<size_t> served = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(static_cast<uint32_t>(t + 1));
      std::vector<std::byte*> pages;
      for (int i = 0; i < 3000; ++i) {
        if (t == 0) {
          if (others.TryCharge(100 * kPage)) {
            ++served;
            others.Release(100 * kPage);
          }
        } else if (random() % 2 == 0 && pages.size() < 60) {
          if (std::byte* const page = pool->Allocate()) {
            page[0] = std::byte{1};
            pages.push_back(page);
          }
        } else if (!pages.empty()) {
          pool->Deallocate(pages.back());
          pages.pop_back();
        }
      }
      pool->DeallocateBatch(pages);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(served, 0u);
  EXPECT_EQ(pool->Stats().live_pages, 0u);
  (void)pool->Trim();
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
  pages_budget.RemoveReclaimer(trims);
}

}  // namespace
}  // namespace granary
