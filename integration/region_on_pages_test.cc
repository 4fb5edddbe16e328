// Regions on the pages of a pool.
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <memory_resource>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/malloc_resource.h"
#include "memory/region/paged_region_resource.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/resource_conformance_test_suite.h"
#include "pool/page_pool.h"
#include "pool/page_pool_resource.h"

namespace granary {
namespace {

constexpr size_t kPage = size_t{64} << 10;

struct OnPool {
  explicit OnPool(size_t max_pages)
      : pool(PagePool::Create({.page_bytes = kPage, .max_pages = max_pages}).value()),
        pages(*pool),
        memory(PagedRegionResource::Create(pages).value()) {}

  std::unique_ptr<PagePool> pool;
  PagePoolResource pages;
  std::unique_ptr<PagedRegionResource> memory;
};

class RegionOnPoolUnderTest final : public ResourceUnderTest {
 public:
  MemoryResource& resource() override { return *on_.memory; }

 private:
  OnPool on_{1024};
};

INSTANTIATE_TEST_SUITE_P(
    RegionOnPages, ResourceConformanceTest,
    testing::Values(ConformanceTraits{
        .name = "OnPool",
        .make = [](MemoryResource*) { return std::make_unique<RegionOnPoolUnderTest>(); },
        .largest_request_bytes = kPage}),
    ConformanceName);

TEST(PagedRegionTest, TakesPagesWhenItNeedsThemAndGivesThemBack) {
  OnPool on(8);
  void* const a = on.memory->TryAllocate(40'000, 16);
  void* const b = on.memory->TryAllocate(20'000, 16);
  EXPECT_EQ(on.pool->Stats().live_pages, 1U) << "both fit one";
  void* const c = on.memory->TryAllocate(30'000, 16);
  EXPECT_EQ(on.pool->Stats().live_pages, 2U);
  EXPECT_EQ(on.memory->Stats().held_bytes, 2 * kPage);
  EXPECT_EQ(on.memory->Trim(), 0U);
  on.memory->deallocate(c, 30'000, 16);
  EXPECT_EQ(on.memory->Trim(), kPage);
  EXPECT_EQ(on.pool->Stats().live_pages, 1U);
  on.memory->deallocate(a, 40'000, 16);
  on.memory->deallocate(b, 20'000, 16);
  EXPECT_EQ(on.memory->Trim(), kPage);
  EXPECT_EQ(on.memory->Stats(), MemoryStats{});
}

TEST(PagedRegionTest, RefusesWhatThePoolRefuses) {
  OnPool on(2);
  std::vector<void*> blocks;
  while (void* const p = on.memory->TryAllocate(10'000, 16)) blocks.push_back(p);
  EXPECT_GE(blocks.size(), 12U);
  EXPECT_EQ(on.memory->TryAllocate(kPage + 1, 16), nullptr);
  EXPECT_THROW((void)on.memory->allocate(10'000), std::bad_alloc);
  for (void* const p : blocks) on.memory->deallocate(p, 10'000, 16);
  void* const whole = on.memory->TryAllocate(kPage, kPage);
  EXPECT_EQ(whole, nullptr) << "its pages are there, and free, and nobody else's";
  EXPECT_EQ(on.memory->Trim(), 2 * kPage);
  void* const again = on.memory->TryAllocate(kPage, kPage);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(on.memory->Stats().held_bytes, kPage);
  on.memory->deallocate(again, kPage, kPage);
}

TEST(PagedRegionTest, EveryBadFreeIsFound) {
  OnPool on(8);
  auto* const p = static_cast<std::byte*>(on.memory->TryAllocate(1000, 16));
  std::byte other[64];
  EXPECT_EQ(on.memory->Free(other, 64), FreeStatus::kNotAllocated);
  EXPECT_EQ(on.memory->Free(p + 1, 1000), FreeStatus::kMisaligned);
  EXPECT_EQ(on.memory->Free(p + 16, 900), FreeStatus::kNotAllocated);
  EXPECT_EQ(on.memory->Free(p, 500), FreeStatus::kNotAllocated);
  EXPECT_EQ(on.memory->Free(p, 1000), FreeStatus::kOk);
  EXPECT_EQ(on.memory->Free(p, 1000), FreeStatus::kNotAllocated);
  EXPECT_DEATH(on.memory->deallocate(p, 1000, 16), "free of 1000 bytes.*not allocated");
  // Nor is a page that it gave back one of its blocks.
  EXPECT_EQ(on.memory->Trim(), kPage);
  EXPECT_EQ(on.memory->Free(p, 1000), FreeStatus::kNotAllocated);
}

TEST(PagedRegionTest, RandomBlocksStayTheirOwners) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  OnPool on(64);
  struct Block {
    std::byte* p;
    size_t bytes;
    std::byte mark;
  };
  std::vector<Block> blocks;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 100 == 0) (void)on.memory->Trim();
    if (blocks.empty() || random() % 2 == 0) {
      const size_t bytes = 1 + random() % (random() % 8 == 0 ? kPage : 3000);
      auto* const p = static_cast<std::byte*>(on.memory->TryAllocate(bytes, 16));
      if (p == nullptr) continue;
      const auto mark = static_cast<std::byte>(random());
      std::memset(p, static_cast<int>(mark), bytes);
      blocks.push_back({p, bytes, mark});
      continue;
    }
    std::swap(blocks[random() % blocks.size()], blocks.back());
    const Block block = blocks.back();
    blocks.pop_back();
    ASSERT_EQ(block.p[0], block.mark);
    ASSERT_EQ(block.p[block.bytes / 2], block.mark);
    ASSERT_EQ(block.p[block.bytes - 1], block.mark);
    on.memory->deallocate(block.p, block.bytes, 16);
  }
  EXPECT_TRUE(on.memory->region().Validate());
  for (const Block& block : blocks) on.memory->deallocate(block.p, block.bytes, 16);
  (void)on.memory->Trim();
  EXPECT_EQ(on.pool->Stats().live_pages, 0U);
}

TEST(PagedRegionTest, OptionsThatMakeNoSenseAreNamed) {
  OnPool on(8);
  const auto bad = PagedRegionResource::Create(on.pages, {.grain = 24});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("grain, 24"), std::string::npos);
  const auto unblocked = PagedRegionResource::Create(MallocResource::Default());
  ASSERT_FALSE(unblocked);
  EXPECT_NE(unblocked.error().message.find("pages have 0 bytes"), std::string::npos);
}

}  // namespace
}  // namespace granary
