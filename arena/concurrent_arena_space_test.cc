// What a ConcurrentArena holds: its slack is bounded over all lanes together, and a use like the
// ones before it calls upstream no more.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "arena/concurrent_arena.h"
#include "gtest/gtest.h"
#include "memory/testing/failing_resource.h"

namespace granary {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

ConcurrentArenaOptions Options(MemoryResource& upstream, Retention retention) {
  return {.retention = retention, .upstream = &upstream, .checks = Checks::kOff};
}

// Runs `run(thread)` on so many threads that all live at the same time.
void OnThreads(size_t count, const std::function<void(size_t)>& run) {
  std::latch all(static_cast<ptrdiff_t>(count));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < count; ++t) {
    threads.emplace_back([&, t] {
      run(t);
      all.arrive_and_wait();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// What a thread asks for until it has asked for so many bytes.
using Sizes = std::function<size_t(std::mt19937_64&)>;

Sizes Always(size_t bytes) {
  return [bytes](std::mt19937_64&) { return bytes; };
}
Sizes Uniform(size_t least, size_t most) {
  return [=](std::mt19937_64& random) { return least + random() % (most - least + 1); };
}

size_t Fill(ConcurrentArena& arena, size_t total, size_t seed, const Sizes& sizes) {
  std::mt19937_64 random(seed);
  size_t asked = 0;
  while (asked < total) {
    const size_t bytes = sizes(random);
    EXPECT_NE(arena.TryAllocateBytes(bytes), nullptr);
    asked += bytes;
  }
  return asked;
}

// Asks on one thread for a MiB, and looks after every allocation at what is held beyond what was
// asked for.
void ExpectSlackWithinBounds(const char* what, size_t number, const Sizes& sizes) {
  FailingResource upstream;
  ConcurrentArena arena(Options(upstream, Retention::KeepAll()));
  std::mt19937_64 random(1);
  for (size_t asked = 0; asked < kMiB;) {
    const size_t bytes = sizes(random);
    ASSERT_NE(arena.TryAllocateBytes(bytes), nullptr);
    asked += bytes;
    const size_t slack = upstream.live_bytes() - asked;
    ASSERT_LE(slack, asked / 4 + 2048) << what << number << ", asked for " << asked;
    if (asked >= kMiB / 4) {
      ASSERT_LE(slack, asked / 8 + 1024) << what << number << ", asked for " << asked;
    }
  }
}

TEST(ConcurrentArenaSpaceTest, SixtyFourThreadsHoldAnEighthMoreThanTheyAskFor) {
  constexpr size_t kThreads = 64;
  for (const Sizes& sizes : {Always(8), Always(40), Always(100), Always(1000), Always(5000),
                             Uniform(1, 16), Uniform(8, 128), Uniform(1, 1000)}) {
    FailingResource upstream;
    ConcurrentArena arena(Options(upstream, Retention::Adaptive()));
    std::atomic<size_t> asked = 0;
    OnThreads(kThreads, [&](size_t t) { asked += Fill(arena, kMiB, t, sizes); });
    const size_t held = upstream.live_bytes();
    EXPECT_EQ(arena.Stats().held_bytes, held);
    EXPECT_EQ(arena.lane_count(), kThreads);
    EXPECT_EQ(arena.Stats().asked_bytes, asked);
    EXPECT_LE(held - asked, asked / 8 + kThreads * 1024) << "asked for " << asked;
  }
}

TEST(ConcurrentArenaSpaceTest, SmallUsesOnManyThreadsHoldAKiBEach) {
  FailingResource upstream;
  ConcurrentArena arena(Options(upstream, Retention::Adaptive()));
  std::atomic<size_t> asked = 0;
  OnThreads(64, [&](size_t t) { asked += Fill(arena, t == 0 ? kMiB : 100, t, Always(20)); });
  EXPECT_LE(upstream.live_bytes() - asked, asked / 8 + 64 * 1024);
}

// The worst are sizes of about half the first block, while blocks are of that size: either the ends
// of blocks are lost or the 48 bytes with which an object stands aside.
TEST(ConcurrentArenaSpaceTest, TheSlackIsBoundedAtEveryMomentAndForEverySize) {
  for (size_t bytes = 1; bytes <= 64 << 10; bytes += std::max<size_t>(1, bytes / 24)) {
    ExpectSlackWithinBounds("always ", bytes, Always(bytes));
  }
  for (const size_t most : {16u, 128u, 600u, 5000u, 50'000u}) {
    ExpectSlackWithinBounds("up to ", most, Uniform(1, most));
    ExpectSlackWithinBounds("a half of and up to ", most, Uniform(most / 2, most));
  }
}

// The promise in the terms of MemoryStats, which no sequence of sizes breaks.
TEST(ConcurrentArenaSpaceTest, WhatLiesFreeIsAShareOfWhatIsUsed) {
  FailingResource upstream;
  ConcurrentArena arena(Options(upstream, Retention::KeepAll()));
  std::mt19937_64 random(7);
  for (size_t asked = 0; asked < 4 * kMiB;) {
    const size_t bytes = 1 + random() % (size_t{2} << random() % 15);
    ASSERT_NE(arena.TryAllocate(bytes, size_t{1} << random() % 5), nullptr);
    asked += bytes;
    const MemoryStats stats = arena.Stats();
    ASSERT_LE(stats.held_bytes - stats.used_bytes,
              stats.used_bytes / ConcurrentArena::kGrowthDivisor + 1024);
    ASSERT_EQ(stats.held_bytes, upstream.live_bytes());
  }
}

TEST(ConcurrentArenaSpaceTest, BlocksGrowSoThatUpstreamIsCalledRarely) {
  FailingResource upstream;
  ConcurrentArena arena(Options(upstream, Retention::KeepAll()));
  (void)Fill(arena, kMiB, 1, Uniform(8, 128));
  EXPECT_LE(upstream.allocation_count(), 100u);
  (void)Fill(arena, 16 * kMiB, 1, Uniform(8, 128));
  EXPECT_LE(upstream.allocation_count(), 150u);
}

class ConcurrentArenaSteadyStateTest : public testing::TestWithParam<Retention> {};

// The same threads, each with a use of its own.
TEST_P(ConcurrentArenaSteadyStateTest, TheSameThreadsCallUpstreamNoMore) {
  FailingResource upstream;
  ConcurrentArena arena(Options(upstream, GetParam()));
  constexpr size_t kThreads = 4;
  constexpr int kRounds = 30;
  std::atomic<int> round = 0;
  std::atomic<size_t> done = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int mine = 0; mine < kRounds; ++mine) {
        while (round != mine) std::this_thread::yield();
        (void)Fill(arena, (t + 1) * 200'000, t, Uniform(1, 300));
        (void)arena.TryAllocate(100'000, 64);
        (void)arena.Create<std::string>(100u, 'x');
        ++done;
      }
    });
  }
  size_t settled_calls = 0;
  for (int r = 0; r < kRounds; ++r) {
    while (done != kThreads) std::this_thread::yield();
    done = 0;
    arena.Reset();
    if (r == 5) settled_calls = upstream.allocation_count() + upstream.deallocation_count();
    ++round;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(upstream.allocation_count() + upstream.deallocation_count(), settled_calls);
}

// New threads for every use: lanes change hands.
TEST_P(ConcurrentArenaSteadyStateTest, NewThreadsCallUpstreamNoMore) {
  FailingResource upstream;
  ConcurrentArena arena(Options(upstream, GetParam()));
  size_t settled_calls = 0;
  for (int round = 0; round < 60; ++round) {
    OnThreads(4, [&](size_t) { (void)Fill(arena, 300'000, 1, Uniform(1, 300)); });
    arena.Reset();
    if (round == 19) settled_calls = upstream.allocation_count() + upstream.deallocation_count();
  }
  EXPECT_EQ(arena.lane_count(), 4u);
  EXPECT_EQ(upstream.allocation_count() + upstream.deallocation_count(), settled_calls);
}

INSTANTIATE_TEST_SUITE_P(ConcurrentArena, ConcurrentArenaSteadyStateTest,
                         testing::Values(Retention::Adaptive(), Retention::KeepAll(),
                                         Retention::KeepBytes(64 << 20)),
                         [](const testing::TestParamInfo<Retention>& retention) {
                           switch (retention.param.kind()) {
                             case Retention::Kind::kAdaptive:
                               return "Adaptive";
                             case Retention::Kind::kKeepAll:
                               return "KeepAll";
                             default:
                               return "KeepBytes";
                           }
                         });

}  // namespace
}  // namespace granary
