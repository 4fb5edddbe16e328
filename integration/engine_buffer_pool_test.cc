// Queries and pages of files under one number.
#include "integration/engine_buffer_pool.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "integration/query_scope.h"
#include "pool/buffer/memory_page_store.h"

namespace granary {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kPageBytes = 4096;
constexpr uint64_t kPages = 4096;
constexpr size_t kLimit = 16 * kMiB;
// Three quarters of the limit.
constexpr size_t kFrames = 12 * kMiB / kPageBytes;

class EngineBufferPoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    files_ = *EngineBufferPool::Create(engine_, {.frames = kFrames});
    // Its pages are memory that no budget sees: they stand for a file.
    file_ =
        *pool().Attach({.store = *MemoryPageStore::Create(
                            {.page_bytes = kPageBytes, .pages = kPages, .capacity_pages = kPages}),
                        .pages_max = kPages});
  }

  BufferPool& pool() { return files_->pool(); }
  size_t taken() const { return engine_.budget().Stats().taken_bytes; }

  void Fill() {
    for (uint64_t page = 0; page < kFrames; ++page) {
      ASSERT_TRUE(pool().FixShared({file_, page})) << page;
    }
  }
  // What the query could have of `bytes`, in pieces of 64 KiB.
  static size_t Take(QueryScope& query, size_t bytes) {
    size_t taken = 0;
    for (; taken < bytes; taken += 64 << 10) {
      if (query.arena().TryAllocate(60 << 10, 8) == nullptr) break;
    }
    return taken;
  }

  mutable EngineMemory engine_{{.limit_bytes = kLimit}};
  std::unique_ptr<EngineBufferPool> files_;
  FileId file_ = 0;
};

TEST_F(EngineBufferPoolTest, AQueryTakesCleanPagesAndTheyComeBackAfterIt) {
  Fill();
  EXPECT_EQ(pool().Stats().used_frames, kFrames);
  EXPECT_GE(files_->budget().Stats().taken_bytes, kFrames * kPageBytes);
  {
    QueryScope query(engine_, {.id = 1});
    EXPECT_GE(Take(query, 12 * kMiB), 12 * kMiB);
    EXPECT_LE(pool().Stats().used_frames, 4 * kMiB / kPageBytes);
    EXPECT_LE(taken(), kLimit);
    // Fewer frames, and pages come and go as before.
    Fill();
    EXPECT_LE(taken(), kLimit);
  }
  Fill();
  EXPECT_GE(pool().Stats().used_frames, kFrames * 9 / 10);
}

TEST_F(EngineBufferPoolTest, NoQuerySpillsForAPage) {
  QueryScope query(engine_, {.id = 1});
  OperatorScope sort(query, {.name = "sort"});
  ASSERT_NE(sort.arena().TryAllocate(100, 8), nullptr);
  std::atomic<size_t> spills = 0;
  sort.SpillWith([&](size_t) {
    ++spills;
    return size_t{0};
  });
  const size_t had = Take(query, 10 * kMiB);
  ASSERT_GE(had, 10 * kMiB);
  Fill();
  EXPECT_EQ(spills, 0u);
  EXPECT_GT(pool().Stats().used_frames, 4 * kMiB / kPageBytes) << "what is free is used";
  // The pool goes before anybody spills.
  EXPECT_GE(Take(query, 4 * kMiB), 4 * kMiB);
  EXPECT_EQ(spills, 0u);
  sort.StopSpilling();
}

TEST_F(EngineBufferPoolTest, PagesThatAreFixedStayAndTheQueryIsToldWhoHasThem) {
  std::vector<SharedPage> fixed;
  for (uint64_t page = 0; page < kFrames; ++page) {
    auto got = pool().FixShared({file_, page});
    ASSERT_TRUE(got);
    fixed.push_back(*std::move(got));
  }
  QueryScope query(engine_, {.id = 1});
  EXPECT_LT(Take(query, 12 * kMiB), 5 * kMiB);
  const Error refusal = query.budget().Refusal(kMiB);
  EXPECT_NE(refusal.message.find("buffer pool"), std::string::npos) << refusal.message;
  for (const SharedPage& page : fixed) EXPECT_NE(page.data(), nullptr);
}

// Readers and writers of pages beside queries that come and go: nothing is lost, the sum is below
// the limit at every look, and it is even at the end.
TEST_F(EngineBufferPoolTest, PagesAndQueriesShareTheLimitUnderLoad) {
  constexpr int kRounds = 20;
  std::atomic<bool> ends = false;
  std::atomic<uint64_t> changes = 0;
  std::thread reader([&] {
    std::mt19937_64 random(7);
    while (!ends.load(std::memory_order_relaxed)) {
      const uint64_t page = random() % kPages;
      if (random() % 4 != 0) {
        if (!pool().FixShared({file_, page})) ADD_FAILURE();
        continue;
      }
      auto fixed = pool().FixExclusive({file_, page});
      if (!fixed) {
        ADD_FAILURE() << fixed.error().message;
        continue;
      }
      uint64_t count;
      std::memcpy(&count, fixed->data(), sizeof(count));
      ++count;
      std::memcpy(fixed->data(), &count, sizeof(count));
      fixed->MarkDirty(0);
      changes.fetch_add(1, std::memory_order_relaxed);
    }
  });
  size_t refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    QueryScope query(engine_, {.id = static_cast<uint64_t>(round) + 1});
    if (Take(query, 10 * kMiB) < 10 * kMiB) ++refused;
    EXPECT_LE(taken(), kLimit);
  }
  ends = true;
  reader.join();
  // Dirty pages do not go at once; most queries find enough that is clean.
  EXPECT_LT(refused, kRounds);
  uint64_t found = 0;
  for (uint64_t page = 0; page < kPages; ++page) {
    auto fixed = pool().FixShared({file_, page});
    ASSERT_TRUE(fixed);
    uint64_t count;
    std::memcpy(&count, fixed->data(), sizeof(count));
    found += count;
  }
  EXPECT_EQ(found, changes);
  files_.reset();
  (void)engine_.pool().Trim();
  EXPECT_EQ(taken(), 0u);
}

TEST(EngineBufferPoolOptionsTest, WhatMakesNoSenseIsRefused) {
  EngineMemory engine({.limit_bytes = kLimit});
  EXPECT_EQ(EngineBufferPool::Create(engine, {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(EngineBufferPool::Create(engine, {.page_bytes = 1000, .frames = 10}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(engine.budget().Stats().taken_bytes, 0u);
}

}  // namespace
}  // namespace granary
