#include "memory/malloc_resource.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

class MallocUnderTest final : public ResourceUnderTest {
 public:
  MemoryResource& resource() override { return malloc_; }

 private:
  MallocResource malloc_;
};

INSTANTIATE_TEST_SUITE_P(
    Malloc, ResourceConformanceTest,
    testing::Values(ConformanceTraits{
        .name = "Plain",
        .make = [](MemoryResource*) { return std::make_unique<MallocUnderTest>(); },
    }),
    ConformanceName);

TEST(MallocResourceTest, CountsExactlyWhatWasAskedFor) {
  MallocResource malloc;
  void* const a = malloc.TryAllocate(100, 1);
  void* const b = malloc.TryAllocate(1000, 256);
  EXPECT_EQ(malloc.Stats().asked_bytes, 1100u);
  EXPECT_EQ(malloc.live_count(), 2u);
  malloc.deallocate(a, 100, 1);
  EXPECT_EQ(malloc.Stats().asked_bytes, 1000u);
  malloc.deallocate(b, 1000, 256);
  EXPECT_EQ(malloc.Stats(), MemoryStats{});
  EXPECT_EQ(malloc.live_count(), 0u);
}

TEST(MallocResourceTest, ResizingInPlaceChangesWhatIsAskedOnly) {
  MallocResource malloc;
  void* const p = malloc.TryAllocate(1000, 8);
  const size_t used = malloc.Stats().used_bytes;
  ASSERT_TRUE(malloc.TryResize(p, 1000, 900, 8));
  EXPECT_EQ(malloc.Stats().asked_bytes, 900u);
  EXPECT_EQ(malloc.Stats().used_bytes, used);
  EXPECT_FALSE(malloc.TryResize(p, 900, 10, 8)) << "most of the chunk would lie idle";
  EXPECT_FALSE(malloc.TryResize(p, 900, 100000, 8));
  EXPECT_EQ(malloc.Stats().asked_bytes, 900u);
  malloc.deallocate(p, 900, 8);
  EXPECT_EQ(malloc.Stats(), MemoryStats{});
}

TEST(MallocResourceTest, TheDefaultIsOneForTheProcess) {
  EXPECT_EQ(&MallocResource::Default(), &MallocResource::Default());
  void* const p = MallocResource::Default().TryAllocate(10, 8);
  EXPECT_NE(p, nullptr);
  MallocResource::Default().deallocate(p, 10, 8);
}

// A place where threads leave blocks for others to free.
class Exchange {
 public:
  using Block = std::pair<void*, size_t>;

  void Put(Block block) {
    const std::lock_guard lock(mutex_);
    blocks_.push_back(block);
  }
  Block Take() {
    const std::lock_guard lock(mutex_);
    if (blocks_.empty()) return {nullptr, 0};
    const Block block = blocks_.back();
    blocks_.pop_back();
    return block;
  }

 private:
  std::mutex mutex_;
  std::vector<Block> blocks_;
};

TEST(MallocResourceTest, ThreadsMayFreeEachOthersBlocks) {
  constexpr size_t kThreads = 4;
  constexpr size_t kBlocks = 5000;
  // More than the blocks of all threads at their largest can be.
  constexpr size_t kMostBytes = kThreads * kBlocks * 4096;
  MallocResource malloc;
  Exchange exchange;
  std::atomic<size_t> done{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      for (size_t i = 0; i < kBlocks; ++i) {
        const size_t bytes = random() % 2000 + 1;
        void* const p = malloc.TryAllocate(bytes, size_t{1} << random() % 8);
        ASSERT_NE(p, nullptr);
        std::memset(p, static_cast<int>(t), bytes);
        exchange.Put({p, bytes});
        const auto [taken, taken_bytes] = exchange.Take();
        if (taken != nullptr && random() % 4 != 0) {
          malloc.deallocate(taken, taken_bytes);
        } else if (taken != nullptr) {
          exchange.Put({taken, taken_bytes});
        }
      }
      done.fetch_add(1);
    });
  }
  while (done.load() < kThreads) {
    const MemoryStats stats = malloc.Stats();
    ASSERT_LE(stats.asked_bytes, kMostBytes) << "a count went below zero";
    ASSERT_LE(stats.asked_bytes, stats.used_bytes);
    ASSERT_LE(stats.used_bytes, stats.held_bytes);
    ASSERT_LE(malloc.live_count(), kThreads * kBlocks);
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  for (auto block = exchange.Take(); block.first != nullptr; block = exchange.Take()) {
    malloc.deallocate(block.first, block.second);
  }
  EXPECT_EQ(malloc.Stats(), MemoryStats{});
  EXPECT_EQ(malloc.live_count(), 0u);
}

}  // namespace
}  // namespace granary
