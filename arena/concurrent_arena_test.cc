#include "arena/concurrent_arena.h"

#include <limits.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <memory_resource>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "arena/arena_scope.h"
#include "arena/testing/concurrent_arena_peer.h"
#include "gtest/gtest.h"
#include "memory/testing/failing_resource.h"

namespace granary {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#elif defined(__has_feature)
constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
#else
constexpr bool kThreadSanitizer = false;
#endif

void OnAnotherThread(const std::function<void()>& run) { std::thread(run).join(); }

struct Counter {
  explicit Counter(int* where) : destroyed(where) {}
  ~Counter() { ++*destroyed; }
  int* destroyed;
};

TEST(ConcurrentArenaTest, HoldsNothingBeforeItsFirstUse) {
  FailingResource upstream;
  const ConcurrentArena arena({.upstream = &upstream});
  EXPECT_EQ(upstream.allocation_count(), 0u);
  EXPECT_EQ(arena.lane_count(), 0u);
  EXPECT_EQ(arena.Stats().held_bytes, 0u);
}

TEST(ConcurrentArenaTest, AFirstAllocationTakesOnePieceOfTheStatedSize) {
  FailingResource upstream;
  ConcurrentArena arena({.upstream = &upstream, .checks = Checks::kOff});
  ASSERT_NE(arena.TryAllocate(40), nullptr);
  EXPECT_EQ(upstream.allocation_count(), 1u);
  EXPECT_EQ(upstream.live_bytes(), 1024u);
  EXPECT_EQ(arena.Stats().held_bytes, 1024u);
}

TEST(ConcurrentArenaTest, EveryThreadHasALaneOfItsOwn) {
  ConcurrentArena arena;
  ConcurrentArena::Lane& mine = arena.ThisLane();
  EXPECT_EQ(&arena.ThisLane(), &mine);
  OnAnotherThread([&] {
    EXPECT_NE(&arena.ThisLane(), &mine);
    EXPECT_EQ(arena.TryThisLane(), &arena.ThisLane());
  });
  EXPECT_EQ(&arena.ThisLane(), &mine);
  EXPECT_EQ(arena.lane_count(), 2u);
}

TEST(ConcurrentArenaTest, AHeldLaneAndTheArenaAllocateFromTheSamePlace) {
  ConcurrentArena arena({.checks = Checks::kOff});
  ConcurrentArena::Lane& lane = arena.ThisLane();
  auto* const first = static_cast<std::byte*>(arena.TryAllocate(16));
  auto* const second = static_cast<std::byte*>(lane.TryAllocate(16));
  auto* const third = static_cast<std::byte*>(arena.TryAllocate(16));
  EXPECT_EQ(second, first + 16);
  EXPECT_EQ(third, second + 16);
}

TEST(ConcurrentArenaTest, ALaneStaysAcrossResets) {
  ConcurrentArena arena;
  ConcurrentArena::Lane& lane = arena.ThisLane();
  for (const Retention retention : {Retention::KeepAll(), Retention::Adaptive(),
                                    Retention::KeepBytes(0), Retention::Release()}) {
    ASSERT_NE(lane.TryAllocate(100'000, 8), nullptr);
    arena.Reset(retention);
    EXPECT_EQ(&arena.ThisLane(), &lane);
  }
}

TEST(ConcurrentArenaTest, WhatAThreadMadeStaysWhenItEnds) {
  ConcurrentArena arena;
  std::string_view text;
  OnAnotherThread([&] { text = arena.Copy(std::string(100, 'x')); });
  OnAnotherThread([&] { (void)arena.Copy(std::string(100, 'y')); });
  EXPECT_EQ(text, std::string(100, 'x'));
}

TEST(ConcurrentArenaTest, ThereAreAsManyLanesAsThreadsAtOnce) {
  FailingResource upstream;
  ConcurrentArena arena({.upstream = &upstream});
  for (int i = 0; i < 20; ++i) {
    OnAnotherThread([&] { ASSERT_NE(arena.TryAllocate(8), nullptr); });
    EXPECT_EQ(arena.lane_count(), 1u);
  }
  std::atomic<int> arrived = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      ASSERT_NE(arena.TryAllocate(8), nullptr);
      for (++arrived; arrived < 4;) std::this_thread::yield();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(arena.lane_count(), 4u);
}

TEST(ConcurrentArenaTest, ObjectsAreDestroyedByAResetOrTheEnd) {
  int destroyed = 0;
  {
    ConcurrentArena arena;
    (void)arena.Create<Counter>(&destroyed);
    (void)arena.TryCreate<Counter>(&destroyed);
    OnAnotherThread([&] {
      (void)arena.Create<Counter>(&destroyed);
      arena.Defer([](void* p) { ++*static_cast<int*>(p); }, &destroyed);
    });
    EXPECT_EQ(destroyed, 0);
    arena.Reset();
    EXPECT_EQ(destroyed, 4);
    const auto strings = arena.CreateArray<std::string>(10);
    strings[9] = std::string(100, 'x');
    EXPECT_TRUE(arena.TryDefer([](void* p) { ++*static_cast<int*>(p); }, &destroyed));
  }
  EXPECT_EQ(destroyed, 5);
}

TEST(ConcurrentArenaTest, TheNewestObjectOfALaneIsDestroyedFirst) {
  ConcurrentArena arena;
  static std::vector<int> order;
  order.clear();
  struct Recorder {
    explicit Recorder(int number_) : number(number_) {}
    ~Recorder() { order.push_back(number); }
    int number;
  };
  for (int i = 0; i < 3; ++i) (void)arena.Create<Recorder>(i);
  arena.Reset();
  EXPECT_EQ(order, (std::vector<int>{2, 1, 0}));
}

TEST(ConcurrentArenaTest, CleanupsMayMakeObjectsInEveryLaneAndALane) {
  static int runs;
  runs = 0;
  ConcurrentArena arena;
  static ConcurrentArena* used;
  used = &arena;
  // The resetting thread has no lane before the first of these runs.
  OnAnotherThread([&] {
    std::thread([&] {
      arena.Defer(
          [](void*) {
            ++runs;
            used->Defer(
                [](void*) {
                  ++runs;
                  (void)used->Create<std::string>(100u, 'x');
                },
                nullptr);
          },
          nullptr);
    }).join();
    std::thread holder([&] { ASSERT_NE(arena.TryAllocate(8), nullptr); });
    holder.join();
    arena.Reset();
    EXPECT_EQ(runs, 2);
  });
  EXPECT_EQ(arena.DetailedStats().asked_bytes, 0u);
}

TEST(ConcurrentArenaTest, AThrowingConstructorRegistersNothing) {
  ConcurrentArena arena;
  struct Thrower {
    Thrower() { throw std::runtime_error("no"); }
    ~Thrower() { ADD_FAILURE() << "never made"; }
  };
  EXPECT_THROW((void)arena.Create<Thrower>(), std::runtime_error);
  EXPECT_THROW((void)arena.Create<Thrower>(), std::runtime_error);
  arena.Reset();
}

TEST(ConcurrentArenaTest, AConstructorMayAllocateHere) {
  ConcurrentArena arena;
  struct Node {
    Node(ConcurrentArena& arena_, int depth)
        : child(depth == 0 ? nullptr : arena_.Create<Node>(arena_, depth - 1)) {}
    Node* child;
    std::string text = std::string(100, 'x');
  };
  const Node* node = arena.Create<Node>(arena, 5);
  for (int depth = 5; depth > 0; --depth) node = node->child;
  EXPECT_EQ(node->child, nullptr);
  EXPECT_EQ(arena.lane_count(), 1u);
}

TEST(ConcurrentArenaTest, TheNewestAllocationOfTheThreadIsResized) {
  ConcurrentArena arena;
  void* const p = arena.TryAllocate(40, 8);
  EXPECT_TRUE(arena.TryResize(p, 40, 80, 8));
  OnAnotherThread([&] { EXPECT_FALSE(arena.TryResize(p, 80, 40, 8)); });
  EXPECT_TRUE(arena.TryResize(p, 80, 16, 8));
}

TEST(ConcurrentArenaTest, ALaneRewindsWhatItsThreadMade) {
  ConcurrentArena arena;
  int destroyed = 0;
  (void)arena.Create<Counter>(&destroyed);
  {
    const ArenaScope scope(arena.ThisLane());
    (void)arena.Create<Counter>(&destroyed);
    (void)arena.Create<std::array<char, 5000>>();
  }
  EXPECT_EQ(destroyed, 1);
  arena.Reset();
  EXPECT_EQ(destroyed, 2);
}

TEST(ConcurrentArenaTest, StandardContainersGrowOnSeveralThreads) {
  ConcurrentArena arena;
  std::pmr::vector<int> mine(&arena);
  OnAnotherThread([&] {
    std::pmr::vector<int> theirs(&arena);
    for (int i = 0; i < 1000; ++i) theirs.push_back(i);
    EXPECT_EQ(theirs[999], 999);
  });
  for (int i = 0; i < 1000; ++i) mine.push_back(i);
  EXPECT_EQ(mine[999], 999);
}

// --- What is kept
// ---------------------------------------------------------------------------------

size_t HeldAfterReset(ConcurrentArena& arena, size_t bytes_each, Retention retention) {
  OnAnotherThread([&] {
    for (size_t i = 0; i < bytes_each; i += 64) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
    std::thread([&] {
      for (size_t i = 0; i < bytes_each; i += 64) ASSERT_NE(arena.TryAllocate(64, 8), nullptr);
    }).join();
  });
  arena.Reset(retention);
  return arena.Stats().held_bytes;
}

TEST(ConcurrentArenaTest, TheRetentionIsThatOfAllLanes) {
  FailingResource upstream;
  ConcurrentArena arena({.upstream = &upstream, .checks = Checks::kOff});
  // Two lanes.
  EXPECT_GE(HeldAfterReset(arena, 1 << 20, Retention::KeepAll()), size_t{2} << 20);
  const size_t kept = HeldAfterReset(arena, 1 << 20, Retention::KeepBytes(1 << 20));
  EXPECT_LE(kept, (size_t{1} << 20) + 2 * 1024);
  EXPECT_GE(kept, size_t{3} << 18);
  EXPECT_EQ(HeldAfterReset(arena, 1 << 20, Retention::Release()), 2 * 1024u);
  EXPECT_EQ(HeldAfterReset(arena, 1 << 20, Retention::KeepBytes(0)), 2 * 1024u);
  EXPECT_EQ(upstream.live_bytes(), 2 * 1024u);
  EXPECT_GE(HeldAfterReset(arena, 1 << 20, Retention::KeepBytes(64 << 20)), size_t{2} << 20);
}

TEST(ConcurrentArenaTest, AnAdaptiveArenaForgetsAGiant) {
  ConcurrentArena arena({.checks = Checks::kOff});
  ASSERT_GT(HeldAfterReset(arena, size_t{8} << 20, Retention::Adaptive()), size_t{8} << 20);
  size_t held = 0;
  for (int i = 0; i < 300; ++i) held = HeldAfterReset(arena, 100'000, Retention::Adaptive());
  EXPECT_LT(held, size_t{1} << 20);
}

TEST(ConcurrentArenaTest, TrimGivesBackWhatLanesOfThisAndOfEndedThreadsRetain) {
  FailingResource upstream;
  ConcurrentArena arena({.retention = Retention::KeepAll(), .upstream = &upstream});
  ASSERT_NE(arena.TryAllocate(100'000, 8), nullptr);
  std::atomic<int> step = 0;
  std::thread other([&] {
    ASSERT_NE(arena.TryAllocate(200'000, 8), nullptr);
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  arena.Reset();
  const size_t held = arena.Stats().held_bytes;
  const size_t mine = arena.Trim();
  EXPECT_GE(mine, 100'000u);
  EXPECT_LT(mine, 200'000u);
  step = 2;
  other.join();
  EXPECT_GE(arena.Trim(), 200'000u);
  EXPECT_LT(arena.Stats().held_bytes, held - 300'000u + 4096u);
  EXPECT_EQ(arena.Stats().held_bytes, upstream.live_bytes());
  EXPECT_EQ(arena.Trim(), 0u);
}

// --- Figures
// --------------------------------------------------------------------------------------

TEST(ConcurrentArenaTest, StatsAreExactForThisThreadAndEndedOnes) {
  ConcurrentArena arena({.checks = Checks::kOff});
  for (int i = 0; i < 100; ++i) ASSERT_NE(arena.TryAllocate(48, 16), nullptr);
  EXPECT_EQ(arena.Stats().asked_bytes, 4800u);
  OnAnotherThread([&] {
    for (int i = 0; i < 1000; ++i) ASSERT_NE(arena.TryAllocate(48, 16), nullptr);
    ASSERT_NE(arena.TryAllocate(16 << 10, 16), nullptr);
    EXPECT_GE(arena.Stats().asked_bytes, size_t{64'000});
  });
  EXPECT_EQ(arena.Stats().asked_bytes, 4800u + 48'000u + (16 << 10));
  const ArenaStats exact = arena.DetailedStats();
  EXPECT_EQ(exact.asked_bytes, arena.Stats().asked_bytes);
  EXPECT_EQ(exact.used_bytes, arena.Stats().used_bytes);
  EXPECT_EQ(exact.held_bytes, arena.Stats().held_bytes);
  arena.Reset();
  EXPECT_EQ(arena.Stats().asked_bytes, 0u);
}

TEST(ConcurrentArenaTest, StatsOfALivingThreadLagByLessThanABlock) {
  ConcurrentArena arena({.first_block_bytes = 4096, .max_block_bytes = 4096});
  std::atomic<size_t> asked = 0;
  std::atomic<int> step = 0;
  std::thread other([&] {
    for (int i = 0; i < 5000; ++i) ASSERT_NE(arena.TryAllocate(32, 16), nullptr);
    asked = 5000 * 32;
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  EXPECT_LE(asked - 4096, arena.Stats().asked_bytes);
  step = 2;
  other.join();
}

// --- Finding the lane
// -----------------------------------------------------------------------------

TEST(ConcurrentArenaTest, AlternatingAmongManyArenasStaysOnTheInlinedPath) {
  std::vector<std::unique_ptr<ConcurrentArena>> arenas;
  std::vector<std::unique_ptr<ConcurrentArena>> gone;
  for (int i = 0; i < 8; ++i) {
    // Whatever other arenas came and went between.
    for (int other = 0; other < 31; ++other) gone.push_back(std::make_unique<ConcurrentArena>());
    arenas.push_back(std::make_unique<ConcurrentArena>());
    ASSERT_NE(arenas.back()->TryAllocate(8), nullptr);
    gone.clear();
  }
  for (int round = 0; round < 100; ++round) {
    for (const auto& arena : arenas) {
      ASSERT_TRUE(ConcurrentArenaPeer::FindsLaneAtOnce(*arena));
      ASSERT_NE(arena->TryAllocate(8), nullptr);
    }
  }
}

TEST(ConcurrentArenaTest, MoreArenasThanAThreadHasPlacesForWorkAsWell) {
  std::vector<std::unique_ptr<ConcurrentArena>> arenas;
  for (int i = 0; i < 100; ++i) arenas.push_back(std::make_unique<ConcurrentArena>());
  std::vector<ConcurrentArena::Lane*> lanes;
  for (const auto& arena : arenas) lanes.push_back(&arena->ThisLane());
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < arenas.size(); ++i) {
      ASSERT_NE(arenas[i]->TryAllocate(8), nullptr);
      ASSERT_EQ(&arenas[i]->ThisLane(), lanes[i]);
      ASSERT_EQ(arenas[i]->lane_count(), 1u);
    }
  }
}

TEST(ConcurrentArenaTest, AnArenaMayEndBeforeItsThreads) {
  auto arena = std::make_unique<ConcurrentArena>();
  std::atomic<int> step = 0;
  std::thread other([&] {
    (void)arena->Create<std::string>(100u, 'x');
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  arena.reset();
  step = 2;
  other.join();
}

// A key's destructor runs when a thread's own objects are gone, again and again while it sets the
// key: the thread's table and what it remembers go between two of them.
struct LastMoments {
  ConcurrentArena* arena;
  pthread_key_t key;
  int calls_left;
};
// As often as the system calls; ThreadSanitizer lets go of a thread before the last ones are over.
constexpr int kLastCalls = kThreadSanitizer ? PTHREAD_DESTRUCTOR_ITERATIONS - 2 : 100;

TEST(ConcurrentArenaTest, AThreadMayAllocateInItsLastMoments) {
  FailingResource upstream;
  {
    ConcurrentArena arena({.upstream = &upstream});
    LastMoments last{.arena = &arena, .key = {}, .calls_left = 0};
    ASSERT_EQ(pthread_key_create(&last.key,
                                 [](void* p) {
                                   auto* const self = static_cast<LastMoments*>(p);
                                   EXPECT_EQ(*self->arena->Create<std::string>(100u, 'x'),
                                             std::string(100, 'x'));
                                   if (--self->calls_left > 0) pthread_setspecific(self->key, p);
                                 }),
              0);
    for (int i = 0; i < 3; ++i) {
      OnAnotherThread([&] {
        last.calls_left = kLastCalls;
        pthread_setspecific(last.key, &last);
        (void)arena.Create<std::string>(100u, 'y');
      });
    }
    EXPECT_LE(last.calls_left, kLastCalls - (PTHREAD_DESTRUCTOR_ITERATIONS - 2));
    pthread_key_delete(last.key);
    arena.Reset();
  }
  EXPECT_EQ(upstream.live_count(), 0u);
}

// --- Fork
// -----------------------------------------------------------------------------------------

bool UsableInAChild(ConcurrentArena& arena, ConcurrentArena::Lane* mine,
                    const std::string* theirs) {
  const size_t lanes = arena.lane_count();
  if (arena.TryThisLane() != mine || *arena.Create<int>(7) != 7) return false;
  if (*theirs != std::string(100, 't')) return false;
  if (!kThreadSanitizer) {
    bool good = false;
    // It gets a new lane: the other one is not to be touched before the reset.
    OnAnotherThread([&] { good = arena.TryAllocate(100'000, 8) != nullptr; });
    if (!good || arena.lane_count() != lanes + 1) return false;
  }
  arena.Reset();
  if (arena.TryThisLane() != mine || *arena.Create<int>(7) != 7) return false;
  if (!kThreadSanitizer) {
    const size_t before = arena.lane_count();
    std::atomic<int> arrived = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        (void)arena.allocate(8);
        for (++arrived; arrived < 2;) std::this_thread::yield();
      });
    }
    for (std::thread& thread : threads) thread.join();
    if (arena.lane_count() != before) return false;
  }
  return true;
}

TEST(ConcurrentArenaTest, AForkedChildGoesOnWithIt) {
  ConcurrentArena arena;
  ConcurrentArena::Lane* const mine = &arena.ThisLane();
  std::string* theirs = nullptr;
  std::atomic<int> step = 0;
  std::thread other([&] {
    theirs = arena.Create<std::string>(100u, 't');
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(UsableInAChild(arena, mine, theirs) ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  step = 2;
  other.join();
  // In the parent nothing has changed.
  EXPECT_EQ(arena.TryThisLane(), mine);
  EXPECT_EQ(*theirs, std::string(100, 't'));
  OnAnotherThread([&] { ASSERT_NE(arena.TryAllocate(8), nullptr); });
  EXPECT_EQ(arena.lane_count(), 2u);
}

// --- Misuse
// ---------------------------------------------------------------------------------------

TEST(ConcurrentArenaDeathTest, UnusableOptionsAreRefused) {
  EXPECT_TRUE(ConcurrentArenaOptions{}.Validate().has_value());
  EXPECT_FALSE(ConcurrentArenaOptions{.first_block_bytes = 512}.Validate().has_value());
  EXPECT_FALSE(ConcurrentArenaOptions{.max_block_bytes = 512}.Validate().has_value());
  EXPECT_FALSE(ConcurrentArenaOptions{.max_block_bytes = size_t{2} << 30}.Validate().has_value());
  EXPECT_FALSE(ConcurrentArenaOptions{.name = nullptr}.Validate().has_value());
  EXPECT_DEATH(ConcurrentArena({.first_block_bytes = 10}), "first_block_bytes is 10");
}

TEST(ConcurrentArenaDeathTest, AnotherThreadsLaneIsFoundOut) {
  EXPECT_DEATH(
      {
        ConcurrentArena arena({.checks = Checks::kOn});
        ConcurrentArena::Lane& lane = arena.ThisLane();
        (void)lane.TryAllocate(8);
        OnAnotherThread([&] { (void)lane.TryAllocate(8); });
      },
      "belongs to thread");
}

TEST(ConcurrentArenaDeathTest, AnAllocationDuringAnotherThreadsResetIsFoundOut) {
  EXPECT_DEATH(
      {
        ConcurrentArena arena({.name = "shared"});
        arena.Defer(
            [](void* p) {
              OnAnotherThread([p] { (void)static_cast<ConcurrentArena*>(p)->TryAllocate(8); });
            },
            &arena);
        arena.Reset();
      },
      "'shared': a thread's first allocation on thread .* resets it");
}

TEST(ConcurrentArenaDeathTest, TwoResetsAtOnceAreFoundOut) {
  EXPECT_DEATH(
      {
        ConcurrentArena arena({.name = "shared"});
        arena.Defer(
            [](void* p) { OnAnotherThread([p] { static_cast<ConcurrentArena*>(p)->Reset(); }); },
            &arena);
        arena.Reset();
      },
      "'shared': a reset on thread .* resets it");
}

TEST(ConcurrentArenaDeathTest, AWriteBehindAResetIsFoundOut) {
  EXPECT_DEATH(
      {
        ConcurrentArena arena({.checks = Checks::kOn});
        auto* const p = static_cast<volatile char*>(arena.TryAllocate(64, 8));
        arena.Reset();
        p[10] = 1;
        (void)arena.TryAllocate(64, 8);
      },
      "AddressSanitizer|written .* while it belonged to nobody");
}

}  // namespace
}  // namespace granary
