// Misuse of an Arena is found: all of it under Checks::kOn, and in every build what costs a
// constant to find. Where AddressSanitizer is on, its report comes first, at the access itself.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "arena/arena.h"
#include "arena/arena_scope.h"
#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"

#if defined(GRANARY_ASAN)
// A few hundred reports are made here, and looking up names is most of the cost of each.
extern "C" const char* __asan_default_options() { return "symbolize=0"; }
#endif

namespace granary {
namespace {

// AddressSanitizer's report, or the arena's own.
std::string Report(const std::string& text) { return "AddressSanitizer|misuse: arena.*" + text; }

ArenaOptions Checked() { return {.name = "tested", .checks = Checks::kOn}; }
ArenaOptions Unchecked() { return {.name = "tested", .checks = Checks::kOff}; }

// Changes the byte, which the compiler must neither foresee nor leave out.
[[gnu::noinline]] void Touch(void* p, ptrdiff_t offset) {
  volatile unsigned char* const byte = static_cast<unsigned char*>(p) + offset;
  *byte = static_cast<unsigned char>(*byte ^ 0xff);
}

void OnAnotherThread(const auto& run) { std::thread(run).join(); }

class ArenaMisuseDeathTest : public testing::Test {};

TEST_F(ArenaMisuseDeathTest, AWriteBehindAResetIsFoundByTheNextAllocation) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        void* const p = arena.TryAllocate(64, 8);
        arena.Reset();
        Touch(p, 10);
        (void)arena.TryAllocate(64, 8);
      },
      Report("written .* while it belonged to nobody"));
}

TEST_F(ArenaMisuseDeathTest, AWriteBehindARewindIsFoundByTheNextAllocation) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        const ArenaMark mark = arena.Mark();
        void* const p = arena.TryAllocateBytes(100);
        arena.Rewind(mark);
        Touch(p, 99);
        (void)arena.TryAllocateBytes(100);
      },
      Report("written .* while it belonged to nobody"));
}

TEST_F(ArenaMisuseDeathTest, AWriteToARetainedLargeObjectIsFoundWhenItIsTakenAgain) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        (void)arena.TryAllocate(8, 8);
        void* const p = arena.TryAllocate(size_t{1} << 20, 8);
        arena.Reset();
        Touch(p, 1000);
        (void)arena.TryAllocate(8, 8);
        (void)arena.TryAllocate(size_t{1} << 20, 8);
      },
      Report("written .* while it belonged to nobody"));
}

TEST_F(ArenaMisuseDeathTest, AWriteIntoTheFreePartOfABlockIsFoundByTheNextAllocation) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        void* const p = arena.TryAllocate(64, 8);
        Touch(p, 500);
        (void)arena.TryAllocate(2000, 8);
      },
      Report("written .* while it belonged to nobody"));
}

TEST_F(ArenaMisuseDeathTest, AReadBehindAResetIsFoundByAddressSanitizer) {
  if (!kAddressSanitizer) GTEST_SKIP() << "nothing sees a read in this build";
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        auto* const p = static_cast<volatile char*>(arena.TryAllocate(64, 8));
        p[3] = 1;
        arena.Reset();
        std::fprintf(stderr, "%d", p[3]);
      },
      "AddressSanitizer: use-after-poison");
}

TEST_F(ArenaMisuseDeathTest, AByteBehindTheEndIsFound) {
  for (const size_t alignment : {1u, 2u, 8u, 16u, 64u, 4096u}) {
    for (const size_t bytes : {1u, 8u, 13u, 16u, 100u}) {
      SCOPED_TRACE(testing::Message() << bytes << " bytes, alignment " << alignment);
      EXPECT_DEATH(
          {
            Arena arena(Checked());
            (void)arena.TryAllocate(24, 8);
            void* const p = arena.TryAllocate(bytes, alignment);
            (void)arena.TryAllocate(24, 8);
            Touch(p, static_cast<ptrdiff_t>(bytes));
            arena.Reset();
          },
          Report("behind its end, was overwritten .*found by Reset"));
    }
  }
}

TEST_F(ArenaMisuseDeathTest, AByteBeforeTheBeginningIsFound) {
  for (const size_t alignment : {1u, 2u, 8u, 16u, 64u, 4096u}) {
    for (const size_t bytes : {1u, 8u, 13u, 16u, 100u}) {
      SCOPED_TRACE(testing::Message() << bytes << " bytes, alignment " << alignment);
      EXPECT_DEATH(
          {
            Arena arena(Checked());
            (void)arena.TryAllocate(24, 8);
            void* const p = arena.TryAllocate(bytes, alignment);
            (void)arena.TryAllocate(24, 8);
            Touch(p, -1);
            arena.Reset();
          },
          Report("before the .*-byte object .* was overwritten .*found by Reset"));
    }
  }
}

TEST_F(ArenaMisuseDeathTest, AByteBesideALargeObjectIsFound) {
  constexpr size_t kBytes = (size_t{1} << 20) + 5;
  for (const ptrdiff_t offset : {ptrdiff_t{-1}, ptrdiff_t{kBytes}}) {
    EXPECT_DEATH(
        {
          Arena arena(Checked());
          (void)arena.TryAllocate(8, 8);
          Touch(arena.TryAllocate(kBytes, 8), offset);
          arena.Reset();
        },
        Report("was overwritten"));
  }
}

TEST_F(ArenaMisuseDeathTest, AnOverflowIsFoundByARewindAScopeAndTheEnd) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        const ArenaMark mark = arena.Mark();
        Touch(arena.TryAllocate(24, 8), 24);
        arena.Rewind(mark);
      },
      Report("overwritten .*found by Rewind"));
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        const ArenaScope scope(arena);
        Touch(arena.TryAllocate(24, 8), 24);
      },
      Report("overwritten"));
  EXPECT_DEATH(
      {
        const auto arena = std::make_unique<Arena>(Checked());
        Touch(arena->TryAllocate(24, 8), 24);
      },
      Report("overwritten"));
}

TEST_F(ArenaMisuseDeathTest, AnOverflowOfAnAbsorbedObjectIsFound) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        Arena other(Checked());
        (void)arena.TryAllocate(24, 8);
        void* const p = other.TryAllocate(24, 8);
        (void)arena.Absorb(std::move(other));
        Touch(p, 24);
        arena.Reset();
      },
      Report("overwritten"));
}

TEST_F(ArenaMisuseDeathTest, AnOverflowBehindAShrunkObjectIsFound) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        void* const p = arena.TryAllocate(100, 8);
        if (arena.ShrinkLast(p, 100, 50, 8)) Touch(p, 50);
        arena.Reset();
      },
      Report("overwritten"));
}

TEST_F(ArenaMisuseDeathTest, AnOverflowOfACallersBlockIsFound) {
  EXPECT_DEATH(
      {
        alignas(16) std::byte block[1024];
        Arena arena(block, Checked());
        Touch(arena.TryAllocateBytes(7), 7);
        arena.Reset();
      },
      Report("overwritten"));
}

TEST_F(ArenaMisuseDeathTest, AnotherThreadThanTheOwnerIsFound) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        (void)arena.TryAllocate(8, 8);
        OnAnotherThread([&arena] { (void)arena.TryAllocate(8, 8); });
      },
      "arena 'tested': an allocation on thread .*belongs to thread");
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        (void)arena.TryAllocate(8, 8);
        OnAnotherThread([&arena] { arena.Reset(); });
      },
      "arena 'tested': Reset on thread .*belongs to thread");
}

TEST(ArenaMisuseTest, DisownThreadLetsAnotherThreadTakeOver) {
  Arena arena(Checked());
  char* const p = arena.Copy("handed over").data() != nullptr ? arena.TryCopy("text") : nullptr;
  ASSERT_NE(p, nullptr);
  arena.DisownThread();
  OnAnotherThread([&] {
    EXPECT_EQ(std::string_view(p, 4), "text");
    EXPECT_NE(arena.TryAllocate(8, 8), nullptr);
    arena.Reset();
    EXPECT_NE(arena.TryAllocate(8, 8), nullptr);
    arena.DisownThread();
  });
  EXPECT_NE(arena.TryAllocate(8, 8), nullptr);
}

TEST_F(ArenaMisuseDeathTest, AScopeThatOutlivesAnOlderOneIsFound) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        auto outer = std::make_unique<ArenaScope>(arena);
        auto inner = std::make_unique<ArenaScope>(arena);
        outer.reset();
        inner.reset();
      },
      "a rewind to mark .*dead.*nested");
}

TEST_F(ArenaMisuseDeathTest, AScopeThatOutlivesAResetIsFound) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        const ArenaScope scope(arena);
        arena.Reset();
      },
      "a rewind to mark .*dead");
}

TEST_F(ArenaMisuseDeathTest, ARewindBehindAResetIsFound) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        const ArenaMark mark = arena.Mark();
        (void)arena.TryAllocate(8, 8);
        arena.Reset();
        arena.Rewind(mark);
      },
      "a rewind to mark .*dead");
}

TEST_F(ArenaMisuseDeathTest, ARewindToAMarkThatAnOlderRewindEndedIsFound) {
  EXPECT_DEATH(
      {
        Arena arena(Checked());
        const ArenaMark older = arena.Mark();
        const ArenaMark younger = arena.Mark();
        arena.Rewind(older);
        arena.Rewind(younger);
      },
      "a rewind to mark .*dead");
}

TEST_F(ArenaMisuseDeathTest, AMarkOfAnotherArenaIsFoundInEveryBuild) {
  for (const ArenaOptions& options : {Checked(), Unchecked()}) {
    EXPECT_DEATH(
        {
          Arena arena(options);
          Arena other(options);
          (void)arena.TryAllocate(8, 8);
          (void)other.TryAllocate(8, 8);
          arena.Rewind(other.Mark());
        },
        "dead .of another arena");
  }
}

TEST_F(ArenaMisuseDeathTest, ADeadMarkAheadOfTheCursorIsFoundInEveryBuild) {
  EXPECT_DEATH(
      {
        Arena arena(Unchecked());
        (void)arena.TryAllocate(100, 8);
        const ArenaMark mark = arena.Mark();
        arena.Reset();
        arena.Rewind(mark);
      },
      "arena 'tested': a rewind to a mark that is dead");
  EXPECT_DEATH(
      {
        Arena arena(Unchecked());
        const ArenaMark older = arena.Mark();
        (void)arena.TryAllocateBytes(100);
        const ArenaMark younger = arena.Mark();
        arena.Rewind(older);
        arena.Rewind(younger);
      },
      "arena 'tested': a rewind to a mark that is dead");
  EXPECT_DEATH(
      {
        Arena arena(Unchecked());
        (void)arena.TryAllocate(100, 8);
        for (int i = 0; i < 1000; ++i) (void)arena.TryAllocate(100, 8);
        const ArenaMark in_a_later_block = arena.Mark();
        arena.Reset();
        arena.Rewind(in_a_later_block);
      },
      "arena 'tested': a rewind to a mark that is dead");
  EXPECT_DEATH(
      {
        Arena arena(Unchecked());
        (void)arena.TryAllocate(size_t{1} << 20, 8);
        const ArenaMark behind_a_large_object = arena.Mark();
        arena.Reset();
        arena.Rewind(behind_a_large_object);
      },
      "arena 'tested': a rewind to a mark that is dead");
}

TEST_F(ArenaMisuseDeathTest, InvalidOptionsAbortAndAreNamed) {
  EXPECT_DEATH({ Arena arena({.first_block_bytes = 10}); },
               "misuse: arena: first_block_bytes is 10");
  EXPECT_DEATH({ Arena arena({.max_block_bytes = size_t{2} << 30}); },
               "max_block_bytes is 2147483648");
  EXPECT_DEATH({ Arena arena({.first_block_bytes = 4096, .max_block_bytes = 512}); },
               "first_block_bytes .4096. is above max_block_bytes .512.");
  EXPECT_DEATH({ Arena arena({.name = nullptr}); }, "name is null");
}

// --- Random cases -------------------------------------------------------------------------------

struct RandomUse {
  explicit RandomUse(uint64_t seed) : random(seed) {}

  size_t Below(size_t n) { return static_cast<size_t>(random() % n); }

  ArenaOptions Options() {
    ArenaOptions options = Checked();
    if (Below(2) == 0) {
      options.first_block_bytes = 256;
      options.max_block_bytes = size_t{256} << Below(6);
    }
    return options;
  }

  // Allocates some objects and returns any one of them.
  std::pair<std::byte*, size_t> Allocate(Arena& arena) {
    std::vector<std::pair<std::byte*, size_t>> objects;
    for (size_t i = 1 + Below(30); i > 0; --i) {
      const size_t bytes = 1 + Below(size_t{2} << Below(14));
      const size_t alignment = size_t{1} << (Below(2) == 0 ? Below(13) : Below(5));
      auto* const p = static_cast<std::byte*>(arena.allocate(bytes, alignment));
      std::memset(p, static_cast<int>(Below(256)), bytes);
      objects.emplace_back(p, bytes);
    }
    return objects[Below(objects.size())];
  }

  // One of the ways in which the arena takes an object back.
  void TakeBack(Arena& arena, const ArenaMark& mark) {
    if (Below(2) == 0) {
      arena.Rewind(mark);
    } else {
      arena.Reset();
    }
  }

  std::mt19937_64 random;
};

void UseAndOverflow(uint64_t seed, bool overflow) {
  RandomUse use(seed);
  Arena arena(use.Options());
  (void)use.Allocate(arena);
  const ArenaMark mark = arena.Mark();
  const auto [p, bytes] = use.Allocate(arena);
  if (overflow) Touch(p, static_cast<ptrdiff_t>(bytes));
  use.TakeBack(arena, mark);
}

TEST_F(ArenaMisuseDeathTest, EveryRandomOverflowByOneByteIsFound) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  for (uint64_t i = 0; i < 200; ++i) {
    SCOPED_TRACE(i);
    // The same use without the overflow is no misuse.
    UseAndOverflow(seed + i, /*overflow=*/false);
    EXPECT_DEATH(UseAndOverflow(seed + i, /*overflow=*/true),
                 Report("behind its end, was overwritten"));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace granary
