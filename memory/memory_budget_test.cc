// MemoryBudget: limits that hold exactly, what is prepaid and taken back, who is asked and named.
#include "memory/memory_budget.h"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_resource.h"

namespace granary {
namespace {

using std::chrono::milliseconds;

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;

MemoryBudget::Clock::time_point In(milliseconds time) { return MemoryBudget::Clock::now() + time; }

// Releases what it has been given, to the node it was given for.
class Cache final : public Reclaimer {
 public:
  explicit Cache(MemoryBudget& budget) : budget_(budget) {}

  void Fill(size_t bytes) {
    ASSERT_TRUE(budget_.TryCharge(bytes));
    held += bytes;
  }
  size_t Reclaim(size_t bytes, Clock::time_point) noexcept override {
    ++calls;
    asked = bytes;
    const size_t released = std::min(bytes, held);
    held -= released;
    if (released != 0) budget_.Release(released);
    return released;
  }

  size_t held = 0;
  size_t asked = 0;
  int calls = 0;

 private:
  MemoryBudget& budget_;
};

TEST(MemoryBudgetTest, ChargesHereAndAbove) {
  MemoryBudget root({.name = "process"});
  MemoryBudget engine(root, {.name = "engine"});
  MemoryBudget query(engine, {.name = "query", .number = 17});
  EXPECT_TRUE(query.TryCharge(100));
  EXPECT_TRUE(engine.TryCharge(10));
  EXPECT_EQ(query.Stats().taken_bytes, 100u);
  EXPECT_EQ(engine.Stats().taken_bytes, 110u);
  EXPECT_EQ(root.Stats().taken_bytes, 110u);
  query.Release(60);
  EXPECT_EQ(root.Stats().taken_bytes, 50u);
  EXPECT_EQ(root.Stats().peak_bytes, 110u);
  EXPECT_EQ(query.Path(), "process/engine/query 17");
  query.Release(40);
  engine.Release(10);
}

TEST(MemoryBudgetTest, EveryLimitHoldsExactly) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget a(root, {.hard_limit_bytes = 700});
  MemoryBudget b(root, {.hard_limit_bytes = 700});
  EXPECT_FALSE(a.TryCharge(701));
  EXPECT_TRUE(a.TryCharge(700));
  EXPECT_FALSE(a.TryCharge(1));
  EXPECT_FALSE(b.TryCharge(301)) << "the root's";
  EXPECT_TRUE(b.TryCharge(300));
  EXPECT_FALSE(b.TryCharge(1));
  EXPECT_FALSE(b.TryCharge(SIZE_MAX));
  EXPECT_TRUE(b.TryCharge(0));
  EXPECT_EQ(root.Stats().taken_bytes, 1000u);
  EXPECT_EQ(a.Stats().refusals, 2u);
  EXPECT_EQ(root.Stats().refusals, 2u);
  a.Release(700);
  b.Release(300);
}

TEST(MemoryBudgetTest, AnAccountPrepaysAndIsExactAtTheLimit) {
  MemoryBudget root({.hard_limit_bytes = 10 * kMiB});
  MemoryBudget query(root, {});
  {
    BudgetAccount account(query);
    size_t charged = 0;
    while (account.TryCharge(1000)) charged += 1000;
    EXPECT_GT(charged + 1000, 10 * kMiB);
    EXPECT_LE(root.Stats().taken_bytes, 10 * kMiB);
    EXPECT_EQ(root.Stats().taken_bytes - root.Stats().prepaid_bytes, charged);
    EXPECT_LT(root.Stats().rounds, 300u) << "ten thousand charges";
    for (; charged > 0; charged -= 1000) account.Release(1000);
  }
  EXPECT_EQ(root.Stats().taken_bytes, 0u);
}

TEST(MemoryBudgetTest, APrepaidByteIsNobodysAtTheLimit) {
  MemoryBudget root({.hard_limit_bytes = 100 * kMiB});
  std::vector<std::unique_ptr<BudgetAccount>> accounts;
  for (int i = 0; i < 20; ++i) {
    accounts.push_back(std::make_unique<BudgetAccount>(root));
    for (int k = 0; k < 2000; ++k) ASSERT_TRUE(accounts.back()->TryCharge(kKiB));
  }
  EXPECT_GT(root.Stats().prepaid_bytes, 0u);
  const size_t left = 100 * kMiB - 20 * 2000 * kKiB;
  EXPECT_FALSE(root.TryCharge(left + 1));
  EXPECT_TRUE(root.TryCharge(left)) << "every byte that is not used can be had";
  for (auto& account : accounts) EXPECT_FALSE(account->TryCharge(1));
  root.Release(left);
  for (auto& account : accounts) {
    EXPECT_TRUE(account->TryCharge(1)) << "goes on";
    for (int k = 0; k < 2000; ++k) account->Release(kKiB);
    account->Release(1);
  }
  accounts.clear();
  EXPECT_EQ(root.Stats().taken_bytes, 0u);
}

TEST(MemoryBudgetTest, OneAccountReleasesWhatAnotherCharged) {
  MemoryBudget root({.hard_limit_bytes = 64 * kMiB});
  {
    BudgetAccount producer(root);
    BudgetAccount consumer(root);
    for (int i = 0; i < 100'000; ++i) {
      ASSERT_TRUE(producer.TryCharge(4096));
      consumer.Release(4096);
    }
    EXPECT_LE(root.Stats().taken_bytes, 4 * kMiB);
    EXPECT_EQ(root.Stats().prepaid_bytes, root.Stats().taken_bytes);
  }
  EXPECT_EQ(root.Stats().taken_bytes, 0u);
}

// Pages of a pool: the pool is charged for them above, whoever uses them.
TEST(MemoryBudgetTest, AnAccountMayStopBelowANode) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget engine(root, {});
  MemoryBudget query(engine, {.hard_limit_bytes = 5000});
  {
    BudgetAccount pages(query, &root);
    EXPECT_TRUE(pages.TryCharge(4000));
    EXPECT_FALSE(pages.TryCharge(1001));
    EXPECT_EQ(engine.Stats().taken_bytes, 4000u);
    EXPECT_EQ(root.Stats().taken_bytes, 0u);
    EXPECT_FALSE(query.TryCharge(1001));
    EXPECT_TRUE(query.TryCharge(1000));
    EXPECT_EQ(root.Stats().taken_bytes, 1000u);
    query.Release(1000);
    pages.Release(4000);
  }
  EXPECT_EQ(query.Stats().taken_bytes, 0u);
}

TEST(MemoryBudgetTest, ReservedBytesCannotBeRefused) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  {
    auto reserved = root.Reserve(600);
    ASSERT_TRUE(reserved.has_value());
    EXPECT_FALSE(root.Reserve(401).has_value());
    EXPECT_TRUE(root.TryCharge(400));
    reserved->Take(250);
    EXPECT_EQ(reserved->bytes(), 350u);
    Reservation moved = std::move(*reserved);
    EXPECT_EQ(moved.bytes(), 350u);
    EXPECT_EQ(reserved->bytes(), 0u);
    EXPECT_DEATH(moved.Take(351), "351 bytes are taken from a reservation that has 350");
  }
  EXPECT_EQ(root.Stats().taken_bytes, 650u);
  root.Release(650);
}

TEST(MemoryBudgetTest, ARefusalNamesTheLimitAndWhoHoldsTheMemory) {
  MemoryBudget root({.name = "process"});
  MemoryBudget engine(root, {.name = "engine", .hard_limit_bytes = 1000});
  std::vector<std::unique_ptr<MemoryBudget>> queries;
  for (uint64_t i = 1; i <= 7; ++i) {
    queries.push_back(
        std::make_unique<MemoryBudget>(engine, MemoryBudgetOptions{.name = "query", .number = i}));
    ASSERT_TRUE(queries.back()->TryCharge(i * 10));
  }
  const Error error = queries[0]->Refusal(800);
  EXPECT_EQ(error.code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(error.message,
            "process/engine/query 1 asked for 800 bytes: process/engine has 280 of 1000 bytes "
            "taken, by query 7 70, query 6 60, query 5 50, query 4 40, query 3 30, others 30");
  EXPECT_FALSE(queries[0]->has_refused());
  EXPECT_FALSE(queries[0]->TryCharge(800));
  EXPECT_TRUE(queries[0]->has_refused());
  EXPECT_FALSE(queries[1]->has_refused());
  try {
    queries[0]->ThrowRefusal(800);
    FAIL();
  } catch (const BudgetExceeded& refusal) {
    EXPECT_EQ(refusal.scope_path(), "process/engine");
    EXPECT_EQ(refusal.asked_bytes(), 800u);
    EXPECT_EQ(refusal.limit_bytes(), 1000u);
  }
  for (uint64_t i = 1; i <= 7; ++i) queries[i - 1]->Release(i * 10);
}

TEST(MemoryBudgetTest, ReclaimersAreAskedInTheirOrder) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget query(root, {});
  MemoryBudget other(root, {});
  MemoryBudget third(root, {});
  Cache own(query);
  Cache small(other);
  Cache large(third);
  Cache last(root);
  query.AddReclaimer(own, 0);
  other.AddReclaimer(small, 1);
  third.AddReclaimer(large, 1);
  root.AddReclaimer(last, 2, Reclaimer::Serves::kEveryone);
  own.Fill(100);
  small.Fill(200);
  large.Fill(300);
  last.Fill(400);
  EXPECT_TRUE(query.TryCharge(300));
  EXPECT_EQ(large.asked, 300u) << "the one that has most";
  EXPECT_EQ(small.calls + last.calls + own.calls, 0);
  EXPECT_TRUE(query.TryCharge(500));
  EXPECT_EQ(small.held, 0u);
  EXPECT_EQ(last.held, 100u);
  EXPECT_EQ(own.calls, 0) << "it could be in the middle of things";
  EXPECT_FALSE(query.TryCharge(101));
  EXPECT_EQ(root.Stats().reclaimed_bytes, 400u);
  EXPECT_EQ(third.Stats().reclaimed_bytes, 300u);
  EXPECT_TRUE(other.TryCharge(50)) << "for others it is asked";
  EXPECT_EQ(own.calls, 0) << "but not before the root's, which had it";
  query.RemoveReclaimer(own);
  other.RemoveReclaimer(small);
  third.RemoveReclaimer(large);
  root.RemoveReclaimer(last);
}

TEST(MemoryBudgetTest, ANodeForgetsItsReclaimersAndOneThatIsKnownMayNotEnd) {
  MemoryBudget root({.name = "process"});
  {
    Cache outlives(root);
    {
      MemoryBudget query(root, {});
      query.AddReclaimer(outlives);
    }
    MemoryBudget other(root, {});
    other.AddReclaimer(outlives);
    other.RemoveReclaimer(outlives);
  }
  EXPECT_DEATH(
      {
        Cache ends(root);
        root.AddReclaimer(ends);
      },
      "budget 'process': a reclaimer ends that was not removed");
}

TEST(MemoryBudgetTest, ASoftLimitAsksAndDoesNotRefuse) {
  MemoryBudget root({.hard_limit_bytes = 100 * kMiB, .soft_limit_bytes = 10 * kMiB});
  MemoryBudget caches(root, {});
  MemoryBudget query(root, {});
  Cache cache(caches);
  caches.AddReclaimer(cache);
  cache.Fill(8 * kMiB);
  EXPECT_TRUE(query.TryCharge(2 * kMiB));
  EXPECT_EQ(cache.calls, 0);
  EXPECT_TRUE(query.TryCharge(5 * kMiB));
  EXPECT_EQ(cache.calls, 1);
  EXPECT_EQ(cache.held, 3 * kMiB);
  EXPECT_TRUE(query.TryCharge(50 * kMiB));
  EXPECT_EQ(cache.held, 0u);
  const int calls = cache.calls;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(query.TryCharge(1));
  EXPECT_EQ(cache.calls, calls) << "not again for every byte";
  caches.RemoveReclaimer(cache);
}

TEST(MemoryBudgetTest, AChargeOfWhatIsFreeAsksNobody) {
  MemoryBudget root({.hard_limit_bytes = 10 * kMiB, .soft_limit_bytes = 8 * kMiB});
  MemoryBudget caches(root, {});
  MemoryBudget query(root, {});
  Cache cache(caches);
  caches.AddReclaimer(cache);
  cache.Fill(4 * kMiB);
  {
    BudgetAccount account(query);
    while (root.Stats().taken_bytes < 7 * kMiB) ASSERT_TRUE(account.TryCharge(1000));
    const BudgetStats before = root.Stats();
    ASSERT_GT(before.prepaid_bytes, 0u);
    EXPECT_FALSE(query.TryChargeFree(8 * kMiB - before.taken_bytes + 1)) << "above the soft limit";
    EXPECT_TRUE(query.TryChargeFree(8 * kMiB - before.taken_bytes));
    EXPECT_FALSE(query.TryChargeFree(3 * kMiB)) << "above the hard one";
    EXPECT_EQ(root.Stats().prepaid_bytes, 0u) << "what was prepaid is free";
    EXPECT_TRUE(query.TryChargeFree(before.prepaid_bytes));
    EXPECT_EQ(root.Stats().taken_bytes, 8 * kMiB);
    EXPECT_EQ(root.Stats().refusals, 0u);
    EXPECT_FALSE(query.has_refused());
    EXPECT_EQ(cache.calls, 0);
  }
  EXPECT_TRUE(query.TryCharge(3 * kMiB));
  EXPECT_GT(cache.calls, 0) << "the other one does";
  query.Abort({.code = ErrorCode::kAborted, .message = "cancelled"});
  EXPECT_FALSE(query.TryChargeFree(1));
  caches.RemoveReclaimer(cache);
}

TEST(MemoryBudgetTest, ACacheTakesWhatIsIdleAndNobodyReleasesWhatHeUses) {
  MemoryBudget root({.name = "process", .hard_limit_bytes = 10 * kMiB});
  MemoryBudget caches(root, {.name = "caches"});
  MemoryBudget pool(root, {.name = "pool"});
  MemoryBudget ours(root, {.name = "ours"});
  Cache used(caches);
  Cache idle(pool);
  caches.AddReclaimer(used);
  pool.AddReclaimer(idle, Reclaimer::kIdle);
  used.Fill(4 * kMiB);
  idle.Fill(4 * kMiB);
  EXPECT_TRUE(ours.TryChargeIdle(kMiB));
  EXPECT_EQ(idle.calls, 0) << "there was room";
  EXPECT_TRUE(ours.TryChargeIdle(4 * kMiB));
  EXPECT_GT(idle.calls, 0);
  EXPECT_FALSE(ours.TryChargeIdle(4 * kMiB));
  EXPECT_EQ(used.calls, 0);
  EXPECT_EQ(root.Stats().refusals + ours.Stats().refusals, 0u);
  EXPECT_FALSE(ours.has_refused());
  EXPECT_LE(root.Stats().taken_bytes, 10 * kMiB);
  EXPECT_TRUE(ours.TryCharge(4 * kMiB)) << "the other one has it";
  EXPECT_GT(used.calls, 0);
  ours.Release(9 * kMiB);
  caches.RemoveReclaimer(used);
  pool.RemoveReclaimer(idle);
}

TEST(MemoryBudgetTest, AnAbortedScopeIsRefusedAndTheOthersGoOn) {
  MemoryBudget root({.name = "process"});
  MemoryBudget query(root, {.name = "query", .number = 3});
  MemoryBudget sort(query, {.name = "sort"});
  BudgetAccount account(sort);
  ASSERT_TRUE(account.TryCharge(100));
  query.Abort({.code = ErrorCode::kAborted, .message = "cancelled by its user"});
  query.Abort({.code = ErrorCode::kAborted, .message = "the first reason stays"});
  EXPECT_FALSE(account.TryCharge(1));
  EXPECT_FALSE(query.TryCharge(1));
  EXPECT_TRUE(sort.is_aborted());
  EXPECT_EQ(sort.Refusal(1).code, ErrorCode::kAborted);
  EXPECT_EQ(sort.Refusal(1).message, "cancelled by its user");
  EXPECT_TRUE(root.TryCharge(1));
  EXPECT_FALSE(root.is_aborted());
  account.Release(100);
  root.Release(1);
  EXPECT_EQ(query.Stats().taken_bytes, 0u);
}

TEST(MemoryBudgetTest, WhatEscapesStaysChargedAbove) {
  MemoryBudget root({});
  {
    MemoryBudget query(root, {});
    ASSERT_TRUE(query.TryCharge(123));
  }
  EXPECT_EQ(root.Stats().taken_bytes, 123u);
  EXPECT_EQ(root.Stats().escaped_bytes, 123u);
}

TEST(MemoryBudgetTest, ASnapshotHasParentsFirstAndAddsUp) {
  MemoryBudget root({.name = "root"});
  MemoryBudget a(root, {.name = "a"});
  MemoryBudget b(root, {.name = "b"});
  MemoryBudget unused(root, {.name = "unused"});
  MemoryBudget a1(a, {.name = "a1"});
  MemoryBudget a2(a, {.name = "a2"});
  ASSERT_TRUE(a2.TryCharge(5));
  ASSERT_TRUE(b.TryCharge(7));
  ASSERT_TRUE(a1.TryCharge(3));
  std::string order;
  root.Visit([&](const BudgetStats& stats) {
    order +=
        std::string(stats.depth, ' ') + stats.name + "=" + std::to_string(stats.taken_bytes) + "\n";
  });
  EXPECT_EQ(order, "root=15\n a=8\n  a2=5\n  a1=3\n b=7\n");
  std::vector<std::unique_ptr<MemoryBudget>> many;
  for (int i = 0; i < 1000; ++i) {
    many.push_back(std::make_unique<MemoryBudget>(b, MemoryBudgetOptions{}));
    ASSERT_TRUE(many.back()->TryCharge(1));
  }
  EXPECT_EQ(root.Snapshot().size(), 1005u);
  for (auto& node : many) node->Release(1);
}

TEST(MemoryBudgetTest, ALowerLimitIsMetByReleases) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  ASSERT_TRUE(root.TryCharge(800));
  root.SetLimits(500, SIZE_MAX);
  EXPECT_FALSE(root.TryCharge(1));
  root.Release(400);
  EXPECT_TRUE(root.TryCharge(100));
  EXPECT_FALSE(root.TryCharge(1));
  root.Release(500);
}

TEST(MemoryBudgetTest, AWaiterGetsWhatOthersRelease) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget a(root, {});
  MemoryBudget b(root, {});
  BudgetAccount account(b);
  ASSERT_TRUE(account.TryCharge(900));
  std::thread waiter([&] {
    const auto charged = a.Charge(500, In(milliseconds(20'000)));
    EXPECT_TRUE(charged.has_value()) << charged.error().message;
  });
  while (root.Stats().waits == 0) std::this_thread::yield();
  account.Release(300);
  EXPECT_EQ(a.Stats().taken_bytes, 0u);
  account.Release(200);
  waiter.join();
  EXPECT_EQ(a.Stats().taken_bytes, 500u);
  EXPECT_EQ(root.Stats().timeouts, 0u);
  a.Release(500);
  account.Release(400);
}

// A large request at the head of the queue does not hold up a small one that fits.
TEST(MemoryBudgetTest, WhoFitsIsServedFirst) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget holder(root, {});
  MemoryBudget large(root, {});
  MemoryBudget small(root, {});
  ASSERT_TRUE(holder.TryCharge(1000));
  std::thread first([&] { EXPECT_TRUE(large.Charge(900, In(milliseconds(20'000))).has_value()); });
  while (root.Stats().waits < 1) std::this_thread::yield();
  std::thread second([&] { EXPECT_TRUE(small.Charge(50, In(milliseconds(20'000))).has_value()); });
  while (root.Stats().waits < 2) std::this_thread::yield();
  holder.Release(100);
  second.join();
  EXPECT_EQ(large.Stats().taken_bytes, 0u);
  small.Release(50);
  holder.Release(900);
  first.join();
  large.Release(900);
}

TEST(MemoryBudgetTest, AWaitEndsAtItsDeadline) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget holder(root, {.name = "holder"});
  MemoryBudget query(root, {.name = "query"});
  ASSERT_TRUE(holder.TryCharge(800));
  const auto before = MemoryBudget::Clock::now();
  const auto charged = query.Charge(500, In(milliseconds(30)));
  ASSERT_FALSE(charged.has_value());
  EXPECT_GE(MemoryBudget::Clock::now() - before, milliseconds(30));
  EXPECT_NE(charged.error().message.find("by holder 800"), std::string::npos);
  EXPECT_NE(charged.error().message.find("nobody released enough in time"), std::string::npos);
  EXPECT_EQ(root.Stats().timeouts, 1u);
  EXPECT_EQ(query.Stats().taken_bytes, 0u);
  holder.Release(800);
}

TEST(MemoryBudgetTest, WhoHoldsItAllDoesNotWaitForItself) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget query(root, {});
  MemoryBudget sort(query, {});
  MemoryBudget join(query, {});
  ASSERT_TRUE(sort.TryCharge(800));
  const auto charged = join.Charge(500, In(milliseconds(600'000)));
  ASSERT_FALSE(charged.has_value()) << "the same query";
  EXPECT_NE(charged.error().message.find("nobody else has any of it"), std::string::npos);
  sort.Release(800);
}

// The other holder releases everything, and it is still not enough: waiting has no sense any more.
TEST(MemoryBudgetTest, AWaiterLeftAloneFailsAtOnce) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget query(root, {});
  MemoryBudget other(root, {});
  ASSERT_TRUE(query.TryCharge(800));
  ASSERT_TRUE(other.TryCharge(100));
  std::thread waiter([&] {
    const auto charged = query.Charge(500, In(milliseconds(600'000)));
    ASSERT_FALSE(charged.has_value());
    EXPECT_NE(charged.error().message.find("nobody else"), std::string::npos);
  });
  while (root.Stats().waits == 0) std::this_thread::yield();
  other.Release(100);
  waiter.join();
  query.Release(800);
}

TEST(MemoryBudgetTest, TheLastOfAllHoldersToWaitFails) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget a(root, {});
  MemoryBudget b(root, {});
  ASSERT_TRUE(a.TryCharge(500));
  ASSERT_TRUE(b.TryCharge(500));
  std::thread waiter([&] {
    const auto charged = a.Charge(100, In(milliseconds(600'000)));
    EXPECT_TRUE(charged.has_value());
  });
  while (root.Stats().waits == 0) std::this_thread::yield();
  const auto charged = b.Charge(100, In(milliseconds(600'000)));
  ASSERT_FALSE(charged.has_value());
  EXPECT_NE(charged.error().message.find("all who have it wait"), std::string::npos);
  b.Release(500);
  waiter.join();
  a.Release(600);
}

TEST(MemoryBudgetTest, AnAbortWakesWhoWaits) {
  MemoryBudget root({.hard_limit_bytes = 1000});
  MemoryBudget holder(root, {});
  MemoryBudget query(root, {});
  ASSERT_TRUE(holder.TryCharge(1000));
  std::thread waiter([&] {
    const auto charged = query.Charge(100, In(milliseconds(600'000)));
    ASSERT_FALSE(charged.has_value());
    EXPECT_EQ(charged.error().code, ErrorCode::kAborted);
    EXPECT_EQ(charged.error().message, "cancelled");
  });
  while (root.Stats().waits == 0) std::this_thread::yield();
  query.Abort({.code = ErrorCode::kAborted, .message = "cancelled"});
  waiter.join();
  holder.Release(1000);
}

}  // namespace
}  // namespace granary
