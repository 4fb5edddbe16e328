#include "arena/arena.h"

#include <array>
#include <cstring>
#include <memory_resource>
#include <set>
#include <string>
#include <vector>

#include "arena/testing/counting.h"
#include "gtest/gtest.h"
#include "memory/malloc_resource.h"

namespace granary {
namespace {

bool IsAligned(const void* p, size_t alignment) {
  return reinterpret_cast<uintptr_t>(p) % alignment == 0;
}

TEST(ArenaTest, TakesNothingBeforeTheFirstAllocation) {
  CountingUpstream upstream;
  const Arena arena(UncheckedOptions(upstream));
  EXPECT_EQ(upstream.calls, 0u);
  EXPECT_EQ(arena.Stats().held_bytes, 0u);
}

TEST(ArenaTest, AlignedRequestsGrowUpAndByteStringsGrowDown) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  auto* const first = static_cast<char*>(arena.TryAllocate(24, 8));
  auto* const second = static_cast<char*>(arena.TryAllocate(8, 8));
  auto* const string = static_cast<char*>(arena.TryAllocateBytes(5));
  auto* const other = static_cast<char*>(arena.TryAllocate(3, 1));
  EXPECT_EQ(second, first + 24);
  EXPECT_EQ(string, first + 4096 - 5);
  EXPECT_EQ(other, string - 3);
  EXPECT_EQ(arena.Headroom(), 4096u - 32 - 8);
  EXPECT_EQ(arena.Stats().asked_bytes, 40u);
}

TEST(ArenaTest, HonoursEveryAlignment) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  for (size_t alignment = 1; alignment <= Arena::kMaxAlignment; alignment *= 2) {
    for (const size_t bytes : {1u, 7u, 40u, 1000u, 100'000u}) {
      EXPECT_NE(arena.TryAllocateBytes(1), nullptr);
      void* const p = arena.TryAllocate(bytes, alignment);
      ASSERT_NE(p, nullptr);
      EXPECT_TRUE(IsAligned(p, alignment)) << bytes << " bytes aligned to " << alignment;
      std::memset(p, 1, bytes);
    }
  }
}

TEST(ArenaTest, ConstantAndVariableRequestsOfOneKindTakeTheSame) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  size_t variable = 40;
  asm("" : "+r"(variable));
  size_t alignment = 16;
  asm("" : "+r"(alignment));
  const auto* const a = static_cast<char*>(arena.TryAllocate(8, 8));
  const auto* const b = static_cast<char*>(arena.TryAllocate(40, 16));
  const auto* const c = static_cast<char*>(arena.TryAllocate(variable, 16));
  const auto* const d = static_cast<char*>(arena.TryAllocate(variable, alignment));
  const auto* const e = static_cast<char*>(arena.TryAllocate(40));
  EXPECT_EQ(b, a + 16);
  EXPECT_EQ(c, b + 48);
  EXPECT_EQ(d, c + 48);
  EXPECT_EQ(e, d + 48);
}

TEST(ArenaTest, ZeroBytesAreAByteOfTheirOwn) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  std::set<void*> seen;
  for (int i = 0; i < 100; ++i) {
    for (const size_t alignment : {1u, 8u, 16u, 64u}) {
      void* const p = arena.TryAllocate(0, alignment);
      ASSERT_NE(p, nullptr);
      EXPECT_TRUE(seen.insert(p).second);
    }
  }
}

TEST(ArenaTest, RefusesWhatNobodyCanServeAndStaysAsItWas) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  ASSERT_NE(arena.TryAllocate(8, 8), nullptr);
  const ArenaStats before = arena.DetailedStats();
  const size_t calls = upstream.calls;
  for (const size_t bytes :
       {SIZE_MAX, SIZE_MAX - 7, SIZE_MAX - 15, SIZE_MAX - 4096, SIZE_MAX / 2 + 1}) {
    for (const size_t alignment : {1u, 8u, 16u, 4096u}) {
      EXPECT_EQ(arena.TryAllocate(bytes, alignment), nullptr);
      EXPECT_THROW((void)arena.allocate(bytes, alignment), std::bad_alloc);
    }
  }
  for (const size_t alignment : {size_t{0}, size_t{3}, size_t{24}, Arena::kMaxAlignment * 2}) {
    EXPECT_EQ(arena.TryAllocate(8, alignment), nullptr);
    EXPECT_THROW((void)arena.allocate(8, alignment), std::bad_alloc);
  }
  EXPECT_EQ(upstream.calls, calls);
  EXPECT_EQ(arena.DetailedStats().used_bytes, before.used_bytes);
  EXPECT_EQ(arena.DetailedStats().held_bytes, before.held_bytes);
}

TEST(ArenaTest, BlocksDoubleWhatIsHeldUpToTheMaximum) {
  CountingUpstream upstream;
  Arena arena({.first_block_bytes = 1024,
               .max_block_bytes = 8192,
               .upstream = &upstream,
               .checks = Checks::kOff});
  for (int i = 0; i < 64 * 1024 / 64; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
  ASSERT_GE(upstream.sizes.size(), 6u);
  const std::vector<size_t> first(upstream.sizes.begin(), upstream.sizes.begin() + 6);
  const size_t header = Arena::kBlockHeaderBytes;
  EXPECT_EQ(first, (std::vector<size_t>{1024 + header, 1024 + header, 2048 + header, 4096 + header,
                                        8192 + header, 8192 + header}));
}

TEST(ArenaTest, BlocksThatGrowByAShareBoundWhatLiesFree) {
  CountingUpstream upstream;
  Arena arena({.first_block_bytes = 1024,
               .max_block_bytes = 64 << 10,
               .growth_divisor = 8,
               .upstream = &upstream,
               .checks = Checks::kOff});
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_NE(arena.TryAllocate(48, 16), nullptr);
    const MemoryStats stats = arena.Stats();
    ASSERT_LE(stats.held_bytes - stats.used_bytes, stats.used_bytes / 8 + 1024);
  }
  // Blocks of whole requests lose nothing at their ends.
  EXPECT_LE(arena.DetailedStats().lost_to_tails_bytes, arena.DetailedStats().block_count * 16);
}

TEST(ArenaTest, ResetKeepsBlocksAndTheirCapacity) {
  CountingUpstream upstream;
  ArenaOptions options = UncheckedOptions(upstream);
  options.retention = Retention::KeepAll();
  Arena arena(options);
  for (int i = 0; i < 10'000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
  const size_t calls = upstream.calls;
  const size_t held = arena.Stats().held_bytes;
  arena.Reset();
  EXPECT_EQ(arena.Stats().asked_bytes, 0u);
  EXPECT_EQ(arena.Stats().held_bytes, held);
  EXPECT_EQ(arena.DetailedStats().retained_bytes + arena.DetailedStats().block_count * 0,
            held - 4096 - Arena::kBlockHeaderBytes);
  for (int i = 0; i < 10'000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
  EXPECT_EQ(upstream.calls, calls);
}

TEST(ArenaTest, ResetWithinTheFirstBlockStartsOverAtItsBeginning) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  void* const first = arena.TryAllocate(100, 16);
  arena.Reset();
  EXPECT_EQ(arena.TryAllocate(100, 16), first);
}

TEST(ArenaTest, ResetWithReleaseGivesEverythingBackInOneChain) {
  CountingUpstream upstream;
  ArenaOptions options = UncheckedOptions(upstream);
  options.retention = Retention::Release();
  Arena arena(options);
  for (int i = 0; i < 10'000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
  arena.Reset();
  EXPECT_EQ(upstream.live, 0u);
  EXPECT_EQ(upstream.chains, 1u);
  EXPECT_EQ(arena.Stats().held_bytes, 0u);
  EXPECT_NE(arena.TryAllocate(64, 8), nullptr);
}

TEST(ArenaTest, ResetWithKeepBytesKeepsAtMostSo) {
  CountingUpstream upstream;
  ArenaOptions options = UncheckedOptions(upstream);
  options.retention = Retention::KeepBytes(100'000);
  Arena arena(options);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10'000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
    ASSERT_NE(arena.TryAllocate(3 << 20, 8), nullptr);
    arena.Reset();
    EXPECT_LE(arena.Stats().held_bytes, 100'000u);
    EXPECT_GE(arena.Stats().held_bytes, 30'000u);
  }
}

TEST(ArenaTest, OneResetMayFollowAnotherRetention) {
  CountingUpstream upstream;
  ArenaOptions options = UncheckedOptions(upstream);
  options.retention = Retention::KeepAll();
  Arena arena(options);
  for (int i = 0; i < 1000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
  arena.Reset(Retention::Release());
  EXPECT_EQ(arena.Stats().held_bytes, 0u);
  ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
  arena.Reset();
  EXPECT_GT(arena.Stats().held_bytes, 0u);
}

TEST(ArenaTest, AdaptiveRetentionForgetsASingleBurst) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  const auto use = [&arena](size_t bytes) {
    for (size_t i = 0; i < bytes / 64; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
    arena.Reset();
  };
  for (int i = 0; i < 50; ++i) use(40'000);
  const size_t usual = arena.Stats().held_bytes;
  use(10'000'000);
  for (int i = 0; i < 5; ++i) use(40'000);
  EXPECT_LE(arena.Stats().held_bytes, 2 * usual);
}

TEST(ArenaTest, AdaptiveRetentionFollowsARisingDemandWithoutUpstream) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  const auto use = [&arena](size_t bytes) {
    for (size_t i = 0; i < bytes / 64; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
    arena.Reset();
  };
  for (int i = 0; i < 20; ++i) use(10'000);
  for (int i = 0; i < 10; ++i) use(3'000'000);
  const size_t calls = upstream.calls;
  for (int i = 0; i < 100; ++i) use(3'000'000);
  EXPECT_EQ(upstream.calls, calls);
}

TEST(ArenaTest, LargeObjectsLeaveTheCurrentBlockAlone) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  auto* const small = static_cast<char*>(arena.TryAllocate(16, 8));
  void* const large = arena.TryAllocate(64 << 10, 8);
  ASSERT_NE(large, nullptr);
  std::memset(large, 7, 64 << 10);
  EXPECT_EQ(arena.TryAllocate(16, 8), small + 16);
  EXPECT_EQ(arena.DetailedStats().large_count, 1u);
  EXPECT_TRUE(arena.Contains(static_cast<char*>(large) + 1000));
}

TEST(ArenaTest, LargeObjectsAreRecycledAfterAReset) {
  CountingUpstream upstream;
  ArenaOptions options = UncheckedOptions(upstream);
  options.retention = Retention::KeepAll();
  Arena arena(options);
  for (int round = 0; round < 10; ++round) {
    if (round == 2) upstream.calls = 0;
    for (const size_t kib : {64u, 300u, 100u, 64u, 2000u}) {
      ASSERT_NE(arena.TryAllocate(kib << 10, 8), nullptr);
    }
    arena.Reset();
    EXPECT_EQ(arena.DetailedStats().large_count, 0u);
  }
  EXPECT_EQ(upstream.calls, 0u);
}

TEST(ArenaTest, RecycledLargeObjectsDoNotDriftUpInSize) {
  CountingUpstream upstream;
  ArenaOptions options = UncheckedOptions(upstream);
  options.retention = Retention::KeepAll();
  Arena arena(options);
  size_t most = 0;
  for (size_t round = 0; round < 200; ++round) {
    for (size_t i = 0; i < 4; ++i) {
      ASSERT_NE(arena.TryAllocate((100 + 997 * (round + i * 7) % 900) << 10, 8), nullptr);
    }
    most = std::max(most, arena.DetailedStats().large_bytes);
    arena.Reset();
  }
  EXPECT_LE(arena.Stats().held_bytes, 2 * most + 8192);
}

TEST(ArenaTest, NoMoreThanAnEighthOfABlockIsLostToItsTail) {
  for (size_t bytes = 8; bytes <= 4096; bytes += 8) {
    CountingUpstream upstream;
    Arena arena({.first_block_bytes = 4096,
                 .max_block_bytes = 4096,
                 .upstream = &upstream,
                 .checks = Checks::kOff});
    for (int i = 0; i < 500; ++i) ASSERT_NE(arena.TryAllocate(bytes, 8), nullptr);
    const ArenaStats stats = arena.DetailedStats();
    EXPECT_LE(stats.lost_to_tails_bytes, stats.block_count * 4096 / 8) << bytes;
    EXPECT_EQ(stats.asked_bytes, 500 * bytes);
  }
}

TEST(ArenaTest, ExtendsAndShrinksTheNewestAllocation) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  auto* const p = static_cast<char*>(arena.TryAllocate(100, 8));
  EXPECT_TRUE(arena.TryExtend(p, 100, 1000, 8));
  EXPECT_EQ(arena.Headroom(), 4096u - 1000);
  EXPECT_FALSE(arena.TryExtend(p, 1000, 5000, 8));
  EXPECT_TRUE(arena.ShrinkLast(p, 1000, 24, 8));
  EXPECT_EQ(arena.TryAllocate(8, 8), p + 24);
  EXPECT_FALSE(arena.TryExtend(p, 24, 32, 8));
  EXPECT_FALSE(arena.ShrinkLast(p, 24, 8, 8));
  EXPECT_FALSE(arena.ShrinkLast(p, 24, 100, 8)) << "shrinking does not grow";
}

TEST(ArenaTest, NoSizeIsRounded) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  auto* const p = static_cast<char*>(arena.TryAllocate(17, 16));
  EXPECT_EQ(arena.TryAllocate(2, 2), p + 18);
  EXPECT_EQ(arena.TryAllocate(4, 4), p + 20);
  EXPECT_EQ(arena.TryAllocate(8, 8), p + 24);
  const auto free = reinterpret_cast<uintptr_t>(p + 32);
  EXPECT_EQ(arena.TryAllocate(1, 64), p + 32 + (AlignUp(free, 64) - free));
  EXPECT_FALSE(arena.TryExtend(p, 17, 18, 16)) << "into the padding of an older allocation";
}

// Each end may take the very last byte, and no more.
TEST(ArenaTest, BothEndsMeetWithoutAByteBetweenThem) {
  CountingUpstream upstream;
  for (const size_t left : {size_t{1}, size_t{7}, size_t{40}}) {
    size_t variable = left;
    asm("" : "+r"(variable));
    for (int kind = 0; kind < 4; ++kind) {
      Arena arena(UncheckedOptions(upstream));
      ASSERT_NE(arena.TryAllocate(8, 8), nullptr);
      ASSERT_NE(arena.TryAllocateBytes(arena.Headroom() - left), nullptr);
      const auto take = [&](size_t bytes) {
        switch (kind) {
          case 0:
            return arena.TryAllocate(bytes, 8);
          case 1:
            return arena.TryAllocateBytes(bytes);
          case 2:
            return arena.allocate(bytes, 1);
          default:
            return static_cast<std::pmr::memory_resource&>(arena).allocate(bytes, 4);
        }
      };
      const size_t held = arena.Stats().held_bytes;
      ASSERT_NE(take(variable), nullptr);
      EXPECT_EQ(arena.Headroom(), 0u) << left << " bytes left, kind " << kind;
      EXPECT_EQ(arena.Stats().held_bytes, held);
      ASSERT_NE(take(1), nullptr);
      EXPECT_GT(arena.Stats().held_bytes, held);
    }
  }
}

TEST(ArenaTest, UsesTheBlockThatTheCallerGaveFirst) {
  CountingUpstream upstream;
  alignas(16) std::array<std::byte, 2048> block;
  {
    Arena arena(block, UncheckedOptions(upstream));
    void* const p = arena.TryAllocate(1000, 8);
    EXPECT_GE(p, block.data());
    EXPECT_LT(p, block.data() + block.size());
    arena.Reset(Retention::Release());
    EXPECT_EQ(arena.TryAllocate(1000, 8), p);
    EXPECT_EQ(upstream.calls, 0u);
    for (int i = 0; i < 1000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
    EXPECT_GT(upstream.calls, 0u);
    arena.Reset(Retention::Release());
    EXPECT_EQ(upstream.live, 0u);
    for (int i = 0; i < 1000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
    EXPECT_GT(arena.Trim() + 1, 0u);
  }
}

TEST(ArenaTest, IgnoresAGivenBlockThatIsTooSmall) {
  CountingUpstream upstream;
  std::array<std::byte, 40> block;
  Arena arena(block, UncheckedOptions(upstream));
  EXPECT_NE(arena.TryAllocate(64, 8), nullptr);
  EXPECT_EQ(upstream.live, 1u);
}

TEST(ArenaTest, AbsorbsWhatLivesInAnother) {
  CountingUpstream upstream;
  std::vector<int> log;
  ArenaOptions options = UncheckedOptions(upstream);
  options.retention = Retention::KeepAll();
  Arena result(options);
  {
    Arena scratch(options);
    result.Create<Counted>(&log, 1);
    scratch.Create<Counted>(&log, 2);
    const std::string_view text = scratch.Copy("survives");
    for (int i = 0; i < 1000; ++i) ASSERT_NE(scratch.TryAllocate(64, 8), nullptr);
    void* const large = scratch.TryAllocate(1 << 20, 8);
    const size_t asked = scratch.Stats().asked_bytes + result.Stats().asked_bytes;

    ASSERT_TRUE(result.Absorb(std::move(scratch)));
    EXPECT_EQ(result.Stats().asked_bytes, asked);
    EXPECT_EQ(scratch.Stats().asked_bytes, 0u);
    EXPECT_TRUE(result.Contains(text.data()));
    EXPECT_TRUE(result.Contains(large));
    EXPECT_EQ(text, "survives");
    EXPECT_NE(scratch.TryAllocate(64, 8), nullptr);
    scratch.Reset();
  }
  EXPECT_TRUE(log.empty());
  const size_t held = result.Stats().held_bytes;
  result.Reset();
  EXPECT_EQ(log, (std::vector<int>{2, 1}));
  EXPECT_EQ(result.Stats().held_bytes, held);
  EXPECT_EQ(result.Stats().asked_bytes, 0u);
}

TEST(ArenaTest, RefusesToAbsorbWhatItCouldNotKeep) {
  CountingUpstream upstream;
  CountingUpstream other_upstream;
  Arena arena(UncheckedOptions(upstream));
  Arena stranger(UncheckedOptions(other_upstream));
  EXPECT_NE(stranger.TryAllocate(8, 8), nullptr);
  EXPECT_FALSE(arena.Absorb(std::move(stranger)));
  EXPECT_EQ(stranger.Stats().asked_bytes, 8u);

  alignas(16) std::array<std::byte, 1024> block;
  Arena on_stack(block, UncheckedOptions(upstream));
  EXPECT_NE(on_stack.TryAllocate(8, 8), nullptr);
  EXPECT_FALSE(arena.Absorb(std::move(on_stack)));
  on_stack.Reset();
  EXPECT_TRUE(arena.Absorb(std::move(on_stack)));
  EXPECT_FALSE(arena.Absorb(std::move(arena)));
}

TEST(ArenaTest, TrimGivesBackWhatIsNotInUse) {
  CountingUpstream upstream;
  ArenaOptions options = UncheckedOptions(upstream);
  options.retention = Retention::KeepAll();
  Arena arena(options);
  for (int i = 0; i < 10'000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
  ASSERT_NE(arena.TryAllocate(1 << 20, 8), nullptr);
  EXPECT_EQ(arena.Trim(), 0u);
  arena.Reset();
  auto* const text = static_cast<char*>(arena.TryAllocateBytes(4));
  std::memcpy(text, "live", 4);
  const size_t held = arena.Stats().held_bytes;
  const size_t trimmed = arena.Trim();
  EXPECT_EQ(arena.Stats().held_bytes, held - trimmed);
  EXPECT_EQ(arena.Stats().held_bytes, 4096 + Arena::kBlockHeaderBytes);
  EXPECT_EQ(std::string_view(text, 4), "live");
  for (int i = 0; i < 10'000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
}

TEST(ArenaTest, TakesSmallerBlocksNearALimit) {
  CountingUpstream upstream;
  Arena arena({.first_block_bytes = 4096,
               .max_block_bytes = 1 << 20,
               .upstream = &upstream,
               .checks = Checks::kOff});
  upstream.largest_bytes = 20'000;
  for (int i = 0; i < 10'000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
}

TEST(ArenaTest, ARefusalOfUpstreamIsNullAndChangesNothing) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  ASSERT_NE(arena.TryAllocate(4000, 8), nullptr);
  upstream.largest_bytes = 0;
  const ArenaStats before = arena.DetailedStats();
  EXPECT_EQ(arena.TryAllocate(200, 8), nullptr);
  EXPECT_EQ(arena.TryAllocate(1 << 20, 8), nullptr);
  EXPECT_EQ(arena.TryAllocateBytes(200), nullptr);
  EXPECT_EQ(arena.TryCopy(std::string(200, 'x')), nullptr);
  EXPECT_EQ(arena.TryCreateArray<std::string>(20), nullptr);
  EXPECT_THROW((void)arena.allocate(200, 8), std::bad_alloc);
  EXPECT_THROW((void)arena.Copy(std::string(200, 'x')), std::bad_alloc);
  EXPECT_EQ(arena.DetailedStats().used_bytes, before.used_bytes);
  EXPECT_EQ(arena.DetailedStats().held_bytes, before.held_bytes);
  EXPECT_NE(arena.TryAllocate(90, 8), nullptr) << "what fits is still served";
}

TEST(ArenaTest, IsAStandardMemoryResource) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  {
    std::pmr::vector<std::pmr::string> strings(&arena);
    for (int i = 0; i < 1000; ++i)
      strings.emplace_back(std::string(50, static_cast<char>('a' + i % 26)));
    EXPECT_EQ(std::string_view(strings[25]), std::string(50, 'z'));
  }
  EXPECT_TRUE(arena.deallocate_is_noop());
  EXPECT_TRUE(arena.is_equal(arena));
}

TEST(ArenaTest, GivesRetainedLargeObjectsBackAtItsEndEvenWithoutABlock) {
  for (const Retention retention : {Retention::KeepAll(), Retention::KeepBytes(size_t{4} << 20)}) {
    CountingUpstream upstream;
    ArenaOptions options = UncheckedOptions(upstream);
    options.retention = retention;
    Arena arena(options);
    ASSERT_NE(arena.TryAllocate(1 << 20, 8), nullptr);
    arena.Reset();
    EXPECT_EQ(arena.Stats().held_bytes, (size_t{1} << 20) + LargeObjects::kHeaderBytes);
    // ~CountingUpstream looks for what was not given back.
  }
}

TEST(ArenaTest, AnotherRetentionHoldsForOneResetOnly) {
  for (const Retention retention : {Retention::Release(), Retention::KeepBytes(5000)}) {
    CountingUpstream upstream;
    ArenaOptions options = UncheckedOptions(upstream);
    options.retention = retention;
    Arena arena(options);
    for (int i = 0; i < 1000; ++i) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
    arena.Reset(Retention::KeepAll());
    EXPECT_GT(arena.Stats().held_bytes, 64'000u);
    arena.Reset();
    EXPECT_LE(arena.Stats().held_bytes, retention.limit_bytes());
  }
}

TEST(ArenaTest, InvalidOptionsAreNamed) {
  EXPECT_TRUE(ArenaOptions{}.Validate().has_value());
  const auto small = ArenaOptions{.first_block_bytes = 10}.Validate();
  ASSERT_FALSE(small.has_value());
  EXPECT_EQ(small.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(small.error().message.find("first_block_bytes is 10"), std::string::npos);
  EXPECT_FALSE((ArenaOptions{.first_block_bytes = 4096, .max_block_bytes = 512}.Validate()));
  EXPECT_FALSE((ArenaOptions{.max_block_bytes = size_t{2} << 30}.Validate()));
  EXPECT_FALSE((ArenaOptions{.growth_divisor = 0}.Validate()));
  EXPECT_FALSE((ArenaOptions{.growth_divisor = 1025}.Validate()));
}

}  // namespace
}  // namespace granary
