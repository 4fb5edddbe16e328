// QueryScope: what a query may have, what comes back at its end, and what lives on.
#include "integration/query_scope.h"

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <memory_resource>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "gtest/gtest.h"

namespace granary {
namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;

// Everything is back: nothing is charged for queries or results, and no page is out.
void ExpectAllBack(EngineMemory& engine) {
  EXPECT_EQ(engine.queries_budget().Stats().taken_bytes, 0u);
  EXPECT_EQ(engine.pool().Stats().live_pages, 0u);
  EXPECT_EQ(engine.escapes(), 0u);
  const BudgetStats pages = engine.budget().Stats();
  EXPECT_LE(pages.taken_bytes, engine.pool().Stats().charged_pages * engine.pool().page_bytes() +
                                   engine.large().Stats().held_bytes + pages.prepaid_bytes);
}

TEST(QueryScopeTest, AnEmptyScopeCallsNobody) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  const uint64_t rounds = engine.budget().Stats().rounds;
  for (uint64_t i = 1; i <= 1'000'000; ++i) {
    const QueryScope query(engine, {.id = i});
  }
  EXPECT_EQ(engine.budget().Stats().rounds, rounds);
  EXPECT_EQ(engine.pool().Stats().touched_pages_max, 0u);
}

TEST(QueryScopeTest, AQueryHasItsLimitAndTheOthersGoOn) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  {
    QueryScope small(engine, {.id = 1, .limit_bytes = kMiB});
    QueryScope large(engine, {.id = 2});
    size_t blocks = 0;
    while (small.arena().TryAllocate(8000, 8) != nullptr) ++blocks;
    EXPECT_GT(blocks * 8000, kMiB - 2 * 64 * kKiB);
    EXPECT_LE(small.budget().Stats().taken_bytes, kMiB);
    try {
      (void)small.arena().allocate(8000);
      FAIL();
    } catch (const BudgetExceeded& refusal) {
      EXPECT_EQ(refusal.scope_path(), "engine/queries/query 1");
      EXPECT_EQ(refusal.limit_bytes(), kMiB);
    }
    EXPECT_NE(large.arena().TryAllocate(8 * kMiB, 8), nullptr);
    // At the limit an error can still be told.
    std::pmr::string text("query 1 has met its limit", &small.emergency_arena());
    EXPECT_EQ(text.size(), 25u);
    EXPECT_EQ(small.emergency_arena().TryAllocate(EmergencyBlock::kBytes, 8), nullptr);
  }
  ExpectAllBack(engine);
}

TEST(QueryScopeTest, AllQueriesTogetherHaveTheEnginesLimit) {
  EngineMemory engine({.limit_bytes = 16 * kMiB});
  {
    QueryScope a(engine, {.id = 1});
    QueryScope b(engine, {.id = 2});
    size_t bytes = 0;
    for (bool any = true; any;) {
      any = false;
      for (QueryScope* const query : {&a, &b}) {
        const bool done = query->arena().TryAllocate(4000, 8) != nullptr;
        bytes += done ? 4000 : 0;
        any |= done;
      }
    }
    EXPECT_GT(bytes, 15 * kMiB);
    EXPECT_LE(engine.budget().Stats().taken_bytes, 16 * kMiB);
    try {
      (void)a.arena().allocate(4000);
      FAIL();
    } catch (const BudgetExceeded& refusal) {
      EXPECT_EQ(refusal.scope_path(), "engine");
    }
  }
  ExpectAllBack(engine);
}

TEST(QueryScopeTest, OperatorsHaveLimitsOfTheirOwn) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  {
    QueryScope query(engine, {.id = 7, .limit_bytes = 8 * kMiB});
    OperatorScope sort(query, {.name = "sort", .limit_bytes = kMiB});
    OperatorScope join(query, {.name = "join"});
    EXPECT_EQ(sort.arena().TryAllocate(2 * kMiB, 8), nullptr);
    EXPECT_NE(join.arena().TryAllocate(7 * kMiB, 8), nullptr);
    EXPECT_EQ(join.arena().TryAllocate(2 * kMiB, 8), nullptr) << "the query's";
    EXPECT_EQ(sort.budget().Path(), "engine/queries/query 7/sort");
    EXPECT_NE(join.budget().Refusal(2 * kMiB).message.find("by join"), std::string::npos);
  }
  ExpectAllBack(engine);
}

TEST(QueryScopeTest, AnOperatorSpillsForAnother) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  {
    QueryScope query(engine, {.limit_bytes = 8 * kMiB});
    OperatorScope sort(query, {.name = "sort"});
    OperatorScope join(query, {.name = "join"});
    void* const run = sort.resource().TryAllocate(6 * kMiB, 64);
    ASSERT_NE(run, nullptr);
    size_t asked = 0;
    sort.SpillWith([&](size_t bytes) -> size_t {
      asked = bytes;
      sort.resource().deallocate(run, 6 * kMiB, 64);
      return 6 * kMiB;
    });
    EXPECT_EQ(sort.resource().TryAllocate(3 * kMiB, 64), nullptr) << "not for itself";
    EXPECT_EQ(asked, 0u);
    EXPECT_NE(join.arena().TryAllocate(4 * kMiB, 64), nullptr);
    EXPECT_GT(asked, kMiB);
    sort.StopSpilling();
  }
  ExpectAllBack(engine);
}

TEST(QueryScopeTest, AResultOutlivesItsQuery) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  {
    ResultScope result(engine, {.name = "result", .id = 9, .limit_bytes = 4 * kMiB});
    std::vector<const char*> kept;
    {
      QueryScope query(engine, {.id = 9});
      OperatorScope output(query, {.name = "output"});
      for (int i = 0; i < 1000; ++i) {
        kept.push_back(output.arena().TryCopy("row " + std::to_string(i)));
      }
      auto* const large = static_cast<char*>(output.arena().TryAllocate(kMiB, 8));
      ASSERT_NE(large, nullptr);
      std::memset(large, 'x', kMiB);
      kept.push_back(large);
      ASSERT_TRUE(output.Promote(result).has_value());
      EXPECT_EQ(output.budget().Stats().taken_bytes - output.budget().Stats().prepaid_bytes, 0u);
      EXPECT_GT(result.budget().Stats().taken_bytes, kMiB);
      // The scope may go on, and promote again.
      kept.push_back(output.arena().TryCopy("one more"));
      ASSERT_TRUE(output.Promote(result).has_value());
      // More than the result may have.
      ASSERT_NE(output.arena().TryAllocate(5 * kMiB, 8), nullptr);
      const auto refused = output.Promote(result);
      ASSERT_FALSE(refused.has_value());
      EXPECT_NE(refused.error().message.find("result 9"), std::string::npos);
    }
    EXPECT_EQ(engine.queries_budget().Stats().taken_bytes, 0u);
    for (size_t i = 0; i < 1000; ++i) {
      const std::string row = "row " + std::to_string(i);
      EXPECT_EQ(std::memcmp(kept[i], row.data(), row.size()), 0);
    }
    EXPECT_EQ(kept[1000][kMiB - 1], 'x');
    EXPECT_EQ(std::memcmp(kept[1001], "one more", 8), 0);
  }
  ExpectAllBack(engine);
}

// What a scope has is made when it is asked for; what was not has nothing to promote or give back.
TEST(QueryScopeTest, AScopeThatWasNotUsedHasNothingToPromote) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  {
    ResultScope result(engine);
    QueryScope query(engine);
    EXPECT_TRUE(query.Promote(result).has_value());
    EXPECT_EQ(&query.arena(), &query.arena());
    EXPECT_EQ(&query.resource(), &query.resource());
    EXPECT_TRUE(query.Promote(result).has_value());
    EXPECT_EQ(engine.results_budget().Stats().taken_bytes, 0u);
  }
  ExpectAllBack(engine);
}

TEST(QueryScopeTest, CleanupsMayUseTheScope) {
  struct Run {
    explicit Run(QueryScope& owner) : query(owner), data(owner.resource().allocate(kKiB)) {}
    ~Run() {
      query.resource().deallocate(data, kKiB);
      EXPECT_NE(query.arena().TryAllocate(kMiB, 8), nullptr);
    }
    QueryScope& query;
    void* data;
  };
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  {
    QueryScope query(engine);
    query.arena().Create<Run>(query);
  }
  ExpectAllBack(engine);
}

TEST(QueryScopeTest, WhatOutlivesItsScopeIsCounted) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  void* p = nullptr;
  {
    QueryScope query(engine, {.id = 5});
    p = query.resource().TryAllocate(1000, 8);
    ASSERT_NE(p, nullptr);
  }
  EXPECT_EQ(engine.escapes(), 1u);
  EXPECT_EQ(engine.escaped_bytes(), 1000u);
  EXPECT_GE(engine.queries_budget().Stats().escaped_bytes, 1000u);
  MallocResource::Default().deallocate(p, 1000, 8);
}

// What threads of one query make together, with destructors, charged to it and gone at its end.
TEST(QueryScopeTest, ThreadsOfAQueryShareAnArena) {
  constexpr uint64_t kThreads = 8;
  constexpr uint64_t kRows = 20'000;
  struct Row {
    Row(uint64_t at, std::atomic<uint64_t>& counter) : key(at), ended(counter) {}
    ~Row() { ++ended; }
    uint64_t key;
    std::atomic<uint64_t>& ended;
  };
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  std::atomic<uint64_t> ended = 0;
  {
    QueryScope query(engine, {.id = 11, .limit_bytes = 32 * kMiB});
    EXPECT_EQ(query.budget().Stats().taken_bytes, 0u);
    std::array<std::vector<const Row*>, kThreads> rows;
    std::barrier start(kThreads);
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        start.arrive_and_wait();
        ConcurrentArena& arena = query.shared();
        for (uint64_t i = 0; i < kRows; ++i) rows[t].push_back(arena.Create<Row>(i, ended));
        EXPECT_EQ(&arena, &query.shared());
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& of_thread : rows) {
      for (uint64_t i = 0; i < kRows; ++i) ASSERT_EQ(of_thread[i]->key, i);
    }
    const BudgetStats stats = query.budget().Stats();
    EXPECT_GE(stats.taken_bytes - stats.prepaid_bytes, kThreads * kRows * sizeof(Row));
    // A thread that begins when another has ended takes its lane.
    EXPECT_LE(query.shared().lane_count(), kThreads);
    EXPECT_EQ(query.shared().Stats().held_bytes, stats.taken_bytes - stats.prepaid_bytes);
    EXPECT_EQ(ended, 0u);
  }
  EXPECT_EQ(ended, kThreads * kRows);
  ExpectAllBack(engine);
}

// Whichever of their allocations is the first to be refused: the limit holds, the exception names
// it, and everything is back at the end, also while the threads live on.
TEST(QueryScopeTest, ThreadsThatShareAnArenaAreRefusedAtTheLimit) {
  constexpr size_t kThreads = 4;
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  for (size_t limit = 8 * kKiB; limit <= 2 * kMiB; limit += 56 * kKiB) {
    auto query =
        std::make_optional<QueryScope>(engine, ScopeOptions{.id = 3, .limit_bytes = limit});
    std::atomic<size_t> refused = 0;
    std::barrier step(kThreads + 1);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        ConcurrentArena& arena = query->shared();
        // Large objects among the small ones, and cleanups.
        size_t allocations = 0;
        for (; allocations < 100'000; ++allocations) {
          const size_t bytes = (allocations + t) % 16 == 0 ? 20 * kKiB : 500;
          if (arena.TryAllocate(bytes, 8) == nullptr) break;
          (void)arena.TryDefer([](void*) {}, nullptr);
        }
        EXPECT_LT(allocations, 100'000u);
        try {
          (void)arena.allocate(limit, 8);
          ADD_FAILURE() << "more than there is";
        } catch (const BudgetExceeded& refusal) {
          EXPECT_EQ(refusal.scope_path(), "engine/queries/query 3");
          EXPECT_EQ(refusal.limit_bytes(), limit);
          ++refused;
        }
        step.arrive_and_wait();
        step.arrive_and_wait();
      });
    }
    step.arrive_and_wait();
    EXPECT_EQ(refused, kThreads);
    EXPECT_LE(query->budget().Stats().peak_bytes, limit);
    if (limit > 512 * kKiB) {
      const BudgetStats stats = query->budget().Stats();
      EXPECT_GT(stats.taken_bytes - stats.prepaid_bytes, limit / 2) << "it was used";
    }
    query.reset();
    ExpectAllBack(engine);
    step.arrive_and_wait();
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(engine.queries_budget().Stats().escaped_bytes, 0u);
}

TEST(QueryScopeTest, WhatOutlivesASharedArenaIsCounted) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  void* p = nullptr;
  {
    QueryScope query(engine, {.id = 5});
    p = query.shared().upstream().TryAllocate(1000, 8);
    ASSERT_NE(p, nullptr);
  }
  EXPECT_EQ(engine.escapes(), 1u);
  EXPECT_EQ(engine.escaped_bytes(), 1000u);
  MallocResource::Default().deallocate(p, 1000, 8);
}

TEST(QueryScopeTest, CleanupsMayUseTheSharedArena) {
  struct Chain {
    Chain(QueryScope& owner, int more) : query(owner), left(more) {}
    ~Chain() {
      if (left == 0) return;
      if (left % 2 == 0) {
        query.arena().Create<Chain>(query, left - 1);
      } else {
        query.shared().Create<Chain>(query, left - 1);
      }
    }
    QueryScope& query;
    int left;
  };
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  {
    QueryScope query(engine);
    query.shared().Create<Chain>(query, 6);
  }
  ExpectAllBack(engine);
}

TEST(QueryScopeTest, ACancelledQueryEndsAndTheOthersGoOn) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  {
    QueryScope query(engine, {.id = 3});
    QueryScope other(engine, {.id = 4});
    std::atomic<bool> running = false;
    std::thread worker([&] {
      {
        std::pmr::vector<std::pmr::string> rows(&query.arena());
        EXPECT_THROW(
            {
              for (size_t i = 0;; ++i) {
                rows.emplace_back(100, 'x');
                if (i == 100) running = true;
              }
            },
            BudgetExceeded);
      }
      query.arena().DisownThread();
    });
    while (!running) std::this_thread::yield();
    query.Abort({.code = ErrorCode::kAborted, .message = "cancelled by its user"});
    worker.join();
    EXPECT_EQ(query.budget().Refusal(1).message, "cancelled by its user");
    EXPECT_NE(other.arena().TryAllocate(kMiB, 8), nullptr);
  }
  ExpectAllBack(engine);
}

// Many queries on a few threads, all of which would need ten times what there is: each finishes
// with the right answer or is refused with the reason.
TEST(QueryScopeTest, ManyQueriesUnderATenthOfWhatTheyNeed) {
  constexpr int kThreads = 16;
  constexpr uint64_t kQueries = 500;
  EngineMemory engine({.limit_bytes = 8 * kMiB, .page_bytes = 16 * kKiB});
  std::atomic<uint64_t> next = 0;
  std::atomic<uint64_t> finished = 0;
  std::atomic<uint64_t> refused = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      while (true) {
        const uint64_t id = ++next;
        if (id > kQueries) return;
        QueryScope query(engine, {.id = id, .limit_bytes = 3 * kMiB});
        std::mt19937_64 random(id);
        const size_t groups = 1 + random() % 50'000;
        try {
          std::pmr::unordered_map<uint64_t, uint64_t> counts(&query.arena());
          for (uint64_t i = 0; i < groups; ++i) ++counts[i * 7 % groups];
          uint64_t sum = 0;
          for (const auto& [group, count] : counts) sum += count;
          EXPECT_EQ(sum, groups);
          ++finished;
        } catch (const BudgetExceeded& refusal) {
          EXPECT_TRUE(refusal.scope_path() == "engine" ||
                      refusal.scope_path() == "engine/queries/query " + std::to_string(id) ||
                      refusal.scope_path() == "engine/queries")
              << refusal.scope_path();
          ++refused;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(finished + refused, kQueries);
  EXPECT_GT(finished, 0u);
  EXPECT_GT(refused, 0u);
  ExpectAllBack(engine);
}

}  // namespace
}  // namespace granary
