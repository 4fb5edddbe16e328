#include "memory/region/shared_compacting_heap.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/testing/heap_bytes.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

constexpr int kThreads = 4;
constexpr int kSteps = kCheckedBuild ? 2000 : 10'000;

// Blocks of its own; those that it pins it reads through the pin.
void Work(SharedCompactingHeap& heap, uint64_t seed, std::atomic<uint64_t>& damaged) {
  std::mt19937_64 random(seed);
  std::vector<std::pair<BlockHandle, uint64_t>> blocks;
  std::vector<std::pair<HeapPin, uint64_t>> pins;
  for (int step = 0; step < kSteps; ++step) {
    const uint64_t choice = random() % 16;
    if (choice < 6 || blocks.empty()) {
      const auto block = heap.Allocate(1 + random() % 2000, Placement::kContiguousFirst);
      if (!block) continue;
      const uint64_t tag = random();
      WritePattern(heap, *block, tag);
      blocks.emplace_back(*block, tag);
    } else if (choice < 12) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      const auto [block, tag] = blocks.back();
      damaged += !HasPattern(heap, block, tag);
      if (heap.Free(block)) {
        blocks.pop_back();
        damaged += heap.IsLive(block);
      }
    } else if (choice == 12) {
      const auto [block, tag] = blocks[random() % blocks.size()];
      pins.emplace_back(heap.Pin(block).value(), tag);
    } else if (choice == 13) {
      for (const auto& [pin, tag] : pins) {
        std::vector<std::byte> wanted(pin.bytes().size());
        PatternOf(tag, wanted);
        damaged += !std::equal(wanted.begin(), wanted.end(), pin.bytes().begin());
      }
      pins.clear();
    } else if (choice == 14) {
      (void)heap.Defragment({.bytes = random() % 100'000});
      if (random() % 4 == 0) (void)heap.Trim();
    } else {
      const auto [block, tag] = blocks[random() % blocks.size()];
      (void)heap.Gather(block);
    }
  }
  pins.clear();
  for (const auto& [block, tag] : blocks) {
    damaged += !HasPattern(heap, block, tag);
    damaged += !heap.Free(block);
  }
}

void Stress(const HeapOptions& options) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  const auto heap = SharedCompactingHeap::Create(options).value();
  std::atomic<uint64_t> damaged{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { Work(*heap, seed + static_cast<uint64_t>(t), damaged); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(damaged.load(), 0u);
  EXPECT_EQ(heap->Stats().used_bytes, 0u);
  const auto valid = heap->Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

TEST(SharedCompactingHeapTest, ThreadsKeepTheirBytesWhileBlocksMove) {
  Stress({.limit_bytes = 4 << 20,
          .automatic = {.enabled = true, .begin_fragmentation = 0.1, .end_fragmentation = 0.05},
          .allocation_move_bytes = 16 << 10});
}

// Counts what it is told, and looks at the heap while it is.
class Counter : public MoveObserver {
 public:
  void BeforeMove(const BlockMove& move) noexcept override {
    ++before;
    if (heap != nullptr) looks += heap->IsLive(move.block);
  }
  void AfterMove(const BlockMove&) noexcept override { ++after; }
  void MoveAbandoned(const BlockMove&) noexcept override { ++abandoned; }

  SharedCompactingHeap* heap = nullptr;
  std::atomic<uint64_t> before{0};
  std::atomic<uint64_t> after{0};
  std::atomic<uint64_t> abandoned{0};
  std::atomic<uint64_t> looks{0};
};

TEST(SharedCompactingHeapTest, ThreadsKeepTheirBytesWhileMovesAreObserved) {
  Counter counter;
  Stress({.limit_bytes = 4 << 20,
          .automatic = {.enabled = true, .begin_fragmentation = 0.1, .end_fragmentation = 0.05},
          .allocation_move_bytes = 16 << 10,
          .observer = &counter});
  EXPECT_EQ(counter.before.load(), counter.after.load() + counter.abandoned.load());
  EXPECT_GT(counter.after.load(), 0u);
}

TEST(SharedCompactingHeapTest, AnObserverIsCalledWithoutTheLock) {
  Counter counter;
  const auto heap =
      SharedCompactingHeap::Create({.limit_bytes = 1 << 20, .observer = &counter}).value();
  counter.heap = heap.get();
  const BlockHandle hole = heap->Allocate(64).value();
  const BlockHandle block = heap->Allocate(64).value();
  Succeeds(heap->Free(hole));
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
  EXPECT_EQ(counter.looks.load(), 1u);
  EXPECT_TRUE(heap->IsLive(block));
}

TEST(SharedCompactingHeapTest, ConstructorsAndDestructorsMayCallTheHeap) {
  struct Owner {
    explicit Owner(SharedCompactingHeap* a_heap)
        : heap(a_heap), owned(a_heap->Allocate(100).value()) {}
    Owner(Owner&& other) noexcept : heap(std::exchange(other.heap, nullptr)), owned(other.owned) {}
    ~Owner() {
      if (heap != nullptr) Succeeds(heap->Free(owned));
    }
    SharedCompactingHeap* heap;
    BlockHandle owned;
  };
  const auto heap = SharedCompactingHeap::Create({.limit_bytes = 1 << 20}).value();
  const auto owner = heap->Allocate<Owner>(heap.get()).value();
  EXPECT_EQ(heap->Stats().blocks, 2u);
  Succeeds(heap->Free(owner));
  EXPECT_EQ(heap->Stats().blocks, 0u);
}

TEST(SharedCompactingHeapTest, HandlesStayStaleWhileOthersTrim) {
  const auto heap = SharedCompactingHeap::Create({.limit_bytes = 8 << 20}).value();
  std::atomic<bool> ends{false};
  std::thread trimmer([&] {
    while (!ends) {
      (void)heap->Trim();
      std::this_thread::yield();
    }
  });
  std::atomic<uint64_t> damaged{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      std::vector<BlockHandle> stale;
      for (int round = 0; round < 20; ++round) {
        std::vector<BlockHandle> blocks;
        for (int i = 0; i < 500; ++i) blocks.push_back(heap->Allocate(16).value());
        for (const BlockHandle block : stale) damaged += heap->IsLive(block);
        for (const BlockHandle block : blocks) damaged += !heap->Free(block);
        stale.insert(stale.end(), blocks.begin(), blocks.begin() + 50);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ends = true;
  trimmer.join();
  EXPECT_EQ(damaged.load(), 0u);
  (void)heap->Trim();
  // What is known of pages that went.
  EXPECT_LT(heap->Stats().held_bytes, 4096u);
  const auto valid = heap->Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

TEST(SharedCompactingHeapTest, OfTwoThreadsThatFreeABlockOneFindsItStale) {
  const auto heap = SharedCompactingHeap::Create({.limit_bytes = 1 << 20}).value();
  std::atomic<int> freed{0};
  std::vector<BlockHandle> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(heap->Allocate(16).value());
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (const BlockHandle block : blocks) freed += heap->Free(block).has_value();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(freed.load(), 1000);
}

TEST(SharedCompactingHeapTest, PlansAreResolvedWhileOthersWork) {
  const auto heap = SharedCompactingHeap::Create({.limit_bytes = 4 << 20}).value();
  std::atomic<bool> ends{false};
  std::thread planner([&] {
    while (!ends) {
      auto plan = heap->Plan({.moves = 4});
      // Nobody copies, so nothing may be committed.
      for (size_t i = 0; i + 1 < plan.size(); ++i) (void)plan.Ignore(i);
    }
  });
  std::atomic<uint64_t> damaged{0};
  Work(*heap, RandomTestSeed(), damaged);
  ends = true;
  planner.join();
  EXPECT_EQ(damaged.load(), 0u);
  EXPECT_EQ(heap->Stats().used_bytes, 0u);
}

}  // namespace
}  // namespace granary
