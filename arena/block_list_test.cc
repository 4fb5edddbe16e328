#include "arena/block_list.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

// Blocks that know their sizes only; nothing is behind them.
class Blocks {
 public:
  BlockLink* Make(size_t bytes) { return &blocks_.emplace_back(BlockLink{nullptr, bytes}); }

 private:
  std::deque<BlockLink> blocks_;
};

std::vector<size_t> Sizes(const BlockChain& chain) {
  std::vector<size_t> sizes;
  const BlockLink* link = chain.first;
  for (size_t i = 0; i < chain.count; ++i, link = link->next) sizes.push_back(link->bytes);
  return sizes;
}

void ExpectIs(const BlockChain& chain, const std::vector<size_t>& sizes) {
  ASSERT_EQ(chain.count, sizes.size());
  ASSERT_EQ(Sizes(chain), sizes);
  size_t bytes = 0;
  for (const size_t size : sizes) bytes += size;
  ASSERT_EQ(chain.bytes, bytes);
  ASSERT_EQ(chain.first == nullptr, sizes.empty());
  ASSERT_EQ(chain.last == nullptr, sizes.empty());
  if (!sizes.empty()) {
    const BlockLink* last = chain.first;
    for (size_t i = 1; i < sizes.size(); ++i) last = last->next;
    ASSERT_EQ(chain.last, last);
  }
}

TEST(BlockListTest, AnEmptyListHasNothingToGive) {
  BlockList list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.first(), nullptr);
  ExpectIs(list.CutBehind({}), {});
  ExpectIs(list.TakeAll(), {});
  list.Append(BlockChain{});
  EXPECT_TRUE(list.empty());
}

TEST(BlockListTest, AppendsAtTheEnd) {
  Blocks blocks;
  BlockList list;
  for (const size_t bytes : {10u, 30u, 20u}) list.Append(blocks.Make(bytes));
  ExpectIs(list.chain(), {10, 30, 20});
  EXPECT_EQ(list.count(), 3u);
  EXPECT_EQ(list.bytes(), 60u);
  EXPECT_EQ(list.chain().last->next, nullptr);
}

TEST(BlockListTest, CutsBehindAnyPosition) {
  const std::vector<size_t> sizes = {10, 20, 30, 40};
  for (size_t keep = 0; keep <= sizes.size(); ++keep) {
    Blocks blocks;
    BlockList list;
    BlockList::Position position;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (i == keep) position = list.end();
      list.Append(blocks.Make(sizes[i]));
    }
    if (keep == sizes.size()) position = list.end();
    const auto middle = sizes.begin() + static_cast<ptrdiff_t>(keep);
    ExpectIs(list.CutBehind(position), {middle, sizes.end()});
    ExpectIs(list.chain(), {sizes.begin(), middle});
    list.Append(blocks.Make(50));
    EXPECT_EQ(list.count(), keep + 1);
    EXPECT_EQ(list.chain().last->next, nullptr);
  }
}

TEST(BlockListTest, SplicesEverythingAndLeavesTheOtherEmpty) {
  Blocks blocks;
  BlockList a;
  BlockList b;
  a.Splice(b);
  EXPECT_TRUE(a.empty());
  b.Append(blocks.Make(1));
  b.Append(blocks.Make(2));
  a.Splice(b);
  ExpectIs(a.chain(), {1, 2});
  EXPECT_TRUE(b.empty());
  b.Append(blocks.Make(3));
  a.Splice(b);
  a.Splice(b);
  ExpectIs(a.chain(), {1, 2, 3});
}

TEST(BlockListTest, IgnoresWhatAChainsLastBlockPointsTo) {
  Blocks blocks;
  BlockLink* const block = blocks.Make(8);
  block->next = blocks.Make(9);
  BlockList list;
  list.Append(BlockChain{block, block, 1, 8});
  ExpectIs(list.chain(), {8});
  EXPECT_EQ(block->next, nullptr);
}

TEST(BlockListTest, CountsTheNewSizeOfItsLastBlock) {
  Blocks blocks;
  BlockList list;
  list.Append(blocks.Make(10));
  list.Append(blocks.Make(20));
  list.ResizeLast(25);
  ExpectIs(list.chain(), {10, 25});
  list.ResizeLast(1);
  ExpectIs(list.chain(), {10, 1});
}

TEST(BlockListTest, AgreesWithAVectorInRandomUse) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  Blocks blocks;
  BlockList list;
  std::vector<size_t> model;
  std::vector<BlockList::Position> positions;
  for (int step = 0; step < 5000; ++step) {
    const uint64_t choice = random() % 10;
    if (choice < 6) {
      const size_t bytes = random() % 1000;
      list.Append(blocks.Make(bytes));
      model.push_back(bytes);
    } else if (choice < 8) {
      positions.push_back(list.end());
    } else if (choice == 8 && !positions.empty()) {
      const size_t at = random() % positions.size();
      const BlockList::Position position = positions[at];
      positions.resize(at);
      const BlockChain cut = list.CutBehind(position);
      const auto middle = model.begin() + static_cast<ptrdiff_t>(position.count);
      ASSERT_NO_FATAL_FAILURE(ExpectIs(cut, {middle, model.end()}));
      model.resize(position.count);
    } else if (random() % 20 == 0) {
      ASSERT_NO_FATAL_FAILURE(ExpectIs(list.TakeAll(), model));
      model.clear();
      positions.clear();
    }
    if (step % 16 == 0) {
      ASSERT_NO_FATAL_FAILURE(ExpectIs(list.chain(), model));
    }
  }
}

}  // namespace
}  // namespace granary
