// What Twingate's memory manager does, and its sibling twingate_alloc, case by case; and what their
// lists of limitations say that they do not.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/shared_compacting_heap.h"
#include "memory/region/testing/heap_bytes.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

// A manager of `units`, whose blocks may be made of any of them.
class Manager {
 public:
  explicit Manager(size_t units)
      : buffer_(units, '.'),
        heap_(CompactingHeap::CreateOver(std::as_writable_bytes(std::span(buffer_)),
                                         {.grain = 1, .max_blocks = 4096})
                  .value()) {}

  CompactingHeap& heap() { return *heap_; }
  const std::string& buffer() const { return buffer_; }

  BlockHandle Make(uint64_t units) {
    return heap_->Allocate(units, Placement::kContiguousFirst).value();
  }
  BlockHandle Make(std::string_view text) {
    const BlockHandle block = Make(text.size());
    Succeeds(heap_->Assign(block, BytesOf(text)));
    return block;
  }
  bool Refuses(uint64_t units) {
    const auto block = heap_->Allocate(units, Placement::kContiguousFirst);
    return !block && block.error().code == ErrorCode::kOutOfMemory;
  }
  void Free(BlockHandle block) { Succeeds(heap_->Free(block)); }
  std::string Text(BlockHandle block) { return TextOf(*heap_, block); }
  uint64_t free_units() const { return heap_->Stats().free_bytes; }

 private:
  std::string buffer_;
  std::unique_ptr<CompactingHeap> heap_;
};

// --- Twingate -----------------------------------------------------------------------------------

TEST(TwingateManagerTest, ABlockOfAllUnitsIsWrittenAndRead) {
  Manager manager(10);
  const BlockHandle block = manager.Make("ABCDEFGHIJ");
  EXPECT_EQ(manager.Text(block), "ABCDEFGHIJ");
  EXPECT_EQ(manager.free_units(), 0u);
}

TEST(TwingateManagerTest, FreedUnitsCanBeHadAgainAndAFreedBlockNotWritten) {
  Manager manager(5);
  const BlockHandle first = manager.Make(2);
  const BlockHandle second = manager.Make(2);
  EXPECT_EQ(manager.free_units(), 1u);
  manager.Free(first);
  manager.Free(second);
  EXPECT_EQ(manager.free_units(), 5u);
  manager.Make(3);
  EXPECT_EQ(manager.free_units(), 2u);
  const auto written = manager.heap().Write(first, 0, BytesOf("A"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kInvalidArgument);
}

TEST(TwingateManagerTest, MoreThanIsFreeIsRefusedAndAllUnitsAreUsed) {
  Manager manager(3);
  const BlockHandle block = manager.Make(2);
  EXPECT_TRUE(manager.Refuses(2));
  manager.Free(block);
  manager.Make(3);
  EXPECT_TRUE(manager.Refuses(1));
}

TEST(TwingateManagerTest, ScatteredUnitsAreUsable) {
  Manager manager(3);
  const BlockHandle a = manager.Make("a");
  const BlockHandle b = manager.Make("b");
  const BlockHandle c = manager.Make("c");
  manager.Free(a);
  manager.Free(c);
  const BlockHandle scattered = manager.Make("XY");
  EXPECT_EQ(manager.heap().PiecesOf(scattered).value(), 2u);
  EXPECT_EQ(manager.Text(scattered), "XY");
  EXPECT_EQ(manager.Text(b), "b");
  EXPECT_TRUE(manager.Refuses(1));
}

TEST(TwingateManagerTest, DefragmentingKeepsIdsAndBytes) {
  Manager manager(6);
  const BlockHandle ab = manager.Make("AB");
  const BlockHandle cd = manager.Make("CD");
  const BlockHandle ef = manager.Make("EF");
  manager.Free(ab);
  manager.Free(ef);
  EXPECT_EQ(manager.free_units(), 4u);
  EXPECT_EQ(manager.heap().Defragment().stop, DefragStop::kGoalReached);
  EXPECT_EQ(manager.free_units(), 4u);
  EXPECT_EQ(manager.heap().Stats().end_bytes, 2u);
  EXPECT_EQ(manager.Text(cd), "CD");
  EXPECT_TRUE(manager.heap().IsLive(cd));
}

TEST(TwingateManagerTest, SizesOfZeroAreRefused) {
  const auto heap = CompactingHeap::Create({.limit_bytes = 0});
  ASSERT_FALSE(heap);
  EXPECT_EQ(heap.error().code, ErrorCode::kInvalidArgument);
  Manager manager(1);
  const auto block = manager.heap().Allocate(0, Placement::kContiguousFirst);
  ASSERT_FALSE(block);
  EXPECT_EQ(block.error().code, ErrorCode::kInvalidArgument);
}

TEST(TwingateManagerTest, LongerDataAreRefusedAndShorterOnesClearTheRest) {
  Manager manager(8);
  const BlockHandle block = manager.Make("ABCDE");
  const auto longer = manager.heap().Assign(block, BytesOf("123456"));
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(manager.Text(block), "ABCDE");
  Succeeds(manager.heap().Assign(block, BytesOf("xy")));
  EXPECT_EQ(manager.Text(block), std::string("xy\0\0\0", 5));
}

// Upstream's bug: blocks and ids were the class's, so all managers had the same.
TEST(TwingateManagerTest, ManagersShareNothing) {
  Manager first(4);
  Manager second(4);
  const BlockHandle in_first = first.Make("abcd");
  EXPECT_EQ(second.free_units(), 4u);
  EXPECT_FALSE(second.heap().IsLive(in_first));
  const BlockHandle in_second = second.Make("wxyz");
  EXPECT_EQ(first.Text(in_first), "abcd");
  EXPECT_EQ(second.Text(in_second), "wxyz");
}

// Upstream's bug: uuid4() was called once, so all blocks had the same id.
TEST(TwingateManagerTest, NoTwoBlocksHaveTheSameId) {
  Manager manager(100);
  std::set<uint64_t> ids;
  for (int round = 0; round < 10; ++round) {
    std::vector<BlockHandle> blocks;
    for (int i = 0; i < 100; ++i) blocks.push_back(manager.Make(1));
    for (const BlockHandle block : blocks) {
      EXPECT_TRUE(ids.insert(uint64_t{block.index} << 32 | block.generation).second);
      manager.Free(block);
    }
  }
}

// A manager of n units serves n units, however they lie.
TEST(TwingateManagerTest, ServesAllUnitsHoweverFragmented) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    const size_t units = 1 + random() % 300;
    Manager manager(units);
    std::vector<std::pair<BlockHandle, std::string>> blocks;
    for (int i = 0; i < 200; ++i) {
      if (random() % 2 == 0 && manager.free_units() > 0) {
        const size_t size = 1 + random() % manager.free_units();
        std::string text(size, static_cast<char>('a' + random() % 26));
        text[random() % size] = '!';
        blocks.emplace_back(manager.Make(text), text);
      } else if (!blocks.empty()) {
        std::swap(blocks[random() % blocks.size()], blocks.back());
        manager.Free(blocks.back().first);
        blocks.pop_back();
      }
      for (const auto& [block, text] : blocks) ASSERT_EQ(manager.Text(block), text);
    }
    // Exactly as much as is free, and nothing more.
    const uint64_t rest = manager.free_units();
    EXPECT_TRUE(manager.Refuses(rest + 1));
    if (rest > 0) manager.Make(rest);
    EXPECT_TRUE(manager.Refuses(1));
    const auto valid = manager.heap().Validate();
    EXPECT_TRUE(valid) << valid.error().message;
  }
}

// --- The sibling --------------------------------------------------------------------------------

std::vector<BlockHandle> TenUnits(CompactingHeap& heap) {
  std::vector<BlockHandle> blocks;
  for (int i = 0; i < 10; ++i) {
    blocks.push_back(heap.Allocate(1).value());
    Succeeds(heap.Write(blocks.back(), 0, BytesOf("a")));
  }
  for (size_t i = 1; i < 10; i += 2) {
    Succeeds(heap.Fill(blocks[i], 0, 1, std::byte{'.'}));
    Succeeds(heap.Free(blocks[i]));
  }
  return blocks;
}

TEST(TwingateSiblingTest, HolesOfOneUnitHoldNoContiguousBlockOfTwo) {
  Manager manager(10);
  TenUnits(manager.heap());
  EXPECT_EQ(manager.buffer(), "a.a.a.a.a.");
  EXPECT_FALSE(manager.heap().Allocate(2, Placement::kContiguous));
}

TEST(TwingateSiblingTest, DefragmentsTheCallersBufferInPlace) {
  Manager manager(10);
  const auto blocks = TenUnits(manager.heap());
  EXPECT_EQ(manager.heap().Defragment().stop, DefragStop::kGoalReached);
  EXPECT_EQ(manager.buffer().substr(0, 5), "aaaaa");
  const BlockHandle value = manager.heap().Allocate(5).value();
  Succeeds(manager.heap().Write(value, 0, BytesOf("value")));
  EXPECT_EQ(manager.buffer(), "aaaaavalue");
  Succeeds(manager.heap().ForEachPiece(value, [](Range range) {
    EXPECT_EQ(range, (Range{5, 5}));
  }));
  for (size_t i = 0; i < 10; i += 2) EXPECT_EQ(manager.Text(blocks[i]), "a");
}

TEST(TwingateSiblingTest, ADoubleFreeIsRefused) {
  Manager manager(10);
  const BlockHandle block = manager.Make(5);
  manager.Free(block);
  const auto again = manager.heap().Free(block);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kInvalidArgument);
}

TEST(TwingateSiblingTest, AFullBufferHasNoRoomAndFreedMemoryHas) {
  Manager manager(10);
  const BlockHandle block = manager.heap().Allocate(5).value();
  EXPECT_FALSE(manager.heap().Allocate(10));
  manager.Free(block);
  EXPECT_TRUE(manager.heap().Allocate(10));
  EXPECT_FALSE(manager.heap().Allocate(1));
}

// --- Limitations that are lifted ----------------------------------------------------------------

// "Not thread-safe."
TEST(TwingateLimitationTest, ThreadsMayShareAManager) {
  const auto heap =
      SharedCompactingHeap::Create({.limit_bytes = 1 << 16, .grain = 1, .max_blocks = 1 << 12})
          .value();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&heap, t] {
      const std::string text(10, static_cast<char>('a' + t));
      for (int i = 0; i < 500; ++i) {
        const auto block = heap->Allocate(10, Placement::kContiguousFirst);
        ASSERT_TRUE(block);
        Succeeds(heap->Write(*block, 0, BytesOf(text)));
        (void)heap->Defragment(MoveBudget::Step(4096));
        ASSERT_EQ(TextOf(*heap, *block), text);
        Succeeds(heap->Free(*block));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(heap->Stats().used_bytes, 0u);
}

// "Only characters."
TEST(TwingateLimitationTest, BlocksHoldAnyType) {
  const auto heap = CompactingHeap::Create({.limit_bytes = 1 << 16}).value();
  const auto gap = heap->Allocate(1000).value();
  const auto number = heap->Allocate<double>(2.5).value();
  // Short strings point into themselves.
  const auto text = heap->Allocate<std::string>("short").value();
  Succeeds(heap->Free(gap));
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
  EXPECT_EQ(*heap->Pin(number).value(), 2.5);
  EXPECT_EQ(*heap->Pin(text).value(), "short");
}

// "Defragmentation only when asked for."
TEST(TwingateLimitationTest, DefragmentsByItself) {
  const auto heap =
      CompactingHeap::Create(
          {.limit_bytes = 1 << 20,
           .grain = 16,
           .automatic = {.enabled = true, .begin_fragmentation = 0.2, .min_end_bytes = 0}})
          .value();
  std::vector<BlockHandle> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back(heap->Allocate(160).value());
  for (size_t i = 0; i < 100; i += 2) Succeeds(heap->Free(blocks[i]));
  EXPECT_LE(heap->Fragmentation(), 0.2);
}

// "Copies everything to a new buffer."
TEST(TwingateLimitationTest, DefragmentsWithoutMemoryBeyondItsOwn) {
  // Full but for a hole that is smaller than every block above.
  Manager manager(10);
  const BlockHandle a = manager.Make("A");
  const BlockHandle b = manager.Make("BCDEF");
  const BlockHandle c = manager.Make("GHIJ");
  manager.Free(a);
  EXPECT_EQ(manager.heap().Defragment().stop, DefragStop::kGoalReached);
  EXPECT_EQ(manager.heap().Stats().end_bytes, 9u);
  EXPECT_EQ(manager.Text(b), "BCDEF");
  EXPECT_EQ(manager.Text(c), "GHIJ");
}

// "Takes units as they come."
TEST(TwingateLimitationTest, TakesContiguousSpaceFirst) {
  Manager manager(20);
  const BlockHandle a = manager.Make(2);
  manager.Make(2);
  manager.Free(a);
  const BlockHandle block = manager.Make(4);
  EXPECT_EQ(manager.heap().PiecesOf(block).value(), 1u);
}

// "The free list is a stack, in the order of frees."
TEST(TwingateLimitationTest, FreeUnitsAreSorted) {
  for (const std::array<size_t, 3> order : {std::array<size_t, 3>{0, 1, 2}, {2, 0, 1}, {1, 2, 0}}) {
    Manager manager(6);
    std::vector<BlockHandle> blocks;
    for (int i = 0; i < 6; ++i) blocks.push_back(manager.Make(1));
    for (const size_t i : order) manager.Free(blocks[2 * i]);
    // The lowest that fits, whatever was freed last.
    const BlockHandle block = manager.Make(1);
    Succeeds(manager.heap().ForEachPiece(block, [](Range range) { EXPECT_EQ(range.offset, 0u); }));
  }
}

}  // namespace
}  // namespace granary
