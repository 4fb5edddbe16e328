#include "memory/region/shared_region_resource.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"
#include "memory/sanitizer.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

std::unique_ptr<SharedRegionResource> Make(const SharedRegionOptions& options) {
  return SharedRegionResource::Create(options).value();
}

class SharedUnderTest final : public ResourceUnderTest {
 public:
  explicit SharedUnderTest(const SharedRegionOptions& options) : region_(Make(options)) {}
  MemoryResource& resource() override { return *region_; }

 private:
  std::unique_ptr<SharedRegionResource> region_;
};

INSTANTIATE_TEST_SUITE_P(
    SharedRegion, ResourceConformanceTest,
    testing::Values(ConformanceTraits{.name = "OneShard",
                                      .make =
                                          [](MemoryResource*) {
                                            return std::make_unique<SharedUnderTest>(
                                                SharedRegionOptions{.shard_bytes = 1024 * kMiB,
                                                                    .shards = 1});
                                          }},
                    ConformanceTraits{.name = "FourShards",
                                      .make =
                                          [](MemoryResource*) {
                                            return std::make_unique<SharedUnderTest>(
                                                SharedRegionOptions{.shard_bytes = 1024 * kMiB,
                                                                    .shards = 4});
                                          }}),
    ConformanceName);

TEST(SharedRegionTest, ShardsServeWhatTheThreadsOwnCannot) {
  const auto memory = Make({.shard_bytes = 2 * kMiB, .shards = 4});
  std::vector<void*> blocks;
  for (int i = 0; i < 4; ++i) {
    blocks.push_back(memory->TryAllocate(2 * kMiB, 16));
    ASSERT_NE(blocks.back(), nullptr) << i;
  }
  EXPECT_EQ(memory->TryAllocate(1, 1), nullptr);
  EXPECT_EQ(memory->TryAllocate(2 * kMiB + 1, 16), nullptr);
  for (void* const block : blocks) memory->deallocate(block, 2 * kMiB, 16);
  EXPECT_EQ(memory->Stats().used_bytes, 0U);
  EXPECT_EQ(memory->Trim(), 8 * kMiB);
}

TEST(SharedRegionTest, WhatIsThereIsUsedBeforeMoreIsTaken) {
  MemoryBudget budget({.name = "large", .hard_limit_bytes = kMiB});
  const auto memory =
      Make({.shard_bytes = 64 * kMiB, .shards = 4, .chunk_bytes = kMiB, .budget = &budget});
  // The one chunk that may be there is in some other thread's shard.
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([&] {
      void* const p = memory->TryAllocate(10'000, 16);
      if (p != nullptr) memory->deallocate(p, 10'000, 16);
    });
    others.back().join();
    void* const p = memory->TryAllocate(10'000, 16);
    EXPECT_NE(p, nullptr);
    memory->deallocate(p, 10'000, 16);
    EXPECT_EQ(memory->Stats().held_bytes, kMiB);
  }
}

TEST(SharedRegionTest, RefusalsOfTheBudgetSayWhoseTheyAre) {
  MemoryBudget budget({.name = "large", .hard_limit_bytes = 2 * kMiB});
  const auto memory = Make({.shard_bytes = 64 * kMiB, .shards = 2, .budget = &budget});
  void* const p = memory->TryAllocate(2 * kMiB, 16);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(memory->TryAllocate(100, 16), nullptr);
  EXPECT_THROW((void)memory->allocate(100), BudgetExceeded);
  EXPECT_EQ(budget.Stats().taken_bytes, 2 * kMiB);
  memory->deallocate(p, 2 * kMiB, 16);
  EXPECT_EQ(memory->Trim(kMiB), kMiB);
  EXPECT_EQ(budget.Stats().taken_bytes, kMiB);
}

TEST(SharedRegionTest, BadFreesAreRefusedOrReported) {
  const auto memory = Make({.shard_bytes = 4 * kMiB, .shards = 2});
  auto* const p = static_cast<std::byte*>(memory->TryAllocate(1000, 16));
  std::byte other[16];
  EXPECT_EQ(memory->Free(other, 16), FreeStatus::kOutOfRange);
  EXPECT_EQ(memory->Free(p + 1, 16), FreeStatus::kMisaligned);
  EXPECT_EQ(memory->Free(p, 2000), FreeStatus::kOverlapsFree);
  // Into the next shard, or beyond all of them.
  EXPECT_EQ(memory->Free(p, 4 * kMiB + 16), FreeStatus::kOutOfRange);
  EXPECT_EQ(memory->Free(p, 1000), FreeStatus::kOk);
  EXPECT_DEATH(memory->deallocate(p, 1000, 16), "free of 1000 bytes.*overlaps free");
}

// Blocks go round among the threads; every one is written by who allocates it and looked at by who
// frees it, while somebody trims and the limit is below what they would like to have.
TEST(SharedRegionTest, ManyThreadsUnderALimit) {
  constexpr int kThreads = 8;
  constexpr int kSteps = kCheckedBuild ? 5'000 : 50'000;
  constexpr size_t kLimit = 6 * kMiB;
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  MemoryBudget budget({.name = "large", .hard_limit_bytes = kLimit});
  const auto memory =
      Make({.shard_bytes = 64 * kMiB, .shards = 3, .chunk_bytes = 64 << 10, .budget = &budget});
  struct Block {
    std::byte* p;
    size_t bytes;
  };
  std::mutex mutex;
  std::vector<Block> blocks;
  std::atomic<uint64_t> refused{0};
  std::atomic<bool> has_failed{false};
  const auto look_and_free = [&](const Block& block) {
    const auto mark = static_cast<std::byte>(block.bytes);
    if (block.p[0] != mark || block.p[block.bytes - 1] != mark) has_failed = true;
    memory->deallocate(block.p, block.bytes, 16);
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + static_cast<uint64_t>(t));
      for (int i = 0; i < kSteps; ++i) {
        if (random() % 512 == 0) (void)memory->Trim(random() % kMiB);
        if (random() % 2 == 0) {
          const size_t bytes = 1 + random() % (size_t{1} << (8 + random() % 10));
          auto* const p = static_cast<std::byte*>(memory->TryAllocate(bytes, 16));
          if (p == nullptr) {
            ++refused;
          } else {
            p[0] = p[bytes - 1] = static_cast<std::byte>(bytes);
            const std::scoped_lock lock(mutex);
            blocks.push_back({p, bytes});
            continue;
          }
        }
        Block block{};
        {
          const std::scoped_lock lock(mutex);
          if (blocks.empty()) continue;
          std::swap(blocks[random() % blocks.size()], blocks.back());
          block = blocks.back();
          blocks.pop_back();
        }
        look_and_free(block);
        if (budget.Stats().taken_bytes > kLimit) has_failed = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(has_failed);
  EXPECT_TRUE(memory->Validate());
  EXPECT_EQ(budget.Stats().taken_bytes, memory->Stats().held_bytes);
  for (const Block& block : blocks) look_and_free(block);
  EXPECT_FALSE(has_failed);
  EXPECT_EQ(memory->Stats().used_bytes, 0U);
  (void)memory->Trim();
  EXPECT_EQ(memory->Stats().held_bytes, 0U);
  EXPECT_EQ(budget.Stats().taken_bytes, 0U);
}

TEST(SharedRegionTest, ARefusedReservationLeavesNothing) {
  for (size_t nth = 1; nth <= 6; ++nth) {
    FailingCalls calls;
    calls.RefuseCall(nth, ENOMEM);
    {
      const auto memory = SharedRegionResource::Create(
          {.shard_bytes = 64 * kMiB, .shards = 3, .system_calls = &calls});
      if (!calls.refused()) break;
      if (!memory) {
        EXPECT_EQ(memory.error().code, ErrorCode::kOutOfMemory);
      }
      calls.RefuseCall(0, 0);
    }
    EXPECT_EQ(calls.mapped_bytes(), 0) << nth;
  }
}

TEST(SharedRegionTest, OptionsThatMakeNoSenseAreNamed) {
  const auto message = [](const SharedRegionOptions& options) {
    const auto memory = SharedRegionResource::Create(options);
    return memory ? std::string() : memory.error().message;
  };
  EXPECT_NE(message({.shard_bytes = kMiB, .region = {.grain = 24}}).find("grain, 24"),
            std::string::npos);
  EXPECT_NE(message({.shard_bytes = kMiB, .chunk_bytes = 1000}).find("chunk_bytes, 1000"),
            std::string::npos);
  EXPECT_NE(message({.shard_bytes = kMiB + 16}).find("shard_bytes, 1048592"), std::string::npos);
  EXPECT_NE(message({.shard_bytes = size_t{1} << 63, .shards = 4}).find("4 shards"),
            std::string::npos);
}

}  // namespace
}  // namespace granary
