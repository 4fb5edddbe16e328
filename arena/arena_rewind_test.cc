// Marks, rewinds and scopes: what comes back, and what is kept.
#include <cstring>
#include <memory>
#include <vector>

#include "arena/arena.h"
#include "arena/arena_scope.h"
#include "arena/testing/counting.h"
#include "gtest/gtest.h"

namespace granary {
namespace {

TEST(ArenaRewindTest, RewindTakesBackWhatCameAfterTheMark) {
  CountingUpstream upstream;
  std::vector<int> log;
  Arena arena(UncheckedOptions(upstream));
  arena.Create<Counted>(&log, 1);
  const ArenaStats before = arena.DetailedStats();
  const ArenaMark mark = arena.Mark();
  for (int round = 0; round < 3; ++round) {
    arena.Create<Counted>(&log, 2);
    for (int i = 0; i < 1000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
    ASSERT_NE(arena.TryAllocate(1 << 20, 8), nullptr);
    ASSERT_NE(arena.TryAllocateBytes(77), nullptr);
    arena.Rewind(mark);
    EXPECT_EQ(log, std::vector<int>(static_cast<size_t>(round + 1), 2));
    EXPECT_EQ(arena.DetailedStats().asked_bytes, before.asked_bytes);
    EXPECT_EQ(arena.DetailedStats().used_bytes, before.used_bytes);
    EXPECT_EQ(arena.DetailedStats().large_count, 0u);
    if (round == 0) upstream.calls = 0;
  }
  EXPECT_EQ(upstream.calls, 0u) << "a rewind keeps the blocks";
}

TEST(ArenaRewindTest, RewindsToBeforeTheFirstBlock) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  const ArenaMark mark = arena.Mark();
  void* const first = arena.TryAllocate(64, 8);
  arena.Rewind(mark);
  EXPECT_EQ(arena.TryAllocate(64, 8), first);
}

TEST(ArenaRewindTest, ScopesNestTenThousandDeep) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  std::vector<std::unique_ptr<ArenaScope>> scopes;
  std::vector<size_t> asked;
  for (int depth = 0; depth < 10'000; ++depth) {
    asked.push_back(arena.Stats().asked_bytes);
    scopes.push_back(std::make_unique<ArenaScope>(arena));
    ASSERT_NE(arena.TryAllocate(48, 8), nullptr);
  }
  while (!scopes.empty()) {
    scopes.pop_back();
    ASSERT_EQ(arena.Stats().asked_bytes, asked.back());
    asked.pop_back();
  }
}

TEST(ArenaRewindTest, ARewindTakesBackWhatWasAbsorbedSince) {
  CountingUpstream upstream;
  Arena result(UncheckedOptions(upstream));
  Arena scratch(UncheckedOptions(upstream));
  const ArenaMark mark = result.Mark();
  for (int i = 0; i < 100; ++i) ASSERT_NE(scratch.TryAllocate(64, 8), nullptr);
  ASSERT_TRUE(result.Absorb(std::move(scratch)));
  result.Rewind(mark);
  EXPECT_EQ(result.Stats().asked_bytes, 0u);
  const size_t calls = upstream.calls;
  EXPECT_NE(result.TryAllocate(64, 8), nullptr);
  EXPECT_EQ(upstream.calls, calls) << "the absorbed blocks are retained";
}

TEST(ArenaRewindTest, ARewindKnowsTheSizeOfALargeObjectResizedSinceTheMark) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  auto* const p = static_cast<char*>(arena.TryAllocate(100'000, 8));
  std::memset(p, 7, 100'000);
  const ArenaMark mark = arena.Mark();
  ASSERT_TRUE(arena.ShrinkLast(p, 100'000, 99'000, 8));
  const size_t held = arena.Stats().held_bytes;
  ASSERT_NE(arena.TryAllocate(200'000, 8), nullptr);
  arena.Rewind(mark);
  EXPECT_EQ(arena.DetailedStats().large_bytes, 99'000 + LargeObjects::kHeaderBytes);
  EXPECT_GE(arena.Stats().held_bytes, held);
  EXPECT_EQ(p[98'999], 7);
  arena.Reset(Retention::Release());
  EXPECT_EQ(arena.Stats().held_bytes, 0u);
}

}  // namespace
}  // namespace granary
