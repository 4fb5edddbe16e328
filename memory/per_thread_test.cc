#include "memory/per_thread.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace granary {
namespace {

// Counts in its values; a value is the address of one of its own ints.
class Counter final : PerThread::Owner {
 public:
  void* Find() const { return per_thread_.Find(); }
  void* FindEither() const {
    void* const value = per_thread_.Find();
    return value != nullptr ? value : per_thread_.FindDisplaced();
  }
  void Set(int& value) { ASSERT_TRUE(per_thread_.Set(&value)); }

  std::atomic<int> exits = 0;
  std::atomic<int> forks_begun = 0;
  std::atomic<int> forks_in_child = 0;
  std::atomic<int> forks_in_parent = 0;

 private:
  void OnThreadExit(void* value) noexcept override {
    ++*static_cast<int*>(value);
    ++exits;
  }
  void BeforeFork() noexcept override { ++forks_begun; }
  void AfterFork(bool in_child) noexcept override {
    ++(in_child ? forks_in_child : forks_in_parent);
  }

  PerThread per_thread_{*this};
};

TEST(PerThreadTest, AThreadHasNothingUntilItIsGiven) {
  Counter counter;
  EXPECT_EQ(counter.FindEither(), nullptr);
  int value = 0;
  counter.Set(value);
  EXPECT_EQ(counter.Find(), &value);
  std::thread([&] { EXPECT_EQ(counter.FindEither(), nullptr); }).join();
}

TEST(PerThreadTest, EachThreadFindsItsOwnAndLeavesIt) {
  Counter counter;
  std::array<int, 8> values = {};
  std::vector<std::thread> threads;
  for (int& value : values) {
    threads.emplace_back([&counter, &value] {
      counter.Set(value);
      for (int i = 0; i < 1000; ++i) ASSERT_EQ(counter.Find(), &value);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.exits, 8);
  for (const int value : values) EXPECT_EQ(value, 1);
}

TEST(PerThreadTest, MoreOwnersThanTheTableHolds) {
  std::vector<std::unique_ptr<Counter>> counters;
  std::vector<int> values(200);
  std::thread([&] {
    for (int& value : values) {
      counters.push_back(std::make_unique<Counter>());
      counters.back()->Set(value);
    }
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(counters[i]->FindEither(), &values[i]);
      ASSERT_EQ(counters[i]->Find(), &values[i]) << "the table knows it again";
    }
  }).join();
  for (const int value : values) EXPECT_EQ(value, 1);
}

// Whatever ids those that live have got: the dead leave their places to others.
TEST(PerThreadTest, AFewOwnersNeverDisplaceEachOther) {
  std::vector<std::unique_ptr<Counter>> counters;
  std::vector<int> values(8);
  std::thread([&] {
    for (int& value : values) {
      for (int i = 0; i < 31; ++i) Counter{};
      counters.push_back(std::make_unique<Counter>());
      counters.back()->Set(value);
    }
    for (int round = 0; round < 3; ++round) {
      for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(counters[i]->Find(), &values[i]);
    }
  }).join();
}

TEST(PerThreadTest, ANewOwnerNeverFindsWhatADeadOneLeft) {
  int value = 0;
  for (int i = 0; i < 1000; ++i) {
    Counter counter;
    ASSERT_EQ(counter.FindEither(), nullptr);
    counter.Set(value);
  }
  EXPECT_EQ(value, 0);
}

TEST(PerThreadTest, AThreadThatOutlivesTheOwnerTellsNobody) {
  int value = 0;
  auto counter = std::make_unique<Counter>();
  std::atomic<int> step = 0;
  std::thread thread([&] {
    counter->Set(value);
    step = 1;
    step.notify_one();
    step.wait(1);
  });
  step.wait(0);
  counter.reset();
  step = 2;
  step.notify_one();
  thread.join();
  EXPECT_EQ(value, 0);
}

TEST(PerThreadTest, ThreadsAndOwnersEndAtAnyTime) {
  std::vector<int> values(16);
  for (int round = 0; round < 200; ++round) {
    auto counter = std::make_unique<Counter>();
    std::array<std::atomic<bool>, 4> set = {};
    std::vector<std::thread> threads;
    for (size_t i = 0; i < set.size(); ++i) {
      threads.emplace_back([&counter = *counter, &set = set[i], &value = values[i]] {
        counter.Set(value);
        set = true;
        set.notify_one();
      });
    }
    for (auto& one : set) one.wait(false);
    counter.reset();
    for (std::thread& thread : threads) thread.join();
  }
}

// A thread_local object that uses an owner when its thread ends: the values are still there.
struct LastUse {
  ~LastUse() {
    if (counter != nullptr) found = counter->FindEither();
  }
  Counter* counter = nullptr;
  static inline void* found = nullptr;
};
thread_local LastUse last_use;

TEST(PerThreadTest, ThreadLocalObjectsMayUseItToTheLast) {
  Counter counter;
  int value = 0;
  std::thread([&] {
    last_use.counter = &counter;
    counter.Set(value);
  }).join();
  EXPECT_EQ(LastUse::found, &value);
  EXPECT_EQ(value, 1);
}

TEST(PerThreadTest, OwnersAreToldOfAFork) {
  Counter counter;
  int value = 0;
  counter.Set(value);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool good = counter.forks_begun == 1 && counter.forks_in_child == 1 &&
                      counter.forks_in_parent == 0 && counter.Find() == &value;
    _exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(counter.forks_begun, 1);
  EXPECT_EQ(counter.forks_in_parent, 1);
}

}  // namespace
}  // namespace granary
