// ChargedResource and SharedChargedResource: what every MemoryResource has to pass, and that the
// budget knows every byte.
#include "memory/charged_resource.h"

#include <memory>
#include <memory_resource>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/malloc_resource.h"
#include "memory/testing/failing_resource.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

template <class Resource>
class ChargedUnderTest final : public ResourceUnderTest {
 public:
  explicit ChargedUnderTest(MemoryResource* upstream)
      : resource_(budget_, upstream != nullptr ? *upstream : MallocResource::Default()) {}
  ~ChargedUnderTest() override { EXPECT_EQ(resource_.Stats().asked_bytes, 0u); }

  MemoryResource& resource() override { return resource_; }

 private:
  MemoryBudget budget_{MemoryBudgetOptions{}};
  Resource resource_;
};

template <class Resource>
ConformanceTraits Traits(std::string name) {
  return {.name = std::move(name),
          .make =
              [](MemoryResource* upstream) {
                return std::make_unique<ChargedUnderTest<Resource>>(upstream);
              },
          .takes_upstream = true};
}

INSTANTIATE_TEST_SUITE_P(Charged, ResourceConformanceTest,
                         testing::Values(Traits<ChargedResource>("OneThread"),
                                         Traits<SharedChargedResource>("AnyThread")),
                         ConformanceName);

template <class Resource>
class ChargedResourceTest : public testing::Test {};
using Resources = testing::Types<ChargedResource, SharedChargedResource>;
TYPED_TEST_SUITE(ChargedResourceTest, Resources);

TYPED_TEST(ChargedResourceTest, TheBudgetsLimitIsTheLimit) {
  MemoryBudget budget({.name = "query", .hard_limit_bytes = 1000});
  {
    TypeParam memory(budget, MallocResource::Default());
    void* const p = memory.TryAllocate(600, 8);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(memory.TryAllocate(401, 8), nullptr);
    EXPECT_FALSE(memory.TryResize(p, 600, 1001, 8));
    void* const q = memory.TryAllocate(400, 8);
    EXPECT_NE(q, nullptr);
    EXPECT_EQ(memory.Stats().asked_bytes, 1000u);
    try {
      (void)memory.allocate(1, 1);
      FAIL();
    } catch (const BudgetExceeded& refusal) {
      EXPECT_EQ(refusal.scope_path(), "query");
      EXPECT_EQ(refusal.limit_bytes(), 1000u);
    }
    memory.deallocate(p, 600, 8);
    memory.deallocate(q, 400, 8);
  }
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
}

TYPED_TEST(ChargedResourceTest, WhatUpstreamRefusesIsNotCharged) {
  FailingResource upstream;
  MemoryBudget budget({});
  {
    TypeParam memory(budget, upstream);
    upstream.RefuseFrom(1);
    EXPECT_EQ(memory.TryAllocate(100, 8), nullptr);
    EXPECT_EQ(memory.Stats().asked_bytes, 0u);
    try {
      (void)memory.allocate(100, 8);
      FAIL();
    } catch (const BudgetExceeded& refusal) {
      EXPECT_EQ(refusal.scope_path(), FailingResource::kScopePath) << "who refused";
    }
  }
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
}

TYPED_TEST(ChargedResourceTest, AChainIsReleasedWhole) {
  MemoryBudget budget({});
  TypeParam memory(budget, MallocResource::Default());
  BlockChain chain;
  for (const size_t bytes : {100u, 200u, 300u}) {
    auto* const link =
        static_cast<BlockLink*>(memory.TryAllocate(bytes, MemoryResource::kChainAlignment));
    ASSERT_NE(link, nullptr);
    *link = {.next = chain.first, .bytes = bytes};
    if (chain.last == nullptr) chain.last = link;
    chain.first = link;
    ++chain.count;
    chain.bytes += bytes;
  }
  EXPECT_EQ(memory.Stats().asked_bytes, 600u);
  memory.ReleaseChain(chain);
  EXPECT_EQ(memory.Stats().asked_bytes, 0u);
}

TEST(SharedChargedResourceTest, ThreadsComeAndGoAndFreeForEachOther) {
  MemoryBudget budget({.hard_limit_bytes = size_t{64} << 20});
  {
    SharedChargedResource memory(budget, MallocResource::Default());
    for (int round = 0; round < 20; ++round) {
      std::vector<void*> blocks(1000);
      std::thread([&] {
        for (void*& block : blocks) block = memory.TryAllocate(1000, 8);
      }).join();
      EXPECT_EQ(memory.Stats().asked_bytes, 1'000'000u);
      EXPECT_EQ(budget.Stats().prepaid_bytes, budget.Stats().taken_bytes - 1'000'000);
      std::vector<std::thread> threads;
      for (size_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
          for (size_t i = t; i < blocks.size(); i += 4) memory.deallocate(blocks[i], 1000, 8);
        });
      }
      for (std::thread& thread : threads) thread.join();
      EXPECT_EQ(memory.Stats().asked_bytes, 0u);
      EXPECT_EQ(budget.Stats().taken_bytes, 0u) << "a thread that ends leaves its credit";
    }
  }
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
}

}  // namespace
}  // namespace granary
