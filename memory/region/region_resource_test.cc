#include "memory/region/region_resource.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"
#include "memory/sanitizer.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

class RegionUnderTest final : public ResourceUnderTest {
 public:
  explicit RegionUnderTest(const RegionResourceOptions& options)
      : region_(RegionResource::Create(options).value()) {}
  MemoryResource& resource() override { return *region_; }

 private:
  std::unique_ptr<RegionResource> region_;
};

class SpanUnderTest final : public ResourceUnderTest {
 public:
  MemoryResource& resource() override { return *region_; }

 private:
  struct alignas(4096) Memory {
    std::byte bytes[64 * kMiB];
  };
  std::unique_ptr<Memory> memory_{new Memory};
  std::unique_ptr<RegionResource> region_ = RegionResource::CreateOver(memory_->bytes).value();
};

INSTANTIATE_TEST_SUITE_P(
    Region, ResourceConformanceTest,
    testing::Values(ConformanceTraits{.name = "Growing",
                                      .make =
                                          [](MemoryResource*) {
                                            return std::make_unique<RegionUnderTest>(
                                                RegionResourceOptions{.reserve_bytes =
                                                                          1024 * kMiB});
                                          }},
                    ConformanceTraits{
                        .name = "OverMemory",
                        .make = [](MemoryResource*) { return std::make_unique<SpanUnderTest>(); }}),
    ConformanceName);

std::unique_ptr<RegionResource> Make(const RegionResourceOptions& options) {
  return RegionResource::Create(options).value();
}

TEST(RegionResourceTest, GrowsByChunksAndGivesThemBack) {
  const auto memory = Make({.reserve_bytes = 64 * kMiB});
  EXPECT_EQ(memory->Stats().held_bytes, 0u);
  void* const small = memory->TryAllocate(1000, 16);
  EXPECT_EQ(memory->Stats(), (MemoryStats{1000, 1008, kMiB}));
  void* const large = memory->TryAllocate(10 * kMiB, 16);
  EXPECT_NE(large, nullptr);
  EXPECT_GE(memory->Stats().held_bytes, 10 * kMiB);
  memory->deallocate(large, 10 * kMiB, 16);
  EXPECT_GE(memory->Trim(), 9 * kMiB);
  EXPECT_EQ(memory->Stats().held_bytes, kMiB);
  memory->deallocate(small, 1000, 16);
  EXPECT_EQ(memory->Trim(), kMiB);
  EXPECT_EQ(memory->Stats(), MemoryStats{});
  EXPECT_NE(memory->TryAllocate(1000, 16), nullptr);
}

TEST(RegionResourceTest, ChunksGoBackFromWhereverTheyAreFree) {
  MemoryBudget budget({.name = "large", .hard_limit_bytes = 64 * kMiB});
  const auto memory = Make({.reserve_bytes = 64 * kMiB, .budget = &budget});
  std::vector<void*> blocks;
  for (int i = 0; i < 8; ++i) blocks.push_back(memory->TryAllocate(2 * kMiB + 64, 16));
  EXPECT_EQ(budget.Stats().taken_bytes, 17 * kMiB);
  // From 2 MiB + 64 to 6 MiB + 192: the chunks from 3 to 6 MiB are all free.
  memory->deallocate(blocks[1], 2 * kMiB + 64, 16);
  memory->deallocate(blocks[2], 2 * kMiB + 64, 16);
  EXPECT_EQ(memory->Trim(), 3 * kMiB);
  EXPECT_EQ(budget.Stats().taken_bytes, 14 * kMiB);
  EXPECT_EQ(memory->Stats().held_bytes, 14 * kMiB);
  // They come again, as zeros, with who takes the hole.
  auto* const again = static_cast<std::byte*>(memory->TryAllocate(4 * kMiB, 16));
  EXPECT_EQ(again, static_cast<std::byte*>(blocks[1]));
  EXPECT_EQ(again[3 * kMiB], std::byte{0});
  EXPECT_EQ(budget.Stats().taken_bytes, 17 * kMiB);
}

TEST(RegionResourceTest, ARefusedChunkLeavesEverythingAsItWas) {
  MemoryBudget budget({.name = "large", .hard_limit_bytes = 3 * kMiB});
  const auto memory = Make({.reserve_bytes = 64 * kMiB, .budget = &budget});
  auto* const p = static_cast<std::byte*>(memory->TryAllocate(2 * kMiB, 16));
  const RegionStats before = memory->region().Stats();
  EXPECT_EQ(memory->TryAllocate(5 * kMiB, 16), nullptr);
  EXPECT_FALSE(memory->TryResize(p, 2 * kMiB, 5 * kMiB, 16));
  EXPECT_EQ(memory->region().Stats(), before);
  EXPECT_EQ(memory->Stats().held_bytes, 2 * kMiB);
  EXPECT_TRUE(memory->TryResize(p, 2 * kMiB, 3 * kMiB, 16));
  EXPECT_EQ(memory->Stats().held_bytes, 3 * kMiB);
}

TEST(RegionResourceTest, HoldsAllThatItReservedAndNoMore) {
  const auto memory = Make({.reserve_bytes = 4 * kMiB});
  EXPECT_EQ(memory->TryAllocate(4 * kMiB + 1, 16), nullptr);
  void* const all = memory->TryAllocate(4 * kMiB, 16);
  EXPECT_NE(all, nullptr);
  EXPECT_EQ(memory->TryAllocate(1, 1), nullptr);
  EXPECT_THROW((void)memory->allocate(1), std::bad_alloc);
  memory->deallocate(all, 4 * kMiB, 16);
}

TEST(RegionResourceTest, IsChargedForWhatItHasGrownTo) {
  MemoryBudget budget({.name = "large", .hard_limit_bytes = 3 * kMiB});
  {
    const auto memory = Make({.reserve_bytes = 64 * kMiB, .budget = &budget});
    void* const p = memory->TryAllocate(2 * kMiB, 16);
    EXPECT_NE(p, nullptr);
    EXPECT_EQ(budget.Stats().taken_bytes, memory->Stats().held_bytes);
    EXPECT_EQ(memory->TryAllocate(2 * kMiB, 16), nullptr);
    EXPECT_THROW((void)memory->allocate(2 * kMiB), BudgetExceeded);
    memory->deallocate(p, 2 * kMiB, 16);
    (void)memory->Trim();
    EXPECT_EQ(budget.Stats().taken_bytes, 0u);
    EXPECT_NE(memory->TryAllocate(100, 16), nullptr);
  }
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
}

TEST(RegionResourceTest, ABlockGrowsIntoWhatIsFreeBehindIt) {
  const auto memory = Make({.reserve_bytes = 4 * kMiB});
  void* const first = memory->TryAllocate(1000, 16);
  void* const second = memory->TryAllocate(1000, 16);
  EXPECT_FALSE(memory->TryResize(first, 1000, 2000, 16));
  memory->deallocate(second, 1000, 16);
  EXPECT_TRUE(memory->TryResize(first, 1000, 2000, 16));
  std::memset(first, 1, 2000);
  EXPECT_TRUE(memory->TryResize(first, 2000, 100, 16));
  EXPECT_EQ(memory->Stats().used_bytes, 112u);
  memory->deallocate(first, 100, 16);
}

TEST(RegionResourceTest, TrackedBlocksAreFreedByTheirAddress) {
  const auto memory = Make({.reserve_bytes = 4 * kMiB, .region = {.track_used = true}});
  auto* const p = static_cast<std::byte*>(memory->TryAllocate(1000, 16));
  EXPECT_EQ(memory->UsableSize(p), 1008u);
  EXPECT_EQ(memory->UsableSize(p + 16), 0u);
  EXPECT_EQ(memory->Free(p + 16), FreeStatus::kNotAllocated);
  EXPECT_EQ(memory->Free(p), FreeStatus::kOk);
  EXPECT_EQ(memory->Free(p), FreeStatus::kNotAllocated);
  EXPECT_EQ(memory->Stats().asked_bytes, 0u);
}

TEST(RegionResourceTest, ABadFreeIsRefusedWithAStatusOrReported) {
  const auto memory = Make({.reserve_bytes = 4 * kMiB});
  auto* const p = static_cast<std::byte*>(memory->TryAllocate(1000, 16));
  std::byte other[16];
  EXPECT_EQ(memory->Free(other, 16), FreeStatus::kOutOfRange);
  EXPECT_EQ(memory->Free(p + 1, 16), FreeStatus::kMisaligned);
  EXPECT_EQ(memory->Free(p, 2000), FreeStatus::kOverlapsFree);
  EXPECT_EQ(memory->Free(p, 1000), FreeStatus::kOk);
  EXPECT_EQ(memory->Free(p, 1000), FreeStatus::kOverlapsFree);
  EXPECT_DEATH(memory->deallocate(p, 1000, 16),
               "region 'region': free of 1000 bytes.*overlaps free");
}

TEST(RegionResourceTest, ServesContainers) {
  const auto memory = Make({.reserve_bytes = 64 * kMiB});
  {
    std::pmr::map<int, std::pmr::string> map(memory.get());
    for (int i = 0; i < 1000; ++i) map[i] = std::string(static_cast<size_t>(i), 'x');
    for (int i = 0; i < 1000; i += 2) map.erase(i);
    EXPECT_EQ(map.at(999).size(), 999u);
    EXPECT_TRUE(memory->region().Validate());
  }
  EXPECT_EQ(memory->Stats().used_bytes, 0u);
}

TEST(RegionResourceTest, ARefusedReservationLeavesNothing) {
  for (size_t nth = 1; nth <= 4; ++nth) {
    FailingCalls calls;
    calls.RefuseCall(nth, ENOMEM);
    {
      const auto memory =
          RegionResource::Create({.reserve_bytes = 64 * kMiB, .system_calls = &calls});
      if (!calls.refused()) break;
      if (!memory) {
        EXPECT_EQ(memory.error().code, ErrorCode::kOutOfMemory);
      }
      calls.RefuseCall(0, 0);
    }
    EXPECT_EQ(calls.mapped_bytes(), 0) << nth;
  }
}

TEST(RegionResourceTest, OptionsThatMakeNoSenseAreNamed) {
  const auto message = [](const RegionResourceOptions& options) {
    const auto memory = RegionResource::Create(options);
    return memory ? std::string() : memory.error().message;
  };
  EXPECT_NE(message({.reserve_bytes = kMiB, .region = {.grain = 24}}).find("grain, 24"),
            std::string::npos);
  EXPECT_NE(message({.reserve_bytes = kMiB, .chunk_bytes = 1000}).find("chunk_bytes, 1000"),
            std::string::npos);
  EXPECT_NE(message({.reserve_bytes = 100}).find("reserve_bytes, 100"), std::string::npos);
  EXPECT_FALSE(RegionResource::CreateOver({}));
}

}  // namespace
}  // namespace granary
