// That every tree finds what was put there, by several threads at once, in memory and with a limit.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/buffer/granary_trees.h"
#include "bench/buffer/lmdb_readers.h"
#include "bench/buffer/lmdb_tree.h"
#include "bench/buffer/orders.h"
#include "bench/buffer/tree_entries.h"
#include "bench/buffer/tree_runs.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

// Three levels.
constexpr size_t kEntries = 60'000;

template <class T>
class TreesTest : public testing::Test {};

using All = testing::Types<TreeOfGranary, TreeOfLmdb, CursorOfLmdb>;
TYPED_TEST_SUITE(TreesTest, All);

TYPED_TEST(TreesTest, EveryEntryIsFoundAndScansHaveTheirSums) {
  typename TypeParam::Tree tree(kEntries);
  tree.Fill(kEntries);
  typename TypeParam::Reader reader(tree);
  for (size_t entry = 0; entry < kEntries; ++entry) {
    ASSERT_EQ(reader.Find(entry), ValueOf(entry)) << entry;
  }
  for (size_t entry = 0; entry + 300 < kEntries; entry += 17) {
    uint64_t values = 0;
    for (size_t i = 0; i < 300; ++i) values += ValueOf(entry + i);
    ASSERT_EQ(reader.Scan(entry, 300), values) << entry;
  }
}

TYPED_TEST(TreesTest, SeveralThreadsReadAtOnce) {
  typename TypeParam::Tree tree(kEntries);
  tree.Fill(kEntries);
  for (const size_t count : {1u, 100u}) {
    const EntryOrders orders(Distribution::kZipf, kEntries, 4, 2'000, count);
    EXPECT_GT(SecondsOfLookups<TypeParam>(tree, orders, 2), 0);
  }
}

TYPED_TEST(TreesTest, WhatIsInsertedIsThere) {
  std::vector<uint32_t> entries;
  uint64_t values = 0;
  for (uint32_t i = 0; i < 10'007; ++i) {
    entries.push_back(static_cast<uint32_t>(uint64_t{i} * 5'003 % 10'007));
    values += ValueOf(i);
  }
  EXPECT_GT(SecondsOfInserts<TypeParam>(entries, values), 0);
}

TYPED_TEST(TreesTest, WhatDoesNotFitIntoMemoryIsFoundAsWell) {
  constexpr size_t kFrames = 100;
  typename TypeParam::Tree tree(kEntries, kFrames);
  if (!tree.why_skipped().empty()) GTEST_SKIP() << tree.why_skipped();
  tree.Fill(kEntries);
  tree.Settle(kFrames);
  for (const size_t count : {1u, 100u}) {
    const EntryOrders orders(Distribution::kUniform, kEntries, 1, 1'000, count);
    EXPECT_GT(SecondsOfLimitedLookups<TypeParam>(tree, orders), 0);
  }
}

TEST(LmdbTreeTest, HasNoMoreInMemoryThanItMay) {
  constexpr size_t kPages = 100;
  LmdbTree tree(kEntries, kPages);
  if (!tree.why_skipped().empty()) GTEST_SKIP() << tree.why_skipped();
  tree.Fill(kEntries);
  tree.Settle(kPages);
  const EntryOrders orders(Distribution::kUniform, kEntries, 1, 2'000);
  SecondsOfLimitedLookups<TreeOfLmdb>(tree, orders);
  // Pages that the kernel was about to add to its lists when they were to go stay for a moment.
  EXPECT_LE(tree.resident_pages(), kPages + 16);
  EXPECT_GE(tree.resident_pages(), kPages * 3 / 4);
}

}  // namespace
}  // namespace granary::bench
