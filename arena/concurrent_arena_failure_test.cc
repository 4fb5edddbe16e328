// Every call that a ConcurrentArena makes upstream fails once, and so does every allocation with
// which a thread remembers its lane.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "arena/concurrent_arena.h"
#include "arena/testing/allocation_steps.h"
#include "gtest/gtest.h"
#include "memory/malloc_resource.h"
#include "memory/testing/failing_resource.h"

namespace {

// While it is set, the thread has no memory beside what upstream gives.
thread_local bool refuse_new = false;

void* New(size_t bytes) { return refuse_new ? nullptr : std::malloc(bytes != 0 ? bytes : 1); }

}  // namespace

[[gnu::noinline]] void* operator new(size_t bytes) {
  if (void* const p = New(bytes)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return New(bytes);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }

namespace granary {
namespace {

using testing::AllocationSteps;
using testing::Counter;

class ConcurrentArenaFailureTest : public ::testing::TestWithParam<Checks> {
 protected:
  using Steps = AllocationSteps<ConcurrentArena>;

  // Each function that takes memory, small and large.
  static std::vector<Steps::Step> Workload(Steps& steps) { return steps.Of({24, 700, 30'000}); }

  // The workload, beginning with step `first`, each step on the calling thread and on a new one.
  // True if a step was refused.
  bool RunOnce(size_t first, size_t nth, bool once) {
    SCOPED_TRACE(::testing::Message() << "from step " << first << "; upstream refuses allocation "
                                      << nth << (once ? "" : " on"));
    bool refused = false;
    Steps steps;
    {
      ConcurrentArena arena({.upstream = &upstream_, .checks = GetParam()});
      const std::vector<Steps::Step> workload = Workload(steps);
      once ? upstream_.RefuseNth(nth) : upstream_.RefuseFrom(nth);
      for (size_t i = 0; i < workload.size(); ++i) {
        const Steps::Step& step = workload[(first + i) % workload.size()];
        SCOPED_TRACE(step.what);
        const auto run_and_check = [&] {
          const ArenaStats before = arena.DetailedStats();
          const size_t lanes = arena.lane_count();
          if (Steps::Run(step, arena)) return;
          refused = true;
          const ArenaStats after = arena.DetailedStats();
          EXPECT_GT(upstream_.refusal_count(), 0u) << "refused for no reason";
          EXPECT_EQ(after.asked_bytes, before.asked_bytes);
          EXPECT_EQ(after.used_bytes, before.used_bytes);
          EXPECT_EQ(after.held_bytes, before.held_bytes);
          EXPECT_EQ(arena.lane_count(), lanes);
          upstream_.RefuseNone();
          EXPECT_TRUE(Steps::Run(step, arena)) << "of no use after a refusal";
        };
        run_and_check();
        std::thread(run_and_check).join();
      }
      refused = refused || upstream_.refusal_count() > 0;
      upstream_.RefuseNone();
      steps.ExpectKept();
      EXPECT_EQ(steps.destroyed, 0);
      arena.Reset();
      EXPECT_EQ(steps.destroyed, steps.created);
      EXPECT_EQ(arena.Stats().held_bytes, upstream_.live_bytes());
    }
    EXPECT_EQ(upstream_.live_count(), 0u);
    return refused;
  }

  FailingResource upstream_;
  int destroyed_ = 0;
};

TEST_P(ConcurrentArenaFailureTest, EveryRefusalIsSeenAndChangesNothing) {
  for (const bool once : {true, false}) {
    size_t nth = 1;
    while (RunOnce(0, nth, once)) {
      ASSERT_FALSE(HasFailure());
      ASSERT_LT(++nth, 1000u);
    }
    EXPECT_GT(nth, 10u) << "the workload hardly reached upstream";
  }
}

TEST_P(ConcurrentArenaFailureTest, EveryFunctionMayComeFirstAndBeRefused) {
  Steps steps;
  const size_t count = Workload(steps).size();
  for (size_t first = 0; first < count; ++first) {
    for (size_t nth = 1; nth <= 3; ++nth) RunOnce(first, nth, true);
    ASSERT_FALSE(HasFailure());
  }
}

TEST_P(ConcurrentArenaFailureTest, NoMemoryToRememberALaneWithIsNoRefusal) {
  MallocResource upstream;  // Does without operator new.
  ConcurrentArena arena({.upstream = &upstream, .checks = GetParam()});
  std::thread([&] {
    // Checks that pass allocate as well.
    refuse_new = true;
    const bool no_lane = arena.TryThisLane() == nullptr && upstream.live_count() == 0;
    char* const first = static_cast<char*>(arena.TryAllocate(100, 8));
    if (first != nullptr) std::memset(first, 'a', 100);
    bool good = true;
    for (int i = 0; i < 1000; ++i) {
      good = good && arena.Copy("text") == "text";
      good = good && arena.Create<Counter>(&destroyed_) != nullptr;
    }
    bool thrown = false;
    try {
      (void)arena.ThisLane();
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    refuse_new = false;
    EXPECT_TRUE(no_lane);
    EXPECT_TRUE(good);
    EXPECT_TRUE(thrown);
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first[99], 'a');
    EXPECT_EQ(arena.lane_count(), 1u);
    EXPECT_NE(arena.TryThisLane(), nullptr);
    EXPECT_EQ(arena.lane_count(), 1u);
  }).join();
  EXPECT_EQ(destroyed_, 0);
  arena.Reset();
  EXPECT_EQ(destroyed_, 1000);
}

TEST_P(ConcurrentArenaFailureTest, ThreadsThatCannotRememberLanesBorrowThem) {
  MallocResource upstream;  // Does without operator new.
  ConcurrentArena arena({.upstream = &upstream, .checks = GetParam()});
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::string*> strings;
      strings.reserve(2000);
      for (int i = 0; i < 2000; ++i) {
        refuse_new = i % 100 != 99;
        strings.push_back(arena.TryCreate<std::string>(10u, static_cast<char>('a' + t)));
      }
      refuse_new = false;
      bool all = true;
      for (const std::string* text : strings) {
        all = all && text != nullptr && *text == std::string(10, static_cast<char>('a' + t));
      }
      good += all ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 4);
  EXPECT_LE(arena.lane_count(), 4u);
}

INSTANTIATE_TEST_SUITE_P(ConcurrentArena, ConcurrentArenaFailureTest,
                         ::testing::Values(Checks::kOff, Checks::kOn),
                         [](const ::testing::TestParamInfo<Checks>& checks) {
                           return checks.param == Checks::kOn ? "Checked" : "Unchecked";
                         });

}  // namespace
}  // namespace granary
