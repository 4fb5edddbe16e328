#include "integration/examples/btree/btree.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "integration/examples/btree/testing/tree_file.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "pool/buffer/page_codec.h"
#include "pool/buffer/wal_gate.h"

namespace granary::btree {
namespace {

using Model = std::map<Key, Value>;

std::unique_ptr<BTree> MakeTree(TreeFile& file, ChangeLog* log = nullptr) {
  auto tree = BTree::Create(file.tree_options(log));
  EXPECT_TRUE(tree) << tree.error().message;
  return *std::move(tree);
}

// What the tree answers, where it has to.
bool Done(const Expected<bool>& answer) {
  EXPECT_TRUE(answer) << answer.error().message;
  return answer && *answer;
}

void ExpectIs(BTree& tree, const Model& model) {
  const auto report = tree.Validate();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->entries, model.size());
  auto next = model.begin();
  const auto scanned = tree.Scan(0, [&](Key key, Value value) {
    EXPECT_TRUE(next != model.end() && next->first == key && next->second == value) << key;
    if (next != model.end()) ++next;
    return !::testing::Test::HasFailure();
  });
  ASSERT_TRUE(scanned) << scanned.error().message;
  EXPECT_TRUE(next == model.end());
}

TEST(BTreeTest, AnEmptyTreeHasNothing) {
  TreeFile file(32);
  auto tree = MakeTree(file);
  EXPECT_EQ(*tree->Find(7), std::nullopt);
  EXPECT_FALSE(Done(tree->Erase(7)));
  EXPECT_FALSE(Done(tree->Update(7, 1)));
  const auto report = tree->Validate();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->height, 1U);
  EXPECT_EQ(report->pages, 2U);
  ExpectIs(*tree, {});
}

TEST(BTreeTest, TheLowestAndTheHighestKeyAreKeysAsOthers) {
  TreeFile file(32);
  auto tree = MakeTree(file);
  Model model;
  for (Key key = 0; key < 500; ++key) {
    for (const Key each : {key, kKeyMax - key}) {
      ASSERT_TRUE(Done(tree->Insert(each, key)));
      model.emplace(each, key);
    }
  }
  EXPECT_FALSE(Done(tree->Insert(kKeyMax, 1)));
  EXPECT_EQ(*tree->Find(kKeyMax), 0U);
  EXPECT_EQ(*tree->Find(0), 0U);
  ExpectIs(*tree, model);
  size_t seen = 0;
  ASSERT_TRUE(tree->Scan(kKeyMax, [&](Key, Value) { return ++seen != 0; }));
  EXPECT_EQ(seen, 1U);
}

TEST(BTreeTest, AScanBeginsWhereItIsToAndEndsWhenItIsTold) {
  TreeFile file(32);
  auto tree = MakeTree(file);
  for (Key key = 0; key < 1000; ++key) ASSERT_TRUE(Done(tree->Insert(3 * key, key)));
  std::vector<Key> seen;
  ASSERT_TRUE(tree->Scan(100, [&](Key key, Value) {
    seen.push_back(key);
    return seen.size() < 3;
  }));
  EXPECT_EQ(seen, (std::vector<Key>{102, 105, 108}));
}

struct Pool {
  const char* name;
  EvictionKind eviction;
  size_t frames;
  bool latches = false;
};

class BTreeModelTest : public ::testing::TestWithParam<Pool> {};

TEST_P(BTreeModelTest, IsWhatAMapIs) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  BufferPoolOptions options;
  options.eviction = GetParam().eviction;
  TreeFile file(GetParam().frames, options);
  BTreeOptions tree_options = file.tree_options();
  if (GetParam().latches) tree_options.restarts_max = 0;
  auto tree = *BTree::Create(tree_options);
  Model model;
  const size_t operations = kCheckedBuild ? 20'000 : 100'000;
  for (size_t i = 0; i < operations && !HasFailure(); ++i) {
    const bool is_growing = i / (operations / 6) % 2 == 0;
    const Key key = random() % 5000;
    const Value value = random();
    const uint64_t what = random() % 100;
    if (what < 10) {
      const auto found = model.find(key);
      const auto value_found = tree->Find(key);
      ASSERT_TRUE(value_found) << value_found.error().message;
      ASSERT_EQ(*value_found, found == model.end() ? std::nullopt : std::optional(found->second));
    } else if (what < 20) {
      const auto found = model.find(key);
      ASSERT_EQ(Done(tree->Update(key, value)), found != model.end());
      if (found != model.end()) found->second = value;
    } else if (what < 22) {
      auto next = model.lower_bound(key);
      size_t left = 60;
      ASSERT_TRUE(tree->Scan(key, [&](Key each, Value its) {
        const bool is_next = next != model.end() && next->first == each && next->second == its;
        EXPECT_TRUE(is_next) << each;
        if (is_next) ++next;
        return --left != 0 && is_next;
      }));
    } else if (what < (is_growing ? 70 : 35)) {
      ASSERT_EQ(Done(tree->Insert(key, value)), model.emplace(key, value).second);
    } else {
      ASSERT_EQ(Done(tree->Erase(key)), model.erase(key) != 0);
    }
    if (i % (operations / 20) == 0) ExpectIs(*tree, model);
  }
  ExpectIs(*tree, model);
}

INSTANTIATE_TEST_SUITE_P(Pools, BTreeModelTest,
                         ::testing::Values(Pool{"clock_8", EvictionKind::kClock, 8},
                                           Pool{"clock_32", EvictionKind::kClock, 32},
                                           Pool{"twoq_32", EvictionKind::kTwoQ, 32},
                                           Pool{"lru_32", EvictionKind::kLru, 32},
                                           Pool{"latches_32", EvictionKind::kClock, 32, true},
                                           Pool{"s3fifo_2000", EvictionKind::kS3Fifo, 2000}),
                         [](const auto& named) { return std::string(named.param.name); });

// The order in which keys come and go.
std::vector<Key> Order(const std::string& name, Key count, std::mt19937_64& random) {
  std::vector<Key> keys(count);
  for (Key key = 0; key < count; ++key) keys[key] = name == "falling" ? count - 1 - key : key;
  if (name == "random") std::shuffle(keys.begin(), keys.end(), random);
  return keys;
}

TEST(BTreeTest, ShrinksToOneEmptyLeafAndGrowsAgainInThePagesThatItHas) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  TreeFile file(32);
  auto tree = MakeTree(file);
  const Key count = kCheckedBuild ? 3000 : 15'000;
  uint64_t pages_max = 0;
  for (const char* const in : {"random", "rising", "falling"}) {
    for (const char* const out : {"rising", "falling", "random"}) {
      SCOPED_TRACE(std::string("in ") + in + ", out " + out);
      for (const Key key : Order(in, count, random)) ASSERT_TRUE(Done(tree->Insert(key, key)));
      auto report = tree->Validate();
      ASSERT_TRUE(report) << report.error().message;
      EXPECT_EQ(report->entries, count);
      EXPECT_GE(report->height, 3U);
      // Nothing new as long as there are free ones.
      EXPECT_TRUE(report->free_pages == 0 || report->pages == pages_max);
      pages_max = report->pages;
      for (const Key key : Order(out, count, random)) ASSERT_TRUE(Done(tree->Erase(key)));
      report = tree->Validate();
      ASSERT_TRUE(report) << report.error().message;
      EXPECT_EQ(report->entries, 0U);
      EXPECT_EQ(report->height, 1U);
      EXPECT_EQ(report->pages, report->free_pages + 2);
    }
  }
}

// As long as they come nearly so: of some writers, whose keys are taken in order and inserted in
// another.
TEST(BTreeTest, KeysInOrderLeaveFullLeaves) {
  constexpr Key kCount = kCheckedBuild ? 4000 : 40'000;
  constexpr Key kLateBy = 3;
  const NodeLayout layout(TreeFile::kPageBytes, TreeFile(32).tree_options().header_bytes);
  const double per_leaf = static_cast<double>(layout.CountMax({}));
  for (const bool is_rising : {true, false}) {
    for (const bool is_late : {false, true}) {
      SCOPED_TRACE(std::string(is_rising ? "rising" : "falling") + (is_late ? ", some late" : ""));
      TreeFile file(64);
      auto tree = MakeTree(file);
      Model model;
      for (Key i = 0; i < kCount; ++i) {
        // Each few in reverse.
        const Key few = i / kLateBy * kLateBy;
        const Key in_turn = is_late && few + kLateBy <= kCount ? 2 * few + kLateBy - 1 - i : i;
        const Key key = 1'000'000 + (is_rising ? in_turn : kCount - in_turn);
        ASSERT_TRUE(Done(tree->Insert(key, i)));
        model.emplace(key, i);
      }
      const auto report = tree->Validate();
      ASSERT_TRUE(report) << report.error().message;
      const double filled = static_cast<double>(kCount) / static_cast<double>(report->leaves);
      EXPECT_GE(filled, (is_late ? 0.75 : 0.9) * per_leaf);
      ExpectIs(*tree, model);
    }
  }
}

// As a queue is used, a stack, and who takes back what he has just put there.
TEST(BTreeTest, NodesAtTheEdgesHaveFewKeysAndMayLoseThem) {
  TreeFile file(64);
  auto tree = MakeTree(file);
  Model model;
  const auto insert = [&](Key key) {
    ASSERT_TRUE(Done(tree->Insert(key, key)));
    model.emplace(key, key);
  };
  const auto erase = [&](Key key) {
    ASSERT_TRUE(Done(tree->Erase(key)));
    model.erase(key);
  };
  constexpr Key kFirst = 1'000'000;
  constexpr Key kCount = kCheckedBuild ? 2000 : 20'000;
  constexpr Key kInQueue = 1000;
  for (Key i = 0; i < kCount; ++i) {
    ASSERT_NO_FATAL_FAILURE(insert(kFirst + i));
    if (i >= kInQueue) {
      ASSERT_NO_FATAL_FAILURE(erase(kFirst + i - kInQueue));
    }
    // The one above goes and comes at every step.
    ASSERT_NO_FATAL_FAILURE(insert(kFirst + i + 1));
    ASSERT_NO_FATAL_FAILURE(erase(kFirst + i + 1));
    if (i % 97 == 0) {
      const auto report = tree->Validate();
      ASSERT_TRUE(report) << report.error().message;
    }
  }
  ExpectIs(*tree, model);
  while (!model.empty()) {
    ASSERT_NO_FATAL_FAILURE(erase(model.rbegin()->first));
    if (!model.empty()) {
      ASSERT_NO_FATAL_FAILURE(erase(model.begin()->first));
    }
    if (model.size() % 97 == 0) {
      const auto report = tree->Validate();
      ASSERT_TRUE(report) << report.error().message;
    }
  }
  ExpectIs(*tree, model);
}

TEST(BTreeTest, IsThereWhenTheFileIsAttachedAgain) {
  TreeFile file(32);
  Model model;
  auto tree = MakeTree(file);
  for (Key round = 0; round < 4; ++round) {
    // Some pages are free each time.
    for (Key key = 0; key < 4000; ++key) {
      ASSERT_TRUE(Done(tree->Insert(key * 4 + round, key)));
      model.emplace(key * 4 + round, key);
    }
    for (Key key = 1000; key < 3000; ++key) {
      ASSERT_TRUE(Done(tree->Erase(key * 4 + round)));
      model.erase(key * 4 + round);
    }
    tree.reset();
    file.Reattach();
    auto again = BTree::Open(file.tree_options());
    ASSERT_TRUE(again) << again.error().message;
    tree = *std::move(again);
    ExpectIs(*tree, model);
  }
}

TEST(BTreeTest, WhatIsNoTreeIsNotOpened) {
  TreeFile file(32);
  EXPECT_FALSE(BTree::Open(file.tree_options()));
  auto tree = MakeTree(file);
  BTreeOptions options = file.tree_options();
  options.header_bytes = 40;
  const auto shifted = BTree::Open(options);
  ASSERT_FALSE(shifted);
  EXPECT_EQ(shifted.error().code, ErrorCode::kCorrupt);
  options.header_bytes = 4000;
  EXPECT_EQ(BTree::Open(options).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(BTree::Create({}).error().code, ErrorCode::kInvalidArgument);
}

TEST(BTreeTest, APageThatIsNoNodeIsAnErrorAndNoLoop) {
  TreeFile file(32);
  auto tree = MakeTree(file);
  for (Key key = 0; key < 1000; ++key) ASSERT_TRUE(Done(tree->Insert(key, key)));
  const NodeLayout layout(TreeFile::kPageBytes, file.tree_options().header_bytes);
  {
    // The first child of the root is the root.
    auto root = file.pool().FixExclusive({file.file(), kRootPage});
    ASSERT_TRUE(root);
    Node(root->data(), layout).SetValue(0, kRootPage);
    root->MarkDirty(0);
  }
  EXPECT_EQ(tree->Find(0).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(tree->Insert(0, 0).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(tree->Validate().error().code, ErrorCode::kCorrupt);
}

TEST(BTreeTest, WhatFailsLeavesTheTreeAsItWas) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  BufferPoolOptions options;
  options.has_evictor = false;
  TreeFile file(16, options);
  auto tree = MakeTree(file);
  Model model;
  size_t errors = 0;
  const size_t operations = kCheckedBuild ? 5000 : 20'000;
  for (size_t i = 0; i < operations; ++i) {
    const Key key = random() % 3000;
    const bool inserts = random() % 100 < (i / (operations / 4) % 2 == 0 ? 80 : 20);
    file.FailReadIn(static_cast<int64_t>(random() % 6));
    const auto done = inserts ? tree->Insert(key, i) : tree->Erase(key);
    file.FailReadIn(-1);
    if (!done) {
      EXPECT_EQ(done.error().code, ErrorCode::kIo) << done.error().message;
      ++errors;
    } else if (inserts) {
      ASSERT_EQ(*done, model.emplace(key, i).second);
    } else {
      ASSERT_EQ(*done, model.erase(key) != 0);
    }
    if (i % (operations / 20) == 0) ExpectIs(*tree, model);
  }
  EXPECT_GT(errors, operations / 20);
  ExpectIs(*tree, model);
}

TEST(BTreeTest, WithoutFramesItFailsAndWithoutPagesToo) {
  BufferPoolOptions options;
  options.frame_wait = std::chrono::milliseconds(1);
  options.has_evictor = false;
  TreeFile file(16, options);
  auto tree = MakeTree(file);
  Model model;
  for (Key key = 0; key < 1000; ++key) {
    ASSERT_TRUE(Done(tree->Insert(key, key)));
    model.emplace(key, key);
  }
  {
    std::vector<SharedPage> pins;
    for (uint64_t page = 2; pins.size() < 15; ++page) {
      auto fixed = file.pool().FixShared({file.file(), page});
      ASSERT_TRUE(fixed) << fixed.error().message;
      pins.push_back(*std::move(fixed));
    }
    size_t failed = 0;
    for (Key key = 0; key < 1000; key += 50) failed += tree->Find(key) ? 0U : 1U;
    EXPECT_GT(failed, 0U);
    EXPECT_FALSE(tree->Validate());
  }
  ExpectIs(*tree, model);
  // Until the file has all pages that it may have.
  Key next = 1000;
  while (true) {
    const auto is_new = tree->Insert(next, next);
    if (!is_new) break;
    model.emplace(next, next);
    ++next;
  }
  ExpectIs(*tree, model);
  EXPECT_EQ(tree->Validate()->pages, TreeFile::kPagesMax);
}

// A log of whole pages, in memory: a record for each change, durable when somebody asks.
class PageLog final : public ChangeLog, public WalGate {
 public:
  struct Record {
    std::vector<std::pair<uint64_t, std::vector<std::byte>>> pages;
  };

  void Append(std::span<ExclusivePage* const> pages) noexcept override {
    Record record;
    for (ExclusivePage* const page : pages) {
      page->MarkDirty(records_.size() + 1);
      const auto bytes = page->bytes();
      record.pages.emplace_back(page->id().page,
                                std::vector<std::byte>(bytes.begin(), bytes.end()));
    }
    records_.push_back(std::move(record));
  }
  Lsn Flushed() const noexcept override { return flushed_.load(); }
  Expected<void> FlushTo(Lsn lsn) override {
    flushed_.store(std::max(flushed_.load(), lsn));
    return {};
  }

  Lsn last() const { return records_.size(); }
  // Does all that the log has from the beginning up to `lsn` again.
  void Redo(PageStore& store, FileId file, Lsn lsn) const {
    const ChecksumPageCodec codec;
    for (Lsn each = 1; each <= lsn; ++each) {
      for (auto [page, bytes] : records_[each - 1].pages) {
        codec.Seal(bytes, {file, page}, each);
        PageWrite write[] = {{.page = page, .bytes = bytes.data()}};
        store.Write(write);
        ASSERT_EQ(write[0].error_number, 0);
      }
    }
  }

 private:
  std::vector<Record> records_;
  std::atomic<Lsn> flushed_ = 0;
};

TEST(BTreeTest, AfterACrashItIsWhatTheLogHas) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < (kCheckedBuild ? 3 : 8); ++round) {
    PageLog log;
    BufferPoolOptions options;
    options.wal_gate = &log;
    options.has_evictor = false;
    TreeFile file(32, options);
    auto tree = MakeTree(file, &log);
    struct Applied {
      Lsn lsn;
      Key key;
      bool is_inserted;
    };
    std::vector<Applied> done;
    for (size_t i = 0; i < 6000; ++i) {
      const Key key = random() % 2000;
      const bool inserts = random() % 100 < (i / 2000 % 2 == 0 ? 80 : 20);
      if (inserts ? Done(tree->Insert(key, key)) : Done(tree->Erase(key))) {
        done.push_back({log.last(), key, inserts});
      }
    }
    tree.reset();
    file.Crash();
    // What is durable is more than what somebody asked for, by any number of records.
    const Lsn flushed = log.Flushed();
    const Lsn lsn = flushed + random() % (log.last() - flushed + 1);
    SCOPED_TRACE("up to " + std::to_string(lsn) + " of " + std::to_string(log.last()));
    log.Redo(file.store(), file.file(), lsn);
    file.StartPool();
    auto again = BTree::Open(file.tree_options());
    ASSERT_TRUE(again) << again.error().message;
    Model model;
    for (const Applied& each : done) {
      if (each.lsn > lsn) break;
      if (each.is_inserted) {
        model.emplace(each.key, each.key);
      } else {
        model.erase(each.key);
      }
    }
    ExpectIs(**again, model);
  }
}

}  // namespace
}  // namespace granary::btree
