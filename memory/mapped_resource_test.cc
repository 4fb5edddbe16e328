#include "memory/mapped_resource.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

class MappedUnderTest final : public ResourceUnderTest {
 public:
  MemoryResource& resource() override { return mapped_; }

 private:
  MemoryBudget budget_{{}};
  MappedResource mapped_{budget_};
};

INSTANTIATE_TEST_SUITE_P(
    Mapped, ResourceConformanceTest,
    testing::Values(ConformanceTraits{
        .name = "Plain",
        .make = [](MemoryResource*) { return std::make_unique<MappedUnderTest>(); },
    }),
    ConformanceName);

constexpr size_t kMiB = size_t{1} << 20;

TEST(MappedResourceTest, ClassesWasteAnEighthAtMostAndEndOnPages) {
  size_t last = 0;
  for (size_t bytes = 0; bytes < 40 * kMiB; bytes += bytes < 70'000 ? 1 : bytes / 1000) {
    const size_t held = MappedResource::BlockBytes(bytes);
    ASSERT_GE(held, bytes);
    ASSERT_GE(held, last);
    ASSERT_EQ(held % MappedResource::kPageBytes, 0u);
    ASSERT_LT(held, std::max<size_t>(bytes + bytes / 8, bytes + MappedResource::kPageBytes) + 1);
    ASSERT_EQ(MappedResource::BlockBytes(held), held) << "a class is of its own class";
    last = held;
  }
  EXPECT_EQ(MappedResource::BlockBytes(MappedResource::kMaxBytes), MappedResource::kMaxBytes);
}

TEST(MappedResourceTest, AFreeBlockStaysChargedAndServesTheNext) {
  MemoryBudget budget({});
  FailingCalls calls;
  MappedResource mapped(budget, calls);
  void* const p = mapped.TryAllocate(100'000, 16);
  std::memset(p, 1, 100'000);
  EXPECT_EQ(mapped.Stats(), (MemoryStats{100'000, 106'496, 106'496}));
  mapped.deallocate(p, 100'000, 16);
  EXPECT_EQ(mapped.Stats(), (MemoryStats{0, 0, 106'496}));
  EXPECT_EQ(budget.Stats().taken_bytes, 106'496u);
  const size_t before = calls.calls();
  void* const again = mapped.TryAllocate(99'000, 4096);
  EXPECT_EQ(again, p);
  EXPECT_EQ(calls.calls(), before);
  mapped.deallocate(again, 99'000, 4096);
  EXPECT_EQ(mapped.Trim(), 106'496u);
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
  EXPECT_EQ(calls.mapped_bytes(), 0);
}

TEST(MappedResourceTest, TheLimitHoldsAndFreeBlocksOfOtherSizesMakeRoom) {
  MemoryBudget budget({.name = "large", .hard_limit_bytes = kMiB});
  MappedResource mapped(budget);
  void* const half = mapped.TryAllocate(kMiB / 2, 16);
  ASSERT_NE(half, nullptr);
  EXPECT_EQ(mapped.TryAllocate(kMiB * 3 / 4, 16), nullptr);
  EXPECT_THROW((void)mapped.allocate(kMiB * 3 / 4), BudgetExceeded);
  EXPECT_EQ(budget.Stats().taken_bytes, kMiB / 2);
  mapped.deallocate(half, kMiB / 2, 16);
  void* const most = mapped.TryAllocate(kMiB * 3 / 4, 16);
  EXPECT_NE(most, nullptr);
  EXPECT_EQ(budget.Stats().taken_bytes, kMiB * 3 / 4);
  mapped.deallocate(most, kMiB * 3 / 4, 16);
}

// Has blocks of another resource's, and gives them back when asked.
class Giver final : public Reclaimer {
 public:
  Giver(MappedResource& mapped, size_t count) : mapped_(mapped) {
    for (size_t i = 0; i < count; ++i) blocks_.push_back(mapped_.TryAllocate(kMiB / 8, 16));
  }
  ~Giver() override {
    for (void* const block : blocks_) mapped_.deallocate(block, kMiB / 8, 16);
  }
  size_t Reclaim(size_t bytes, Clock::time_point) noexcept override {
    size_t given = 0;
    for (; given < bytes && !blocks_.empty(); given += kMiB / 8) {
      mapped_.deallocate(blocks_.back(), kMiB / 8, 16);
      blocks_.pop_back();
    }
    return given;
  }

 private:
  MappedResource& mapped_;
  std::vector<void*> blocks_;
};

TEST(MappedResourceTest, WhatAReclaimerFreesHereIsTaken) {
  MemoryBudget budget({.name = "all", .hard_limit_bytes = kMiB});
  MemoryBudget large(budget, {.name = "large"});
  MemoryBudget giving(budget, {.name = "giving"});
  MappedResource mapped(large);
  Giver giver(mapped, 8);
  EXPECT_EQ(budget.Stats().taken_bytes, kMiB);
  giving.AddReclaimer(giver);
  void* const some = mapped.TryAllocate(kMiB / 8, 16);
  EXPECT_NE(some, nullptr);
  void* const more = mapped.TryAllocate(kMiB / 2, 16);
  EXPECT_NE(more, nullptr);
  EXPECT_LE(budget.Stats().taken_bytes, kMiB);
  giving.RemoveReclaimer(giver);
  mapped.deallocate(some, kMiB / 8, 16);
  mapped.deallocate(more, kMiB / 2, 16);
}

TEST(MappedResourceTest, ARefusalByTheSystemChargesNothing) {
  MemoryBudget budget({});
  FailingCalls calls;
  MappedResource mapped(budget, calls);
  calls.RefuseCall(1, ENOMEM);
  EXPECT_EQ(mapped.TryAllocate(10'000, 16), nullptr);
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
  // Free blocks go before anybody is refused for want of mappings.
  void* const p = mapped.TryAllocate(10'000, 16);
  mapped.deallocate(p, 10'000, 16);
  calls.RefuseCall(1, ENOMEM);
  void* const q = mapped.TryAllocate(20'000, 16);
  EXPECT_NE(q, nullptr);
  EXPECT_EQ(mapped.Stats().held_bytes, 20'480u);
  mapped.deallocate(q, 20'000, 16);
  // A block that cannot go stays, charged.
  calls.RefuseCall(1, ENOMEM);
  EXPECT_EQ(mapped.Trim(), 0u);
  EXPECT_EQ(budget.Stats().taken_bytes, 20'480u);
  EXPECT_EQ(mapped.Trim(), 20'480u);
  EXPECT_EQ(calls.mapped_bytes(), 0);
}

TEST(MappedResourceTest, ABlockIsResizedWithinItsClass) {
  MemoryBudget budget({});
  MappedResource mapped(budget);
  void* const p = mapped.TryAllocate(100'000, 16);
  EXPECT_TRUE(mapped.TryResize(p, 100'000, 106'496, 16));
  EXPECT_FALSE(mapped.TryResize(p, 106'496, 106'497, 16));
  EXPECT_FALSE(mapped.TryResize(p, 106'496, 50'000, 16));
  EXPECT_EQ(mapped.Stats().asked_bytes, 106'496u);
  mapped.deallocate(p, 106'496, 16);
}

TEST(MappedResourceTest, SizesAndAlignmentsBeyondItsOwnAreRefused) {
  MemoryBudget budget({});
  MappedResource mapped(budget);
  EXPECT_EQ(mapped.TryAllocate(SIZE_MAX, 1), nullptr);
  EXPECT_EQ(mapped.TryAllocate(MappedResource::kMaxBytes + 1, 1), nullptr);
  EXPECT_EQ(mapped.TryAllocate(100, 8192), nullptr);
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
}

TEST(MappedResourceTest, ThreadsShareIt) {
  MemoryBudget budget({.name = "large", .hard_limit_bytes = 4 * kMiB});
  MappedResource mapped(budget);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      std::vector<std::pair<void*, size_t>> blocks;
      for (int i = 0; i < 2'000; ++i) {
        if (blocks.size() < 10 && random() % 2 == 0) {
          const size_t bytes = 5'000 + random() % 300'000;
          if (void* const p = mapped.TryAllocate(bytes, 16)) {
            std::memset(p, static_cast<int>(t), 100);
            blocks.emplace_back(p, bytes);
          }
        } else if (!blocks.empty()) {
          const auto [p, bytes] = blocks.back();
          EXPECT_EQ(static_cast<std::byte*>(p)[99], static_cast<std::byte>(t));
          mapped.deallocate(p, bytes, 16);
          blocks.pop_back();
        } else if (random() % 8 == 0) {
          (void)mapped.Trim(100'000);
        }
      }
      for (const auto& [p, bytes] : blocks) mapped.deallocate(p, bytes, 16);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(mapped.Stats().used_bytes, 0u);
  EXPECT_EQ(budget.Stats().taken_bytes, mapped.Stats().held_bytes);
}

}  // namespace
}  // namespace granary
