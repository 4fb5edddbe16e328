// An arena whose blocks are the pages of a pool.
#include <memory>
#include <thread>
#include <vector>

#include "arena/arena.h"
#include "arena/concurrent_arena.h"
#include "gtest/gtest.h"
#include "pool/page_pool_resource.h"

namespace granary {
namespace {

template <class Pool>
class ArenaOnPagesTest : public ::testing::Test {};
using Pools = ::testing::Types<PagePool, LocalPagePool>;
TYPED_TEST_SUITE(ArenaOnPagesTest, Pools);

TYPED_TEST(ArenaOnPagesTest, ABlockIsAPageHeaderIncluded) {
  const auto pool = std::move(*TypeParam::Create({.page_bytes = 4096, .max_pages = 100}));
  BasicPagePoolResource pages(*pool);
  Arena arena({.retention = Retention::KeepAll(), .upstream = &pages, .checks = Checks::kOff});
  EXPECT_EQ(pool->Stats().live_pages, 0u);
  ASSERT_NE(arena.TryAllocate(16, 16), nullptr);
  EXPECT_EQ(pool->Stats().live_pages, 1u);
  EXPECT_EQ(arena.Headroom(), 4096 - Arena::kBlockHeaderBytes - 16);
  // To the last byte.
  ASSERT_NE(arena.TryAllocateBytes(arena.Headroom()), nullptr);
  EXPECT_EQ(pool->Stats().live_pages, 1u);
  for (int i = 0; i < 255 * 99; ++i) ASSERT_NE(arena.TryAllocate(16, 16), nullptr);
  EXPECT_EQ(pool->Stats().live_pages, 100u);
  EXPECT_EQ(arena.Stats().held_bytes, 100u * 4096);
  EXPECT_EQ(arena.TryAllocate(16, 16), nullptr) << "the pool's cap is the arena's";
  arena.Reset();
  for (int i = 0; i < 255 * 100; ++i) ASSERT_NE(arena.TryAllocate(16, 16), nullptr);
}

TYPED_TEST(ArenaOnPagesTest, LargeObjectsHaveAPageOfTheirOwnOrAreRefused) {
  const auto pool = std::move(*TypeParam::Create({.page_bytes = 4096, .max_pages = 100}));
  BasicPagePoolResource pages(*pool);
  Arena arena({.upstream = &pages, .checks = Checks::kOff});
  ASSERT_NE(arena.TryAllocate(2000, 8), nullptr);
  ASSERT_NE(arena.TryAllocate(3000, 8), nullptr);
  EXPECT_EQ(pool->Stats().live_pages, 2u);
  EXPECT_EQ(arena.TryAllocate(5000, 8), nullptr);
  ASSERT_NE(arena.TryAllocate(1000, 8), nullptr);
  EXPECT_EQ(pool->Stats().live_pages, 2u) << "the first block goes on";
}

TYPED_TEST(ArenaOnPagesTest, GivesItsChainBackAtOnce) {
  const auto pool = std::move(*TypeParam::Create({.page_bytes = 512, .max_pages = 100'000}));
  BasicPagePoolResource pages(*pool);
  {
    Arena arena({.upstream = &pages});
    while (arena.TryAllocate(40, 8) != nullptr) {
    }
    EXPECT_EQ(pool->Stats().live_pages, 100'000u);
    arena.Reset(Retention::Release());
    EXPECT_EQ(pool->Stats().live_pages, 0u);
    while (arena.TryAllocate(40, 8) != nullptr) {
    }
    EXPECT_EQ(pool->Stats().live_pages, 100'000u);
  }
  EXPECT_EQ(pool->Stats().live_pages, 0u);
  // All of them can be had, each once.
  std::vector<std::byte*> all(100'001);
  EXPECT_EQ(pool->AllocateBatch(all), 100'000u);
}

TYPED_TEST(ArenaOnPagesTest, TwoArenasTakeTurns) {
  const auto pool = std::move(*TypeParam::Create({.page_bytes = 4096, .max_pages = 64}));
  BasicPagePoolResource pages(*pool);
  Arena a({.retention = Retention::Release(), .upstream = &pages});
  Arena b({.retention = Retention::Release(), .upstream = &pages});
  for (int round = 0; round < 100; ++round) {
    Arena& arena = round % 2 == 0 ? a : b;
    size_t bytes = 0;
    while (void* const p = arena.TryAllocate(100, 8)) {
      static_cast<char*>(p)[99] = 1;
      bytes += 100;
    }
    EXPECT_GT(bytes, size_t{64} * 1900);
    arena.Reset();
    ASSERT_EQ(pool->Stats().live_pages, 0u);
  }
}

TEST(ConcurrentArenaOnPagesTest, LanesTakePagesAndGiveThemAllBack) {
  const auto pool =
      std::move(*PagePool::Create({.page_bytes = 4096, .max_pages = 4000, .record_sites = false}));
  PagePoolResource pages(*pool);
  ConcurrentArena arena(
      {.retention = Retention::Release(), .upstream = &pages, .checks = Checks::kOff});
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&arena] {
        for (int i = 0; i < 20'000; ++i) {
          auto* const p = static_cast<char*>(arena.TryAllocate(40, 8));
          ASSERT_NE(p, nullptr);
          p[39] = 1;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    // Two for what a lane has at its beginning and its end, each.
    EXPECT_LE(pool->Stats().live_pages, 4 * (20'000 * 40 / (4096 - 16 - 39) + 2));
    arena.Reset();
    EXPECT_EQ(pool->Stats().live_pages, arena.lane_count()) << "a lane is a page";
  }
  while (arena.TryAllocate(100, 8) != nullptr) {
  }
  EXPECT_EQ(pool->Stats().live_pages, 4000u) << "the pool's cap is the arena's";
}

}  // namespace
}  // namespace granary
