// Many threads, many arenas, in every order: each thread writes a pattern of its own into all that
// it gets, and finds it unchanged in the end.
//
// `bazel test -c opt --test_env=GRANARY_TEST_OPERATIONS=10000000 --test_timeout=3600` is the long
// run.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "arena/arena_scope.h"
#include "arena/concurrent_arena.h"
#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "memory/testing/failing_resource.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

size_t Operations() {
  if (const char* const chosen = std::getenv("GRANARY_TEST_OPERATIONS")) {
    return std::strtoull(chosen, nullptr, 10);
  }
  return kCheckedBuild ? 40'000 : 400'000;
}

std::atomic<size_t> destroyed = 0;
struct Destroyed {
  explicit Destroyed(uint64_t tag_) : tag(tag_) {}
  ~Destroyed() { ++destroyed; }
  uint64_t tag;
};

// What one thread has from one arena.
class Pieces {
 public:
  explicit Pieces(uint64_t tag) : tag_(tag) {}

  void Add(void* p, size_t bytes) {
    ASSERT_NE(p, nullptr);
    std::memset(p, Mark(pieces_.size()), bytes);
    pieces_.push_back({static_cast<unsigned char*>(p), bytes});
  }
  void AddObject(Destroyed* object) {
    objects_.push_back(object);
    object->tag = tag_ + objects_.size();
  }
  size_t object_count() const { return objects_.size(); }

  void Check() const {
    for (size_t i = 0; i < pieces_.size(); ++i) {
      const auto [p, bytes] = pieces_[i];
      for (size_t at = 0; at < bytes; ++at) ASSERT_EQ(p[at], Mark(i));
    }
    for (size_t i = 0; i < objects_.size(); ++i) ASSERT_EQ(objects_[i]->tag, tag_ + i + 1);
  }

 private:
  struct Piece {
    unsigned char* p;
    size_t bytes;
  };
  unsigned char Mark(size_t i) const { return static_cast<unsigned char>(tag_ * 31 + i * 7 + 1); }

  uint64_t tag_;
  std::vector<Piece> pieces_;
  std::vector<Destroyed*> objects_;
};

// One random call, of each kind that there is.
void CallAtRandom(ConcurrentArena& arena, Pieces& pieces, std::mt19937_64& random) {
  const uint64_t choice = random() % 1000;
  const size_t bytes = choice < 5 ? random() % 100'000 : random() % 200 + 1;
  const size_t alignment = size_t{1} << random() % 7;
  if (choice < 400) {
    pieces.Add(arena.TryAllocate(bytes, alignment), bytes);
  } else if (choice < 550) {
    pieces.Add(arena.TryAllocateBytes(bytes), bytes);
  } else if (choice < 850) {
    ConcurrentArena::Lane& lane = arena.ThisLane();
    for (int i = 0; i < 4; ++i) pieces.Add(lane.TryAllocate(bytes, alignment), bytes);
  } else if (choice < 950) {
    pieces.AddObject(arena.Create<Destroyed>(0u));
  } else if (choice < 970) {
    const ArenaScope scope(arena.ThisLane());
    std::memset(arena.allocate(bytes * 3, alignment), 0xee, bytes * 3);
  } else if (choice < 990) {
    const MemoryStats stats = arena.Stats();
    ASSERT_LE(stats.asked_bytes, stats.used_bytes);
    ASSERT_LE(stats.used_bytes, stats.held_bytes);
  } else if (choice < 995) {
    (void)arena.Trim();
  } else {
    void* const p = arena.TryAllocate(bytes, 8);
    pieces.Add(p, bytes);
    (void)arena.TryResize(p, bytes, bytes + 64, 8);
  }
}

class ConcurrentArenaStressTest : public testing::TestWithParam<Checks> {};

// Rounds of use on the same threads, with a reset between them by one of these in turn.
TEST_P(ConcurrentArenaStressTest, EveryThreadKeepsItsBytesApart) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  constexpr size_t kThreads = 8;
  constexpr size_t kRounds = 8;
  FailingResource upstream;
  {
    ConcurrentArena arena({.upstream = &upstream, .checks = GetParam()});
    std::atomic<size_t> created = 0;
    destroyed = 0;
    std::barrier barrier(static_cast<ptrdiff_t>(kThreads));
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(seed + t);
        for (size_t round = 0; round < kRounds; ++round) {
          Pieces pieces(t * kRounds + round);
          for (size_t i = 0; i < Operations() / kRounds / kThreads; ++i) {
            CallAtRandom(arena, pieces, random);
          }
          pieces.Check();
          created += pieces.object_count();
          barrier.arrive_and_wait();
          if (round % kThreads == t) {
            arena.Reset(round % 2 == 0 ? Retention::Adaptive() : Retention::KeepBytes(100'000));
            EXPECT_EQ(destroyed, created);
            EXPECT_EQ(arena.DetailedStats().asked_bytes, 0u);
            EXPECT_EQ(arena.Stats().held_bytes, upstream.live_bytes());
          }
          barrier.arrive_and_wait();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(arena.lane_count(), kThreads);
  }
  EXPECT_EQ(upstream.live_count(), 0u);
}

// Threads come and go all the time; what they leave behind is checked by who comes last.
TEST_P(ConcurrentArenaStressTest, ThreadsEndAndOthersTakeTheirLanes) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  constexpr size_t kAtOnce = 4;
  constexpr size_t kGenerations = 40;
  FailingResource upstream;
  ConcurrentArena arena({.upstream = &upstream, .checks = GetParam()});
  std::vector<std::unique_ptr<Pieces>> left(kAtOnce * kGenerations);
  destroyed = 0;
  // Each starts its successor as its last act, so that ends and beginnings overlap.
  std::vector<std::thread> starters;
  for (size_t chain = 0; chain < kAtOnce; ++chain) {
    starters.emplace_back([&, chain] {
      for (size_t generation = 0; generation < kGenerations; ++generation) {
        const size_t at = chain * kGenerations + generation;
        std::thread([&, at] {
          std::mt19937_64 random(seed + at);
          left[at] = std::make_unique<Pieces>(at);
          for (size_t i = 0; i < Operations() / kAtOnce / kGenerations; ++i) {
            CallAtRandom(arena, *left[at], random);
          }
        }).join();
      }
    });
  }
  for (std::thread& starter : starters) starter.join();
  // A lane that is being trimmed is out of reach.
  EXPECT_LE(arena.lane_count(), 2 * kAtOnce);
  size_t created = 0;
  for (const auto& pieces : left) {
    pieces->Check();
    created += pieces->object_count();
  }
  EXPECT_EQ(arena.Stats().asked_bytes, arena.DetailedStats().asked_bytes);
  arena.Reset();
  EXPECT_EQ(destroyed, created);
}

// Every thread uses every arena; arenas and threads end in any order.
TEST_P(ConcurrentArenaStressTest, ArenasAndThreadsEndInAnyOrder) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 order(seed);
  constexpr size_t kArenas = 40;
  constexpr size_t kThreads = 6;
  FailingResource upstream;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::unique_ptr<ConcurrentArena>> arenas;
    std::vector<std::unique_ptr<std::atomic<size_t>>> users;
    for (size_t i = 0; i < kArenas; ++i) {
      arenas.push_back(std::make_unique<ConcurrentArena>(
          ConcurrentArenaOptions{.upstream = &upstream, .checks = GetParam()}));
      users.push_back(std::make_unique<std::atomic<size_t>>(kThreads));
    }
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(seed * 7 + t);
        std::vector<Pieces> pieces;
        for (size_t i = 0; i < kArenas; ++i) pieces.emplace_back(t * kArenas + i);
        for (size_t i = 0; i < Operations() / kThreads / 10; ++i) {
          const size_t a = random() % kArenas;
          CallAtRandom(*arenas[a], pieces[a], random);
        }
        for (const Pieces& each : pieces) each.Check();
        // Whoever leaves an arena last may end it while others still end themselves.
        for (size_t i = 0; i < kArenas; ++i) {
          if (users[i]->fetch_sub(1) == 1 && i % 2 == 0) arenas[i].reset();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::shuffle(arenas.begin(), arenas.end(), order);
    arenas.clear();
    EXPECT_EQ(upstream.live_count(), 0u);
  }
}

// A reset or an end while the threads that used the arena are on their way out.
TEST_P(ConcurrentArenaStressTest, ThreadsEndDuringResetsAndTheEnd) {
  for (int round = 0; round < (kCheckedBuild ? 50 : 300); ++round) {
    auto arena = std::make_unique<ConcurrentArena>(ConcurrentArenaOptions{.checks = GetParam()});
    for (int use = 0; use < 2; ++use) {
      std::atomic<int> done = 0;
      std::vector<std::thread> threads;
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
          for (int i = 0; i < 50; ++i) (void)arena->Create<std::string>(100u, 'x');
          ++done;
        });
      }
      while (done != 4) std::this_thread::yield();
      use == 0 ? arena->Reset() : arena.reset();
      for (std::thread& thread : threads) thread.join();
    }
  }
}

// Another thread asks all the time.
TEST_P(ConcurrentArenaStressTest, StatsAreAskedForAtAnyTime) {
  ConcurrentArena arena({.checks = GetParam()});
  std::atomic<bool> stop = false;
  std::thread monitor([&] {
    size_t lanes = 0;
    while (!stop) {
      const MemoryStats stats = arena.Stats();
      ASSERT_LE(stats.asked_bytes, stats.used_bytes);
      ASSERT_LE(stats.used_bytes, stats.held_bytes);
      ASSERT_GE(arena.lane_count(), lanes);
      lanes = arena.lane_count();
    }
  });
  for (int round = 0; round < 20; ++round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) (void)arena.Copy("a text of some length");
      });
    }
    for (std::thread& thread : threads) thread.join();
    arena.Reset();
  }
  stop = true;
  monitor.join();
}

INSTANTIATE_TEST_SUITE_P(ConcurrentArena, ConcurrentArenaStressTest,
                         testing::Values(Checks::kOff, Checks::kOn),
                         [](const testing::TestParamInfo<Checks>& checks) {
                           return checks.param == Checks::kOn ? "Checked" : "Unchecked";
                         });

}  // namespace
}  // namespace granary
