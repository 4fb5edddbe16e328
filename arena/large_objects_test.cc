#include "arena/large_objects.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/failing_resource.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

constexpr size_t kHeader = LargeObjects::kHeaderBytes;

// Large objects over an upstream that looks for leaks; the owner's part of the contract is the
// destructor.
class LargeObjectsTest : public testing::Test {
 protected:
  ~LargeObjectsTest() override {
    large_.RewindTo({});
    large_.TrimIdle(upstream_, 0, nullptr);
    EXPECT_EQ(large_.held_bytes(), 0u);
  }

  void* Allocate(size_t bytes, size_t alignment = 16) {
    void* const p = large_.TryAllocate(upstream_, bytes, alignment, nullptr, nullptr);
    if (p != nullptr) std::memset(p, 0x3c, bytes);
    return p;
  }
  // Everything becomes idle: as many blocks as there are sizes.
  void MakeIdle(const std::vector<size_t>& sizes) {
    for (const size_t bytes : sizes) ASSERT_NE(Allocate(bytes), nullptr);
    large_.RewindTo({});
  }
  size_t calls() const { return upstream_.allocation_count(); }

  FailingResource upstream_;
  LargeObjects large_;
};

TEST_F(LargeObjectsTest, CountsWhatLivesAndWhatIsIdle) {
  ASSERT_NE(Allocate(10'000), nullptr);
  const LargeObjects::Position position = large_.position();
  ASSERT_NE(Allocate(20'000), nullptr);
  EXPECT_EQ(large_.live_count(), 2u);
  EXPECT_EQ(large_.live_bytes(), 30'000 + 2 * kHeader);
  large_.RewindTo(position);
  EXPECT_EQ(large_.live_count(), 1u);
  EXPECT_EQ(large_.live_bytes(), 10'000 + kHeader);
  EXPECT_EQ(large_.idle_bytes(), 20'000 + kHeader);
  EXPECT_EQ(large_.held_bytes(), upstream_.live_bytes());
}

TEST_F(LargeObjectsTest, TakesTheIdleBlockThatFitsBest) {
  void* const middle = [&] {
    EXPECT_NE(Allocate(30'000), nullptr);
    void* const p = Allocate(20'000);
    EXPECT_NE(Allocate(40'000), nullptr);
    large_.RewindTo({});
    return p;
  }();
  const size_t before = calls();
  EXPECT_EQ(Allocate(19'000), middle);
  EXPECT_EQ(calls(), before);
  EXPECT_EQ(large_.idle_bytes(), 70'000 + 2 * kHeader);
}

TEST_F(LargeObjectsTest, TakesAnIdleBlockHoweverMuchLargerItIs) {
  MakeIdle({100'000});
  const size_t before = calls();
  ASSERT_NE(Allocate(1'000), nullptr);
  EXPECT_EQ(calls(), before);
}

TEST_F(LargeObjectsTest, GivesIdleBlocksBackForANewOne) {
  MakeIdle({50'000, 60'000, 70'000});
  ASSERT_NE(Allocate(100'000), nullptr);
  // The largest go first, until they make up for the new one.
  EXPECT_EQ(large_.idle_bytes(), 50'000 + kHeader);
  EXPECT_EQ(large_.held_bytes(), upstream_.live_bytes());
}

TEST_F(LargeObjectsTest, WhatIsHeldDoesNotDriftUp) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  size_t most_used = 0;
  for (int round = 0; round < 2000; ++round) {
    size_t used = 0;
    for (size_t i = 1 + random() % 4; i > 0; --i) {
      const size_t bytes = 1000 + static_cast<size_t>(random() % 100'000);
      ASSERT_NE(Allocate(bytes), nullptr);
      used += bytes + kHeader;
    }
    most_used = std::max(most_used, used);
    large_.RewindTo({});
    // A block serves down to half its size, and nothing is added while idle ones could make way.
    ASSERT_LE(large_.held_bytes(), 2 * most_used) << "round " << round;
    ASSERT_EQ(large_.held_bytes(), upstream_.live_bytes());
  }
}

TEST_F(LargeObjectsTest, TrimsTheLargestFirst) {
  MakeIdle({10'000, 40'000, 20'000, 30'000});
  EXPECT_EQ(large_.TrimIdle(upstream_, 100'000 + 4 * kHeader, nullptr), 0u);
  EXPECT_EQ(large_.TrimIdle(upstream_, 70'000, nullptr), 40'000 + kHeader);
  EXPECT_EQ(large_.idle_bytes(), 60'000 + 3 * kHeader);
  EXPECT_EQ(large_.TrimIdle(upstream_, 30'000 + 2 * kHeader, nullptr), 30'000 + kHeader);
  EXPECT_EQ(large_.TrimIdle(upstream_, 0, nullptr), 30'000 + 2 * kHeader);
  EXPECT_EQ(upstream_.live_count(), 0u);
}

TEST_F(LargeObjectsTest, LeavesWhatLivesAloneWhenItTrims) {
  auto* const live = static_cast<char*>(Allocate(10'000));
  const LargeObjects::Position position = large_.position();
  ASSERT_NE(Allocate(20'000), nullptr);
  large_.RewindTo(position);
  EXPECT_EQ(large_.TrimIdle(upstream_, 0, nullptr), 20'000 + kHeader);
  EXPECT_EQ(live[9'999], 0x3c);
  EXPECT_TRUE(large_.Contains(live));
}

TEST_F(LargeObjectsTest, HonoursEveryAlignmentAlsoOfAnIdleBlock) {
  for (int round = 0; round < 2; ++round) {
    for (size_t alignment = 16; alignment <= size_t{1} << 21; alignment *= 2) {
      void* const p = Allocate(10'000, alignment);
      ASSERT_NE(p, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % alignment, 0u);
    }
    large_.RewindTo({});
  }
}

TEST_F(LargeObjectsTest, ResizesTheNewestOnly) {
  void* const older = Allocate(100'000);
  void* const newest = Allocate(100'000);
  EXPECT_FALSE(large_.TryResizeNewest(upstream_, older, 99'000));
  EXPECT_FALSE(large_.TryResizeNewest(upstream_, newest, SIZE_MAX));
  ASSERT_TRUE(large_.TryResizeNewest(upstream_, newest, 99'000));
  EXPECT_EQ(large_.live_bytes(), 199'000 + 2 * kHeader);
  EXPECT_EQ(upstream_.live_bytes(), large_.held_bytes());
}

TEST_F(LargeObjectsTest, APositionOutlivesAResizeOfItsNewest) {
  void* const p = Allocate(100'000);
  const LargeObjects::Position position = large_.position();
  ASSERT_TRUE(large_.TryResizeNewest(upstream_, p, 99'000));
  ASSERT_NE(Allocate(50'000), nullptr);
  large_.RewindTo(position);
  EXPECT_EQ(large_.live_bytes(), 99'000 + kHeader);
  EXPECT_EQ(large_.idle_bytes(), 50'000 + kHeader);
}

TEST_F(LargeObjectsTest, AbsorbsWhatLivesAndLeavesWhatIsIdle) {
  LargeObjects other;
  ASSERT_NE(other.TryAllocate(upstream_, 10'000, 16, nullptr, nullptr), nullptr);
  other.RewindTo({});
  void* const p = other.TryAllocate(upstream_, 30'000, 16, nullptr, nullptr);
  void* const mine = Allocate(20'000);
  large_.Absorb(other);
  EXPECT_EQ(large_.live_count(), 2u);
  EXPECT_TRUE(large_.Contains(p));
  EXPECT_TRUE(large_.Contains(mine));
  EXPECT_FALSE(other.Contains(p));
  EXPECT_EQ(other.live_bytes(), 0u);
  other.TrimIdle(upstream_, 0, nullptr);
}

TEST_F(LargeObjectsTest, SizesThatOverflowAndRefusalsAreNull) {
  EXPECT_EQ(large_.TryAllocate(upstream_, SIZE_MAX, 16, nullptr, nullptr), nullptr);
  EXPECT_EQ(large_.TryAllocate(upstream_, PTRDIFF_MAX, 4096, nullptr, nullptr), nullptr);
  ASSERT_NE(Allocate(10'000), nullptr);
  upstream_.RefuseFrom(1);
  EXPECT_EQ(Allocate(10'000), nullptr);
  EXPECT_EQ(large_.live_count(), 1u);
  EXPECT_EQ(large_.held_bytes(), upstream_.live_bytes());
  upstream_.RefuseNone();
}

TEST_F(LargeObjectsTest, HooksSeeEveryBlockThatComesOrGoes) {
  static size_t fresh_bytes;
  static size_t stale_bytes;
  fresh_bytes = stale_bytes = 0;
  const LargeObjects::BlockHook fresh = [](void*, size_t bytes) { fresh_bytes += bytes; };
  const LargeObjects::BlockHook stale = [](void*, size_t bytes) { stale_bytes += bytes; };
  ASSERT_NE(large_.TryAllocate(upstream_, 10'000, 16, fresh, stale), nullptr);
  large_.RewindTo({});
  ASSERT_NE(large_.TryAllocate(upstream_, 10'000, 16, fresh, stale), nullptr);
  EXPECT_EQ(fresh_bytes, 10'000u) << "a block that is taken again is not fresh";
  large_.RewindTo({});
  EXPECT_EQ(stale_bytes, 0u);
  ASSERT_NE(large_.TryAllocate(upstream_, 20'000, 16, fresh, stale), nullptr);
  EXPECT_EQ(stale_bytes, 10'000u);
  EXPECT_EQ(fresh_bytes, 30'000u);
}

}  // namespace
}  // namespace granary
