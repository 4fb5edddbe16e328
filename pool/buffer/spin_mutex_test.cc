#include "pool/buffer/spin_mutex.h"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace granary::buffer {
namespace {

TEST(SpinMutexTest, OneAtATime) {
  constexpr int kThreads = 4;
  constexpr uint64_t kRounds = 20'000;
  SpinMutex mutex;
  uint64_t count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (uint64_t round = 0; round < kRounds; ++round) {
        const std::scoped_lock lock(mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, kThreads * kRounds);
}

TEST(SpinMutexTest, TryingTakesItIfItIsFree) {
  SpinMutex mutex;
  ASSERT_TRUE(mutex.try_lock());
  EXPECT_FALSE(mutex.try_lock());
  mutex.unlock();
  EXPECT_TRUE(mutex.try_lock());
  mutex.unlock();
}

// Held for longer than anybody spins, so that all of them sleep; each is woken.
TEST(SpinMutexTest, WhoSleptIsWoken) {
  constexpr int kSleepers = 3;
  SpinMutex mutex;
  int woken = 0;
  std::vector<std::thread> threads;
  mutex.lock();
  for (int i = 0; i < kSleepers; ++i) {
    threads.emplace_back([&] {
      const std::scoped_lock lock(mutex);
      ++woken;
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(woken, 0);
  mutex.unlock();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(woken, kSleepers);
}

}  // namespace
}  // namespace granary::buffer
