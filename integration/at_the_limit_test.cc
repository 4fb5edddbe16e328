// What an engine does at its limit: who is asked, in which order, what is said, and what is not
// charged twice.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "integration/engine_memory.h"
#include "integration/query_scope.h"

namespace granary {
namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;
constexpr size_t kPage = 64 * kKiB;

// An operator that has pages, and frees as many as others lack.
class Holder {
 public:
  Holder(QueryScope& query, size_t bytes) : scope_(query, {.name = "holder"}) {
    while (bytes > 0) {
      void* const page = scope_.resource().TryAllocate(kPage, kPage);
      if (page == nullptr) break;
      pages_.push_back(page);
      bytes -= kPage;
    }
    scope_.SpillWith([this](size_t wanted) {
      ++spills_;
      size_t freed = 0;
      for (; freed < wanted && !pages_.empty(); freed += kPage) Free();
      return freed;
    });
  }
  ~Holder() {
    scope_.StopSpilling();
    while (!pages_.empty()) Free();
  }

  size_t bytes() const { return pages_.size() * kPage; }
  size_t spills() const { return spills_; }

 private:
  void Free() {
    scope_.resource().deallocate(pages_.back(), kPage, kPage);
    pages_.pop_back();
  }

  OperatorScope scope_;
  std::vector<void*> pages_;
  size_t spills_ = 0;
};

TEST(AtTheLimitTest, PagesThatAnOperatorFreesServeAnyRequest) {
  EngineMemory engine({.limit_bytes = 16 * kMiB});
  QueryScope first(engine, {.id = 1});
  Holder holder(first, 12 * kMiB);
  QueryScope second(engine, {.id = 2});
  void* const block = second.resource().TryAllocate(8 * kMiB, 64);
  EXPECT_NE(block, nullptr) << "the pages are free, and the pool has yet to give them back";
  EXPECT_EQ(holder.spills(), 1u);
  EXPECT_LE(engine.budget().Stats().taken_bytes, 16 * kMiB);
  second.resource().deallocate(block, 8 * kMiB, 64);
}

TEST(AtTheLimitTest, OnePageAsksNoMoreThanOneToSpill) {
  EngineMemory engine({.limit_bytes = 16 * kMiB});
  QueryScope first(engine, {.id = 1});
  Holder smaller(first, 6 * kMiB);
  Holder larger(first, 10 * kMiB);
  ASSERT_EQ(smaller.spills(), 0u);
  const uint64_t refusals = engine.budget().Stats().refusals;
  const size_t before = larger.bytes();
  QueryScope second(engine, {.id = 2});
  EXPECT_NE(second.arena().TryAllocate(100, 8), nullptr);
  EXPECT_EQ(smaller.spills(), 0u);
  EXPECT_EQ(larger.spills(), 1u);
  EXPECT_EQ(before - larger.bytes(), kPage);
  EXPECT_EQ(engine.budget().Stats().refusals, refusals) << "nobody was refused";
}

TEST(AtTheLimitTest, APromotionNeedsNoRoomAboveBothScopes) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  QueryScope query(engine, {.id = 1, .limit_bytes = 8 * kMiB});
  {
    OperatorScope part(query, {.name = "part"});
    for (int i = 0; i < 5 * 16; ++i) ASSERT_NE(part.arena().TryAllocate(60 * kKiB, 8), nullptr);
    const size_t taken = query.budget().Stats().taken_bytes;
    const auto done = part.Promote(query);
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_LE(query.budget().Stats().taken_bytes, taken);
  }
  EXPECT_GE(query.budget().Stats().taken_bytes, 80 * 60 * kKiB);

  QueryScope other(engine, {.id = 2});
  ASSERT_NE(other.arena().TryAllocate(40 * kMiB, 64), nullptr);
  ResultScope result(engine);
  const auto done = other.Promote(result);
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_GE(engine.results_budget().Stats().taken_bytes, 40 * kMiB);
  EXPECT_LT(engine.queries_budget().Stats().taken_bytes, 10 * kMiB);
}

TEST(AtTheLimitTest, WhatWasPromotedIsReleasedWhereItIs) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  {
    ResultScope result(engine, {.limit_bytes = 30 * kMiB});
    for (uint64_t i = 1; i <= 10; ++i) {
      QueryScope query(engine, {.id = i});
      OperatorScope part(query);
      ASSERT_NE(part.arena().TryAllocate(2 * kMiB, 64), nullptr);
      ASSERT_NE(part.arena().TryAllocate(1000, 8), nullptr);
      ASSERT_TRUE(part.Promote(query));
      ASSERT_TRUE(query.Promote(result));
    }
    QueryScope large(engine);
    ASSERT_NE(large.arena().TryAllocate(20 * kMiB, 64), nullptr);
    const auto refused = large.Promote(result);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
    EXPECT_NE(refused.error().message.find("engine/results/result has"), std::string::npos)
        << refused.error().message;
  }
  // What is free in the pool is all that there is.
  engine.pool().Trim();
  engine.large().Trim();
  for (const MemoryBudget* node : {&engine.queries_budget(), &engine.results_budget()}) {
    EXPECT_EQ(node->Stats().taken_bytes, 0u) << node->name();
    EXPECT_EQ(node->Stats().escaped_bytes, 0u) << node->name();
  }
  EXPECT_EQ(engine.budget().Stats().taken_bytes,
            engine.pool().Stats().charged_pages * engine.pool().page_bytes());
}

TEST(AtTheLimitTest, ScopesOfTwoEnginesDoNotPromote) {
  EngineMemory one({.limit_bytes = 16 * kMiB});
  EngineMemory other({.limit_bytes = 16 * kMiB});
  QueryScope query(one);
  ASSERT_NE(query.arena().TryAllocate(1000, 8), nullptr);
  ResultScope result(other);
  const auto refused = query.Promote(result);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
}

TEST(AtTheLimitTest, ARefusalNamesTheQueriesThatHaveTheMemory) {
  EngineMemory engine({.limit_bytes = 16 * kMiB});
  QueryScope large(engine, {.id = 7});
  while (large.arena().TryAllocate(60'000, 8) != nullptr) {
  }
  const std::string message = large.Refusal(60'000).message;
  EXPECT_NE(message.find("engine/queries/query 7 asked for 60000 bytes"), std::string::npos)
      << message;
  EXPECT_NE(message.find("engine has "), std::string::npos) << message;
  EXPECT_NE(message.find("by pages 16777216"), std::string::npos) << message;
  EXPECT_NE(message.find("in these query 7 has "), std::string::npos) << message;
}

TEST(AtTheLimitTest, ARefusalOfABlockIsSaidForASmallObject) {
  EngineMemory engine({.limit_bytes = 16 * kMiB});
  QueryScope query(engine, {.id = 7, .limit_bytes = 1 * kMiB});
  while (query.arena().TryAllocate(4'000, 8) != nullptr) {
  }
  const std::string message = query.Refusal(4'000).message;
  EXPECT_EQ(message.find("released enough meanwhile"), std::string::npos) << message;
  EXPECT_NE(message.find("asked for 4000 bytes, a block of 65536: engine/queries/query 7 has"),
            std::string::npos)
      << message;
}

TEST(AtTheLimitTest, WhatIsThrownAfterAnAbortSaysWhy) {
  EngineMemory engine({.limit_bytes = 16 * kMiB});
  QueryScope query(engine, {.id = 7});
  query.Abort({.code = ErrorCode::kAborted, .message = "cancelled by its user"});
  EXPECT_TRUE(query.budget().is_aborted());
  try {
    (void)query.arena().allocate(4'000, 8);
    ADD_FAILURE() << "it was served";
  } catch (const BudgetExceeded& refusal) {
    EXPECT_STREQ(refusal.what(),
                 "no more memory for engine/queries/query 7: cancelled by its user");
    EXPECT_EQ(refusal.limit_bytes(), 0u);
  }
  EXPECT_EQ(query.Refusal(4'000).code, ErrorCode::kAborted);
}

TEST(AtTheLimitTest, WhatIsPrepaidForPagesIsNotTheRootsToPay) {
  EngineMemory engine({.limit_bytes = 16 * kMiB});
  QueryScope query(engine);
  ASSERT_NE(query.arena().TryAllocate(100, 8), nullptr);
  EXPECT_GT(query.budget().Stats().prepaid_bytes, 0u);
  EXPECT_EQ(engine.budget().Stats().prepaid_bytes, 0u);
}

TEST(AtTheLimitTest, EachKindOfScopeHasItsName) {
  EngineMemory engine({.limit_bytes = 16 * kMiB});
  QueryScope query(engine, {.id = 1});
  OperatorScope part(query, {.id = 2});
  ResultScope result(engine, {.id = 3});
  EXPECT_EQ(query.budget().Path(), "engine/queries/query 1");
  EXPECT_EQ(part.budget().Path(), "engine/queries/query 1/operator 2");
  EXPECT_EQ(result.budget().Path(), "engine/results/result 3");
}

}  // namespace
}  // namespace granary
