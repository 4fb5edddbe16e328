// MemoryBudget under many threads, and the deadlocks that users of other systems have reported.
#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"

namespace granary {
namespace {

using std::chrono::milliseconds;
using Clock = MemoryBudget::Clock;

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;

// The charges over all threads; more of them with GRANARY_TEST_OPERATIONS.
size_t Operations(size_t usual) {
  const char* const asked = std::getenv("GRANARY_TEST_OPERATIONS");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : usual;
}

// Three levels: a process, four databases in it, four queries in each.
struct Tree {
  explicit Tree(size_t limit) : process({.name = "process", .hard_limit_bytes = limit}) {
    for (uint64_t i = 1; i <= 4; ++i) {
      databases.push_back(std::make_unique<MemoryBudget>(
          process,
          MemoryBudgetOptions{.name = "database", .number = i, .hard_limit_bytes = limit / 2}));
      for (uint64_t k = 1; k <= 4; ++k) {
        queries.push_back(std::make_unique<MemoryBudget>(
            *databases.back(),
            MemoryBudgetOptions{.name = "query", .number = k, .hard_limit_bytes = limit / 4}));
      }
    }
  }

  MemoryBudget process;
  std::vector<std::unique_ptr<MemoryBudget>> databases;
  std::vector<std::unique_ptr<MemoryBudget>> queries;
};

// What the threads themselves know about a tree: at least what `charged` says is charged to each
// node, and at most what is `wanted` of it, which has the requests under way as well.
class Ledger {
 public:
  struct Node {
    size_t limit = 0;
    std::atomic<size_t> charged = 0;
    std::atomic<size_t> wanted = 0;
  };

  explicit Ledger(size_t limit) {
    nodes_[0].limit = limit;
    for (size_t i = 1; i < 5; ++i) nodes_[i].limit = limit / 2;
    for (size_t i = 5; i < nodes_.size(); ++i) nodes_[i].limit = limit / 4;
  }

  // The same as account.TryCharge, for an account of that query. No limit is exceeded, and a
  // refusal has its reason: a node that all that is wanted does not fit in. Whether it had is known
  // if nobody has wanted less meanwhile.
  bool TryCharge(BudgetAccount& account, size_t query, size_t bytes) {
    const uint64_t before = less_wanted_.load();
    for (Node* const node : PathOf(query)) node->wanted += bytes;
    if (account.TryCharge(bytes)) {
      for (Node* const node : PathOf(query)) {
        const size_t charged = node->charged += bytes;
        if (charged > node->limit) ADD_FAILURE() << charged << " of " << node->limit;
      }
      return true;
    }
    const auto path = PathOf(query);
    const bool has_reason = std::any_of(path.begin(), path.end(), [](const Node* node) {
      return node->wanted.load() > node->limit;
    });
    if (less_wanted_.load() == before) {
      ++refusals_known_;
      if (!has_reason) ADD_FAILURE() << bytes << " bytes were refused that were free";
    }
    ++less_wanted_;
    for (Node* const node : path) node->wanted -= bytes;
    return false;
  }

  void Release(BudgetAccount& account, size_t query, size_t bytes) {
    for (Node* const node : PathOf(query)) node->charged -= bytes;
    account.Release(bytes);
    ++less_wanted_;
    for (Node* const node : PathOf(query)) node->wanted -= bytes;
  }

  // Refusals of which it is known whether there was a reason.
  uint64_t refusals_known() const { return refusals_known_; }

 private:
  std::array<Node*, 3> PathOf(size_t query) {
    return {&nodes_[0], &nodes_[1 + query / 4], &nodes_[5 + query]};
  }

  std::array<Node, 1 + 4 + 16> nodes_;
  std::atomic<uint64_t> less_wanted_ = 0;
  std::atomic<uint64_t> refusals_known_ = 0;
};

constexpr size_t kThreads = 64;

TEST(MemoryBudgetStressTest, NoLimitIsEverExceededAndNoRefusalWithoutReason) {
  Tree tree(64 * kMiB);
  Ledger ledger(64 * kMiB);
  const size_t charges = Operations(1'000'000) / kThreads;
  std::atomic<bool> stop = false;
  std::thread watcher([&] {
    while (!stop) {
      std::vector<size_t> sums;
      tree.process.Visit([&](const BudgetStats& stats) {
        EXPECT_LE(stats.taken_bytes, stats.hard_limit_bytes) << stats.name << stats.number;
        EXPECT_LE(stats.prepaid_bytes, stats.taken_bytes);
        sums.resize(3);
        sums[stats.depth] += stats.taken_bytes;
      });
      if (sums.empty()) continue;
      EXPECT_EQ(sums[0], sums[1]) << "of one moment";
      EXPECT_EQ(sums[1], sums[2]);
    }
  });
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(static_cast<uint32_t>(t + 1));
      const size_t query = t % tree.queries.size();
      BudgetAccount account(*tree.queries[query]);
      std::vector<size_t> held;
      const auto release_newest = [&] {
        ledger.Release(account, query, held.back());
        held.pop_back();
      };
      for (size_t done = 0; done < charges;) {
        if (!held.empty() && random() % 100 >= 52) {
          std::swap(held[random() % held.size()], held.back());
          release_newest();
          continue;
        }
        ++done;
        const size_t bytes = size_t{1} << random() % 19;
        if (ledger.TryCharge(account, query, bytes)) {
          held.push_back(bytes);
        } else {
          for (int k = 0; k < 10 && !held.empty(); ++k) release_newest();
        }
      }
      while (!held.empty()) release_newest();
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  watcher.join();
  EXPECT_EQ(tree.process.Stats().taken_bytes, 0u);
  EXPECT_GT(ledger.refusals_known(), 0u) << "the limits were to be met";
  std::printf("%zu charges, %llu refusals known to have their reason\n", charges * kThreads,
              static_cast<unsigned long long>(ledger.refusals_known()));
}

// All charge until they are refused. What others have under way then is less than 64 KiB, so that
// nobody was refused when more than that was free.
TEST(MemoryBudgetStressTest, NobodyIsRefusedWhatIsFree) {
  constexpr size_t kAsked = 1000;
  constexpr size_t kLimit = 32 * kMiB;
  const size_t rounds = std::max<size_t>(10, Operations(0) / (kLimit / kAsked));
  for (size_t round = 0; round < rounds; ++round) {
    Tree tree(kLimit);
    Ledger ledger(kLimit);
    std::atomic<size_t> charged = 0;
    std::barrier refused(kThreads);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        const size_t query = t % tree.queries.size();
        BudgetAccount account(*tree.queries[query]);
        size_t mine = 0;
        while (ledger.TryCharge(account, query, kAsked)) mine += kAsked;
        charged += mine;
        refused.arrive_and_wait();
        if (t == 0) {
          EXPECT_GT(charged + kAsked, kLimit);
          EXPECT_LE(charged, kLimit);
        }
        refused.arrive_and_wait();
        for (; mine > 0; mine -= kAsked) account.Release(kAsked);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(tree.process.Stats().taken_bytes, 0u);
  }
}

// The lock is one read-modify-write to take and one to leave.
TEST(MemoryBudgetStressTest, MakesOneReadModifyWriteInSixtyFourKilobytesAtMost) {
  Tree tree(size_t{1} << 40);
  std::atomic<size_t> charged = 0;
  const size_t charges = Operations(1'000'000) / kThreads;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(static_cast<uint32_t>(t + 1));
      BudgetAccount account(*tree.queries[t % tree.queries.size()]);
      std::vector<size_t> held;
      size_t mine = 0;
      for (size_t i = 0; i < charges; ++i) {
        held.push_back(random() % (128 * kKiB));
        ASSERT_TRUE(account.TryCharge(held.back()));
        mine += held.back();
        if (held.size() == 100) {
          for (const size_t bytes : held) account.Release(bytes);
          held.clear();
        }
      }
      charged += mine;
    });
  }
  for (std::thread& thread : threads) thread.join();
  const uint64_t operations = 2 * tree.process.Stats().rounds;
  EXPECT_LT(operations, charged / (64 * kKiB));
  std::printf("%zu charges, a read-modify-write in %zu bytes\n", charges * kThreads,
              charged / operations);
}

// A snapshot of ten thousand nodes while their accounts charge: children have what their parent has
// of them, to the byte, and what is charged is what callers have and what is prepaid.
TEST(MemoryBudgetStressTest, ASnapshotOfTenThousandNodesAddsUp) {
  struct Leaf {
    Leaf(MemoryBudget& parent, uint64_t number)
        : budget(parent, {.name = "operator", .number = number}), account(budget) {}
    MemoryBudget budget;
    BudgetAccount account;
    size_t charged = 0;
  };
  MemoryBudget root({.name = "process"});
  std::vector<std::unique_ptr<MemoryBudget>> databases;
  std::vector<std::unique_ptr<MemoryBudget>> queries;
  std::vector<std::unique_ptr<Leaf>> leaves;
  for (uint64_t i = 0; i < 9; ++i) {
    databases.push_back(std::make_unique<MemoryBudget>(root, MemoryBudgetOptions{}));
    for (uint64_t k = 0; k < 10; ++k) {
      queries.push_back(std::make_unique<MemoryBudget>(*databases.back(), MemoryBudgetOptions{}));
      for (uint64_t n = 1; n <= 110; ++n) {
        leaves.push_back(std::make_unique<Leaf>(*queries.back(), n));
      }
    }
  }
  const auto charge_all = [&](size_t bytes) {
    for (const auto& leaf : leaves) {
      ASSERT_TRUE(leaf->account.TryCharge(bytes));
      leaf->charged += bytes;
    }
  };
  const auto expect_sums = [&] {
    const std::vector<BudgetStats> rows = root.Snapshot();
    ASSERT_EQ(rows.size(), 10'000u);
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].depth == 3) continue;
      size_t taken = 0;
      size_t prepaid = 0;
      for (size_t k = i + 1; k < rows.size() && rows[k].depth > rows[i].depth; ++k) {
        if (rows[k].depth != rows[i].depth + 1) continue;
        taken += rows[k].taken_bytes;
        prepaid += rows[k].prepaid_bytes;
      }
      ASSERT_EQ(rows[i].taken_bytes, taken);
      ASSERT_EQ(rows[i].prepaid_bytes, prepaid);
    }
  };
  charge_all(1);
  std::atomic<bool> stop = false;
  std::thread charges([&] {
    for (size_t bytes = 1; !stop; bytes = bytes * 7 % 10'007) charge_all(bytes);
  });
  for (int i = 0; i < 10; ++i) expect_sums();
  stop = true;
  charges.join();
  expect_sums();
  size_t charged = 0;
  for (const auto& leaf : leaves) charged += leaf->charged;
  EXPECT_EQ(root.Stats().taken_bytes - root.Stats().prepaid_bytes, charged);
  auto shortest = Clock::duration::max();
  for (int i = 0; i < 10; ++i) {
    const auto before = Clock::now();
    EXPECT_EQ(root.Snapshot().size(), 10'000u);
    shortest = std::min(shortest, Clock::now() - before);
  }
  std::printf("a snapshot in %lld us\n",
              static_cast<long long>(
                  std::chrono::duration_cast<std::chrono::microseconds>(shortest).count()));
  for (const auto& leaf : leaves) leaf->account.Release(leaf->charged);
}

// Releases what its query holds, as spilling does, after some time.
class Spiller final : public Reclaimer {
 public:
  Spiller(MemoryBudget& budget, milliseconds takes) : budget_(budget), takes_(takes) {
    budget_.AddReclaimer(*this);
  }
  ~Spiller() override { budget_.RemoveReclaimer(*this); }

  bool TryHold(size_t bytes) {
    if (!budget_.TryCharge(bytes)) return false;
    held_ += bytes;
    return true;
  }
  void Drop() { budget_.Release(held_.exchange(0)); }

  size_t Reclaim(size_t bytes, Clock::time_point deadline) noexcept override {
    EXPECT_FALSE(is_called_.exchange(true)) << "by two threads at once";
    std::this_thread::sleep_until(std::min(deadline, Clock::now() + takes_));
    size_t held = held_;
    size_t released;
    do {
      released = std::min(held, bytes);
    } while (!held_.compare_exchange_weak(held, held - released));
    budget_.Release(released);
    is_called_ = false;
    return released;
  }

 private:
  MemoryBudget& budget_;
  const milliseconds takes_;
  std::atomic<size_t> held_ = 0;
  std::atomic<bool> is_called_ = false;
};

TEST(MemoryBudgetStressTest, AReclaimStormHasNoWaitBeyondItsDeadline) {
  constexpr int kQueries = 16;
  MemoryBudget process({.hard_limit_bytes = kQueries * kMiB / 4});
  std::vector<std::unique_ptr<MemoryBudget>> budgets;
  std::vector<std::unique_ptr<Spiller>> spillers;
  for (int i = 0; i < kQueries; ++i) {
    budgets.push_back(std::make_unique<MemoryBudget>(process, MemoryBudgetOptions{}));
    spillers.push_back(std::make_unique<Spiller>(*budgets.back(), milliseconds(i % 4)));
  }
  std::atomic<int> served = 0;
  std::atomic<int64_t> longest_us = 0;
  std::barrier start(kQueries);
  std::vector<std::thread> threads;
  for (int t = 0; t < kQueries; ++t) {
    threads.emplace_back([&, t] {
      const auto mine = static_cast<size_t>(t);
      start.arrive_and_wait();
      for (int i = 0; i < 30; ++i) {
        const auto before = Clock::now();
        if (i % 2 == 0) {
          served += spillers[mine]->TryHold(kMiB) ? 1 : 0;
        } else if (budgets[mine]->Charge(kMiB, before + milliseconds(50)).has_value()) {
          ++served;
          budgets[mine]->Release(kMiB);
        }
        const int64_t us =
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - before).count();
        int64_t longest = longest_us;
        while (us > longest && !longest_us.compare_exchange_weak(longest, us)) {
        }
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        if (i % 10 == 9) spillers[mine]->Drop();
      }
      spillers[mine]->Drop();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(served, 0);
  uint64_t reclaimed = 0;
  process.Visit([&](const BudgetStats& stats) { reclaimed += stats.reclaimed_bytes; });
  EXPECT_GT(reclaimed, 10 * kMiB) << "there was to be a storm";
  // The longest patience is 100 ms; the rest is for a loaded machine and its sanitizers.
  EXPECT_LT(longest_us, 1'000'000);
  spillers.clear();
  EXPECT_EQ(process.Stats().taken_bytes, 0u);
}

// A query's thread waits for memory; the reclaimer that would free it waits for that thread.
TEST(MemoryBudgetStressTest, AReclaimerThatWaitsForWhoWaitsForItEndsInTime) {
  class WaitsForItsThread final : public Reclaimer {
   public:
    size_t Reclaim(size_t, Clock::time_point deadline) noexcept override {
      std::unique_lock lock(mutex);
      called = true;
      changed.notify_all();
      changed.wait_until(lock, deadline, [&] { return is_paused; });
      return 0;
    }
    std::mutex mutex;
    std::condition_variable changed;
    bool called = false;
    bool is_paused = false;
  };
  MemoryBudget process({.hard_limit_bytes = 1000});
  MemoryBudget a(process, {});
  MemoryBudget b(process, {});
  WaitsForItsThread reclaimer;
  ASSERT_TRUE(b.TryCharge(900));
  b.AddReclaimer(reclaimer);
  const auto before = Clock::now();
  std::thread asks([&] { EXPECT_FALSE(a.TryCharge(500)); });
  {
    std::unique_lock lock(reclaimer.mutex);
    reclaimer.changed.wait(lock, [&] { return reclaimer.called; });
  }
  // The thread that would have to pause: it needs memory itself, and waits for the reclaimer that
  // is at work.
  EXPECT_FALSE(b.TryCharge(500));
  EXPECT_FALSE(b.Charge(500, Clock::now() + milliseconds(50)).has_value());
  asks.join();
  EXPECT_LT(Clock::now() - before, milliseconds(2000));
  b.RemoveReclaimer(reclaimer);
  b.Release(900);
}

TEST(MemoryBudgetStressTest, AReclaimerMayAllocateAndAsksNobody) {
  class Allocates final : public Reclaimer {
   public:
    explicit Allocates(MemoryBudget& budget) : budget_(budget) {}
    size_t Reclaim(size_t bytes, Clock::time_point) noexcept override {
      ++calls;
      // A buffer for what is written out.
      EXPECT_FALSE(budget_.TryCharge(200)) << "no room";
      EXPECT_FALSE(budget_.Charge(200, Clock::now() + milliseconds(60'000)).has_value());
      budget_.Release(300);
      EXPECT_TRUE(budget_.TryCharge(100));
      budget_.Release(100);
      return std::min<size_t>(bytes, 300);
    }
    int calls = 0;

   private:
    MemoryBudget& budget_;
  };
  MemoryBudget process({.hard_limit_bytes = 1000});
  MemoryBudget a(process, {});
  MemoryBudget b(process, {});
  Allocates reclaimer(a);
  a.AddReclaimer(reclaimer);
  ASSERT_TRUE(a.TryCharge(900));
  EXPECT_TRUE(b.TryCharge(300));
  EXPECT_EQ(reclaimer.calls, 1);
  a.RemoveReclaimer(reclaimer);
  a.Release(600);
  b.Release(300);
}

TEST(MemoryBudgetStressTest, AReclaimerMayRemoveItself) {
  class Once final : public Reclaimer {
   public:
    explicit Once(MemoryBudget& budget) : budget_(budget) {}
    size_t Reclaim(size_t, Clock::time_point) noexcept override {
      budget_.RemoveReclaimer(*this);
      budget_.Release(500);
      return 500;
    }

   private:
    MemoryBudget& budget_;
  };
  MemoryBudget process({.hard_limit_bytes = 1000});
  MemoryBudget a(process, {});
  MemoryBudget b(process, {});
  auto reclaimer = std::make_unique<Once>(a);
  a.AddReclaimer(*reclaimer);
  ASSERT_TRUE(a.TryCharge(900));
  EXPECT_TRUE(b.TryCharge(500));
  EXPECT_FALSE(b.TryCharge(500)) << "it is gone";
  reclaimer.reset();
  a.Release(400);
  b.Release(500);
}

TEST(MemoryBudgetStressTest, ARemovalWaitsUntilTheReclaimerIsBack) {
  class Slow final : public Reclaimer {
   public:
    size_t Reclaim(size_t, Clock::time_point) noexcept override {
      is_inside = true;
      std::this_thread::sleep_for(milliseconds(50));
      is_inside = false;
      return 0;
    }
    std::atomic<bool> is_inside = false;
  };
  MemoryBudget process({.hard_limit_bytes = 1000});
  MemoryBudget a(process, {});
  MemoryBudget b(process, {});
  Slow reclaimer;
  a.AddReclaimer(reclaimer);
  ASSERT_TRUE(a.TryCharge(900));
  std::thread asks([&] { EXPECT_FALSE(b.TryCharge(500)); });
  while (!reclaimer.is_inside) std::this_thread::yield();
  a.RemoveReclaimer(reclaimer);
  EXPECT_FALSE(reclaimer.is_inside);
  asks.join();
  a.Release(900);
}

// Scopes come and go on all threads while others charge, wait and are looked at.
TEST(MemoryBudgetStressTest, ScopesComeAndGo) {
  MemoryBudget process({.hard_limit_bytes = 8 * kMiB});
  std::atomic<uint64_t> refused = 0;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(static_cast<uint32_t>(t + 1));
      for (uint64_t i = 0; i < 500; ++i) {
        MemoryBudget query(
            process, {.name = "query", .number = t * 1000 + i + 1, .hard_limit_bytes = 2 * kMiB});
        BudgetAccount account(query);
        std::vector<size_t> held;
        for (uint64_t k = random() % 20; k > 0; --k) {
          const size_t bytes = random() % (512 * kKiB);
          if (account.TryCharge(bytes)) {
            held.push_back(bytes);
          } else {
            ++refused;
          }
        }
        if (i % 50 == 0) query.Abort({.code = ErrorCode::kAborted, .message = "enough"});
        if (i % 20 == 0) {
          MemoryBudget child(query, {});
          if (child.Charge(kMiB, Clock::now() + milliseconds(1)).has_value()) child.Release(kMiB);
        }
        if (i % 10 == 0) {
          EXPECT_GE(process.Snapshot().size(), 1u);
        }
        for (const size_t bytes : held) account.Release(bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(process.Stats().taken_bytes, 0u);
  EXPECT_EQ(process.Stats().escaped_bytes, 0u);
  EXPECT_EQ(process.Snapshot().size(), 1u);
}

}  // namespace
}  // namespace granary
