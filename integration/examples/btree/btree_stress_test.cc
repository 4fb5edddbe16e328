// Threads that change and read one tree in a pool of few frames. Each thread has keys of its own,
// which nobody else changes: of these it knows at every moment what the tree has to say, by itself
// and within a scan, whatever splits, merges and evictions go on around them.
//
// GRANARY_TEST_OPERATIONS is how many operations each thread makes.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "integration/examples/btree/btree.h"
#include "integration/examples/btree/testing/tree_file.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"

namespace granary::btree {
namespace {

constexpr size_t kThreads = 4;
constexpr Key kKeys = 6000;

size_t Operations() {
  const char* const given = std::getenv("GRANARY_TEST_OPERATIONS");
  if (given != nullptr) return std::strtoull(given, nullptr, 10);
  return kCheckedBuild ? 6'000 : 60'000;
}

struct Case {
  const char* name;
  EvictionKind eviction;
  size_t frames;
  bool has_evictor;
  // How often a descent may restart, before it latches.
  int restarts_max = 50;
};

class BTreeStressTest : public ::testing::TestWithParam<Case> {};

// What one thread does, and what it knows.
class Worker {
 public:
  Worker(BTree& tree, size_t number, uint64_t seed)
      : tree_(tree), number_(number), random_(seed + number) {}

  void Run(size_t operations) {
    for (size_t i = 0; i < operations && !::testing::Test::HasFailure(); ++i) {
      // The tree grows and shrinks, by turns.
      const uint64_t grow = i / 1500 % 2 == 0 ? 70 : 15;
      const Key key = random_() % (kKeys / kThreads) * kThreads + number_;
      const uint64_t what = random_() % 100;
      if (what < 5) {
        Scan(random_() % kKeys, 1 + random_() % 200);
      } else if (what < 15) {
        FindOthers(random_() % kKeys);
      } else if (what < 25) {
        Find(key);
      } else if (what < 35) {
        Update(key);
      } else if (random_() % 100 < grow) {
        Insert(key);
      } else {
        Erase(key);
      }
    }
  }

  const std::map<Key, Value>& entries() const { return entries_; }

 private:
  // Of each key, and of each time that it is put in.
  Value NewValue(Key key) { return key << 32 | ++changes_; }

  void Insert(Key key) {
    const Value value = NewValue(key);
    const auto is_new = tree_.Insert(key, value);
    ASSERT_TRUE(is_new) << is_new.error().message;
    ASSERT_EQ(*is_new, entries_.emplace(key, value).second);
  }
  void Update(Key key) {
    const Value value = NewValue(key);
    const auto is_there = tree_.Update(key, value);
    ASSERT_TRUE(is_there) << is_there.error().message;
    const auto found = entries_.find(key);
    ASSERT_EQ(*is_there, found != entries_.end());
    if (*is_there) found->second = value;
  }
  void Erase(Key key) {
    const auto was_there = tree_.Erase(key);
    ASSERT_TRUE(was_there) << was_there.error().message;
    ASSERT_EQ(*was_there, entries_.erase(key) != 0);
  }
  void Find(Key key) {
    const auto value = tree_.Find(key);
    ASSERT_TRUE(value) << value.error().message;
    const auto found = entries_.find(key);
    ASSERT_EQ(value->has_value(), found != entries_.end());
    if (*value) {
      ASSERT_EQ(**value, found->second);
    }
  }
  void FindOthers(Key key) {
    const auto value = tree_.Find(key);
    ASSERT_TRUE(value) << value.error().message;
    if (*value) {
      ASSERT_EQ(**value >> 32, key);
    }
  }
  void Scan(Key from, size_t count_max) {
    auto mine = entries_.lower_bound(from);
    size_t count = 0;
    std::optional<Key> last;
    const auto scanned = tree_.Scan(from, [&](Key key, Value value) {
      EXPECT_GE(key, from);
      EXPECT_TRUE(!last || key > *last) << key << " after " << *last;
      EXPECT_EQ(value >> 32, key);
      last = key;
      // Each of its own keys comes, none between them, and with the value that it has.
      if (key % kThreads == number_) {
        const bool is_mine = mine != entries_.end() && mine->first == key && mine->second == value;
        EXPECT_TRUE(is_mine) << key;
        if (mine != entries_.end()) ++mine;
      }
      return ++count < count_max && !::testing::Test::HasFailure();
    });
    ASSERT_TRUE(scanned) << scanned.error().message;
    // It came to the end: then all have come.
    if (count < count_max) {
      ASSERT_TRUE(mine == entries_.end()) << mine->first;
    }
  }

  BTree& tree_;
  const size_t number_;
  std::mt19937_64 random_;
  std::map<Key, Value> entries_;
  uint64_t changes_ = 0;
};

TEST_P(BTreeStressTest, EveryThreadFindsItsKeysAsItLeftThem) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  BufferPoolOptions options;
  options.eviction = GetParam().eviction;
  options.has_evictor = GetParam().has_evictor;
  options.evictor_low_frames = options.has_evictor ? 2 : 0;
  options.evictor_high_frames = options.has_evictor ? 4 : 0;
  options.frame_wait = std::chrono::seconds(20);
  TreeFile file(GetParam().frames, options);
  BTreeOptions tree_options = file.tree_options();
  tree_options.restarts_max = GetParam().restarts_max;
  auto tree = BTree::Create(tree_options);
  ASSERT_TRUE(tree) << tree.error().message;
  std::vector<Worker> workers;
  for (size_t i = 0; i < kThreads; ++i) workers.emplace_back(**tree, i, seed);
  std::vector<std::thread> threads;
  for (Worker& worker : workers) {
    threads.emplace_back([&worker] { worker.Run(Operations()); });
  }
  for (std::thread& thread : threads) thread.join();
  if (HasFailure()) return;

  const auto report = (*tree)->Validate();
  ASSERT_TRUE(report) << report.error().message;
  std::map<Key, Value> all;
  for (const Worker& worker : workers) {
    all.insert(worker.entries().begin(), worker.entries().end());
  }
  EXPECT_EQ(report->entries, all.size());
  auto next = all.begin();
  const auto scanned = (*tree)->Scan(0, [&](Key key, Value value) {
    EXPECT_TRUE(next != all.end() && next->first == key && next->second == value) << key;
    if (next != all.end()) ++next;
    return !HasFailure();
  });
  ASSERT_TRUE(scanned) << scanned.error().message;
  EXPECT_TRUE(next == all.end());
  EXPECT_GT(file.pool().Stats().evictions, 0U);
}

// The keys that come do so in their order, by all threads at once: mostly into the same leaf.
TEST_P(BTreeStressTest, AScanSeesWhatIsThereWhileOthersInsert) {
  BufferPoolOptions options;
  options.eviction = GetParam().eviction;
  options.has_evictor = GetParam().has_evictor;
  options.frame_wait = std::chrono::seconds(20);
  TreeFile file(GetParam().frames, options);
  BTreeOptions tree_options = file.tree_options();
  tree_options.restarts_max = GetParam().restarts_max;
  auto tree = BTree::Create(tree_options);
  ASSERT_TRUE(tree) << tree.error().message;
  const Key count = std::min<Key>(Operations() / 10, 10'000);
  // Even keys are there all the time, and odd ones come.
  for (Key key = 0; key < 2 * count; key += 2) ASSERT_TRUE((*tree)->Insert(key, key));
  std::atomic<Key> next = 0;
  std::atomic<size_t> busy = kThreads - 1;
  std::vector<std::thread> threads;
  for (size_t t = 0; t + 1 < kThreads; ++t) {
    threads.emplace_back([&] {
      for (Key i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
        const auto is_new = (*tree)->Insert(2 * i + 1, 2 * i + 1);
        ASSERT_TRUE(is_new) << is_new.error().message;
        ASSERT_TRUE(*is_new);
      }
      busy.fetch_sub(1);
    });
  }
  do {
    Key expected = 0;
    const auto scanned = (*tree)->Scan(0, [&](Key key, Value value) {
      EXPECT_EQ(key, value);
      // An odd one may be missing.
      EXPECT_TRUE(key == expected || (key == expected + 1 && key % 2 == 0))
          << key << " where " << expected << " was next";
      expected = key + 1;
      return !HasFailure();
    });
    EXPECT_TRUE(scanned) << scanned.error().message;
    EXPECT_GE(expected, 2 * count - 1);
  } while (busy.load() != 0 && !HasFailure());
  for (std::thread& thread : threads) thread.join();
  const auto report = (*tree)->Validate();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->entries, 2 * count);
}

INSTANTIATE_TEST_SUITE_P(
    Pools, BTreeStressTest,
    ::testing::Values(Case{"s3fifo_32", EvictionKind::kS3Fifo, 32, false},
                      Case{"s3fifo_32_evictor", EvictionKind::kS3Fifo, 32, true},
                      Case{"twoq_32", EvictionKind::kTwoQ, 32, false},
                      Case{"clock_32", EvictionKind::kClock, 32, false},
                      Case{"lru_32", EvictionKind::kLru, 32, false},
                      Case{"clock_latches", EvictionKind::kClock, 32, false, 0},
                      Case{"clock_no_restart", EvictionKind::kClock, 32, false, 1},
                      Case{"s3fifo_100", EvictionKind::kS3Fifo, 100, false}),
    [](const auto& named) { return std::string(named.param.name); });

}  // namespace
}  // namespace granary::btree
