// Every call that an Arena makes upstream fails once, at every place of a workload that touches
// each of its functions: the caller sees a refusal, and nothing has changed.
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory_resource>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "arena/arena.h"
#include "arena/arena_scope.h"
#include "arena/testing/allocation_steps.h"
#include "gtest/gtest.h"
#include "memory/testing/failing_resource.h"

namespace granary {
namespace {

using testing::AllocationSteps;
using testing::Counter;

class ArenaFailureTest : public ::testing::TestWithParam<Checks> {
 protected:
  using Steps = AllocationSteps<Arena>;

  // Each function that takes memory, three times: in the first block, in a later one, in a block
  // of its own.
  static std::vector<Steps::Step> Workload(Steps& steps) {
    const std::vector<size_t> sizes = {24, 300, 3000};
    std::vector<Steps::Step> workload = steps.Of(sizes);
    for (const size_t bytes : sizes) {
      workload.push_back({"TryAllocate of the default alignment", [&steps, bytes](Arena& arena) {
                            return steps.Keep(arena.TryAllocate(bytes), bytes);
                          }});
      workload.push_back({"a standard container", [bytes](Arena& arena) {
                            const std::pmr::vector<std::byte> vector(bytes, &arena);
                            return vector.size() == bytes;
                          }});
      workload.push_back({"a scope", [bytes](Arena& arena) {
                            const ArenaScope scope(arena);
                            return arena.TryAllocate(bytes * 3, 8) != nullptr;
                          }});
    }
    return workload;
  }

  ArenaOptions Options() {
    return {.first_block_bytes = 256,
            .max_block_bytes = 2048,
            .upstream = &upstream_,
            .checks = GetParam()};
  }

  // What no refusal may change. Idle memory may go, to make room for the request.
  static void ExpectUnchanged(const ArenaStats& before, const ArenaStats& after) {
    EXPECT_EQ(after.asked_bytes, before.asked_bytes);
    EXPECT_EQ(after.used_bytes, before.used_bytes);
    EXPECT_EQ(after.lost_to_tails_bytes, before.lost_to_tails_bytes);
    EXPECT_EQ(after.block_count, before.block_count);
    EXPECT_EQ(after.large_count, before.large_count);
    EXPECT_EQ(after.large_bytes, before.large_bytes);
    EXPECT_EQ(after.held_bytes - after.retained_bytes, before.held_bytes - before.retained_bytes);
    EXPECT_LE(after.retained_bytes, before.retained_bytes);
  }

  // True if a step was refused.
  bool RunOnce(std::span<std::byte> first_block, size_t nth, bool once) {
    SCOPED_TRACE(::testing::Message()
                 << "upstream refuses allocation " << nth << (once ? "" : " on"));
    bool refused = false;
    Steps steps;
    {
      Arena arena(first_block, Options());
      if (once) {
        upstream_.RefuseNth(nth);
      } else {
        upstream_.RefuseFrom(nth);
      }
      for (const Steps::Step& step : Workload(steps)) {
        SCOPED_TRACE(step.what);
        const ArenaStats before = arena.DetailedStats();
        if (Steps::Run(step, arena)) continue;
        refused = true;
        EXPECT_GT(upstream_.refusal_count(), 0u) << "refused for no reason";
        ExpectUnchanged(before, arena.DetailedStats());
        steps.ExpectKept();
        upstream_.RefuseNone();
        EXPECT_TRUE(Steps::Run(step, arena)) << "of no use after a refusal";
      }
      // A refusal that the arena went round: it took a smaller block.
      refused = refused || upstream_.refusal_count() > 0;
      steps.ExpectKept();
      upstream_.RefuseNone();
      EXPECT_EQ(steps.destroyed, 0);
      arena.Reset();
      EXPECT_EQ(steps.destroyed, steps.created);
      EXPECT_TRUE(arena.TryAllocate(10'000, 8) != nullptr);
    }
    EXPECT_EQ(upstream_.live_count(), 0u);
    return refused;
  }

  FailingResource upstream_;
  int destroyed_ = 0;
};

TEST_P(ArenaFailureTest, EveryRefusalIsSeenAndChangesNothing) {
  for (const bool once : {true, false}) {
    size_t nth = 1;
    while (RunOnce({}, nth, once)) {
      ASSERT_FALSE(HasFailure());
      ASSERT_LT(++nth, 1000u);
    }
    EXPECT_GT(nth, 10u) << "the workload hardly reached upstream";
  }
}

TEST_P(ArenaFailureTest, EveryRefusalBehindACallersBlockIsSeenAndChangesNothing) {
  std::vector<std::byte> block(700);
  for (const bool once : {true, false}) {
    size_t nth = 1;
    while (RunOnce(block, nth, once)) {
      ASSERT_FALSE(HasFailure());
      ASSERT_LT(++nth, 1000u);
    }
    EXPECT_GT(nth, 10u) << "the workload hardly reached upstream";
  }
}

TEST_P(ArenaFailureTest, ARefusedExtensionChangesNothing) {
  Steps steps;
  Arena arena(Options());
  ASSERT_NE(arena.TryAllocate(8, 8), nullptr);
  void* const in_block = arena.TryAllocate(50, 8);
  ASSERT_TRUE(steps.Keep(in_block, 50));
  upstream_.RefuseFrom(1);
  ArenaStats before = arena.DetailedStats();
  EXPECT_FALSE(arena.TryExtend(in_block, 50, 5000, 8));
  EXPECT_FALSE(arena.TryExtend(in_block, 50, SIZE_MAX, 8));
  EXPECT_FALSE(arena.ShrinkLast(in_block, 50, 51, 8)) << "no shrink";
  ExpectUnchanged(before, arena.DetailedStats());
  upstream_.RefuseNone();
  void* const large = arena.TryAllocate(100'000, 8);
  ASSERT_TRUE(steps.Keep(large, 100'000));
  before = arena.DetailedStats();
  EXPECT_FALSE(arena.TryExtend(large, 100'000, 10'000'000, 8)) << "malloc has no such room";
  ExpectUnchanged(before, arena.DetailedStats());
  steps.ExpectKept();
}

TEST_P(ArenaFailureTest, ResetRewindTrimAndAbsorbNeedNothingFromUpstream) {
  Arena arena(Options());
  Arena other(Options());
  for (Arena* const each : {&arena, &other}) {
    const ArenaMark mark = each->Mark();
    for (int i = 0; i < 100; ++i) each->Create<Counter>(&destroyed_);
    each->Rewind(mark);
    for (int i = 0; i < 100; ++i) each->Create<Counter>(&destroyed_);
    (void)each->allocate(100'000, 8);
  }
  EXPECT_EQ(destroyed_, 200);
  const size_t calls = upstream_.allocation_count();
  upstream_.RefuseFrom(1);
  const ArenaMark mark = arena.Mark();
  ASSERT_TRUE(arena.Absorb(std::move(other)));
  arena.Rewind(mark);
  EXPECT_EQ(destroyed_, 300);
  EXPECT_GT(arena.Trim(), 0u);
  arena.Reset();
  EXPECT_EQ(destroyed_, 400);
  arena.Reset(Retention::Release());
  EXPECT_EQ(upstream_.allocation_count(), calls);
  upstream_.RefuseNone();
}

// Runs `call` on an arena whose upstream refuses everything, and expects upstream's exception.
void ExpectUpstreamsException(Checks checks, const std::function<void(Arena&)>& call) {
  FailingResource upstream;
  Arena arena({.upstream = &upstream, .checks = checks});
  for (const bool with_a_block : {false, true}) {
    if (with_a_block) {
      upstream.RefuseNone();
      while (arena.Stats().held_bytes == 0 || arena.Headroom() >= 24) {
        ASSERT_NE(arena.TryAllocate(1, 8), nullptr);
      }
    }
    upstream.RefuseFrom(1);
    const ArenaStats before = arena.DetailedStats();
    try {
      call(arena);
      ADD_FAILURE() << "served although upstream refuses everything";
    } catch (const BudgetExceeded& refusal) {
      EXPECT_EQ(refusal.scope_path(), FailingResource::kScopePath);
      EXPECT_GT(refusal.asked_bytes(), 0u);
    }
    EXPECT_EQ(arena.DetailedStats().used_bytes, before.used_bytes);
    EXPECT_EQ(arena.DetailedStats().held_bytes, before.held_bytes);
  }
}

TEST_P(ArenaFailureTest, EveryThrowingFunctionThrowsWhatUpstreamThrows) {
  const std::string text(1000, 'x');
  int destroyed = 0;
  const std::function<void(Arena&)> calls[] = {
      [](Arena& arena) { (void)arena.allocate(100, 8); },
      [](Arena& arena) { (void)arena.allocate(size_t{1} << 20, 64); },
      [](Arena& arena) { (void)static_cast<std::pmr::memory_resource&>(arena).allocate(100, 8); },
      [](Arena& arena) { (void)arena.AllocateBytes(100); },
      [&](Arena& arena) { (void)arena.Create<Counter>(&destroyed); },
      [](Arena& arena) { (void)arena.Create<std::array<char, 500>>(); },
      [](Arena& arena) { (void)arena.CreateArray<std::string>(10); },
      [](Arena& arena) { (void)arena.CreateArray<int>(1000); },
      [&](Arena& arena) { (void)arena.Copy(text); },
      [](Arena& arena) { arena.Defer([](void*) {}, nullptr); },
      [](Arena& arena) { const std::pmr::vector<int> vector(100, &arena); },
      [](Arena& arena) {
        EXPECT_EQ(arena.TryAllocate(100'000, 8), nullptr);
        arena.ThrowRefusal(100'000, 8);
      },
  };
  for (const auto& call : calls) ExpectUpstreamsException(GetParam(), call);
  EXPECT_EQ(destroyed, 0);
}

TEST_P(ArenaFailureTest, ARequestThatNobodyCouldServeIsNoBudgetsFault) {
  Arena arena(Options());
  const auto throws_plain_bad_alloc = [](const auto& call) {
    try {
      call();
    } catch (const BudgetExceeded&) {
      return false;
    } catch (const std::bad_alloc&) {
      return true;
    }
    return false;
  };
  // A limit has been met before: it is not to be blamed for what follows.
  upstream_.RefuseFrom(1);
  EXPECT_EQ(arena.TryAllocate(8, 8), nullptr);
  EXPECT_TRUE(throws_plain_bad_alloc([&] { (void)arena.allocate(SIZE_MAX, 8); }));
  EXPECT_TRUE(throws_plain_bad_alloc([&] { (void)arena.allocate(8, 3); }));
  EXPECT_TRUE(throws_plain_bad_alloc([&] { (void)arena.allocate(8, Arena::kMaxAlignment * 2); }));
  EXPECT_TRUE(throws_plain_bad_alloc([&] { (void)arena.AllocateBytes(SIZE_MAX - 7); }));
  EXPECT_TRUE(throws_plain_bad_alloc([&] { (void)arena.CreateArray<uint64_t>(SIZE_MAX / 8); }));
  EXPECT_TRUE(throws_plain_bad_alloc([&] { (void)arena.CreateArray<uint64_t>(SIZE_MAX / 8 + 2); }));
  EXPECT_TRUE(throws_plain_bad_alloc([&] { (void)arena.CreateArray<std::string>(SIZE_MAX / 2); }));
  EXPECT_EQ(arena.Stats().held_bytes, 0u);
  upstream_.RefuseNone();
}

INSTANTIATE_TEST_SUITE_P(Arena, ArenaFailureTest, ::testing::Values(Checks::kOff, Checks::kOn),
                         [](const ::testing::TestParamInfo<Checks>& checks) {
                           return checks.param == Checks::kOn ? "Checked" : "Unchecked";
                         });

}  // namespace
}  // namespace granary
