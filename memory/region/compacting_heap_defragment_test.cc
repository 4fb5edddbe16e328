// How a CompactingHeap moves its blocks: by request, by itself, and under whose eyes.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/testing/heap_bytes.h"
#include "memory/region/testing/small_heaps.h"

namespace granary {
namespace {

// --- Defragmentation ----------------------------------------------------------------------------

TEST(CompactingHeapTest, EvacuatesTheHighestIntoTheBestHole) {
  const Heap heap = Make({.grain = 16});
  const BlockHandle large_hole = heap->Allocate(512).value();
  const BlockHandle low = Block(heap, 64, 1);
  const BlockHandle small_hole = heap->Allocate(128).value();
  const BlockHandle middle = Block(heap, 64, 2);
  const BlockHandle top = Block(heap, 128, 3);
  const uint64_t best = OffsetOf(heap, small_hole);
  Succeeds(heap->Free(large_hole));
  Succeeds(heap->Free(small_hole));
  const DefragReport report = heap->Defragment({.moves = 1});
  EXPECT_EQ(report.stop, DefragStop::kBudget);
  EXPECT_EQ(report.evacuated_blocks, 1u);
  EXPECT_EQ(report.evacuated_bytes, 128u);
  EXPECT_EQ(report.reclaimed_bytes, 128u);
  EXPECT_EQ(OffsetOf(heap, top), best);
  for (const auto& [block, tag] : {std::pair(low, 1), {middle, 2}, {top, 3}}) {
    EXPECT_TRUE(HasPattern(*heap, block, static_cast<uint64_t>(tag)));
  }
}

TEST(CompactingHeapTest, SlidesWhenTheHighestFitsNowhere) {
  const Heap heap = Make({.grain = 16});
  const auto kept = Comb(heap, 64, 16);
  const BlockHandle top = Block(heap, 160, 1000);
  const DefragReport report = heap->Defragment();
  EXPECT_EQ(report.stop, DefragStop::kGoalReached);
  EXPECT_GT(report.slid_blocks, 0u);
  EXPECT_EQ(heap->Fragmentation(), 0);
  EXPECT_EQ(report.fragmentation_after, 0);
  EXPECT_GT(report.fragmentation_before, 0.5);
  ExpectComb(heap, kept);
  EXPECT_TRUE(HasPattern(*heap, top, 1000));
}

TEST(CompactingHeapTest, ABlockSlidesOntoItself) {
  const Heap heap = Make({});
  const BlockHandle hole = heap->Allocate(16).value();
  const BlockHandle block = Block(heap, 100'000, 1);
  Succeeds(heap->Free(hole));
  const DefragReport report = heap->Defragment();
  EXPECT_EQ(report.slid_bytes, 100'000u);
  EXPECT_EQ(report.reclaimed_bytes, 16u);
  EXPECT_TRUE(HasPattern(*heap, block, 1));
}

TEST(CompactingHeapTest, BudgetsAreNeverExceededAndEveryCallGoesOnWhereTheLastEnded) {
  const Heap heap = Make({});
  const auto kept = Comb(heap, 2000, 100);
  uint64_t calls = 0;
  for (;; ++calls) {
    ASSERT_LT(calls, 100'000u);
    const DefragReport report = heap->Defragment({.bytes = 250, .moves = 3});
    EXPECT_LE(report.moved_bytes(), 250u);
    EXPECT_LE(report.moved_blocks(), 3u);
    if (report.stop == DefragStop::kGoalReached) break;
    ASSERT_EQ(report.stop, DefragStop::kBudget);
  }
  EXPECT_GT(calls, 100u);
  EXPECT_EQ(heap->Fragmentation(), 0);
  ExpectComb(heap, kept);
  ExpectValid(heap);
}

TEST(CompactingHeapTest, ADeadlineThatHasPassedMovesNothing) {
  const Heap heap = Make({});
  Comb(heap, 100, 100);
  const auto now = std::chrono::steady_clock::now();
  const DefragReport report = heap->Defragment({.deadline = now});
  EXPECT_EQ(report.stop, DefragStop::kDeadline);
  EXPECT_EQ(report.moved_blocks(), 0u);
  EXPECT_EQ(heap->Defragment({.deadline = now + std::chrono::hours(1)}).stop,
            DefragStop::kGoalReached);
}

TEST(CompactingHeapTest, StopsAtItsGoal) {
  const Heap heap = Make({});
  const auto kept = Comb(heap, 1000, 160);
  EXPECT_EQ(heap->Defragment({}, {.max_fragmentation = 0.5}).stop, DefragStop::kGoalReached);
  EXPECT_LE(heap->Fragmentation(), 0.5);
  EXPECT_GT(heap->Fragmentation(), 0.45);
  EXPECT_EQ(heap->Defragment({}, {.target_end_bytes = 100'000}).stop, DefragStop::kGoalReached);
  EXPECT_LE(heap->Stats().end_bytes, 100'000u);
  EXPECT_GT(heap->Stats().end_bytes, 90'000u);
  ExpectComb(heap, kept);
}

TEST(CompactingHeapTest, MakesRoomForABlock) {
  const Heap heap = Make({.limit_bytes = 160'000, .grain = 16});
  const auto kept = Comb(heap, 1000, 160);
  EXPECT_FALSE(heap->Allocate(1600));
  const DefragReport report = heap->Defragment({}, {.room_bytes = 1600});
  EXPECT_EQ(report.stop, DefragStop::kGoalReached);
  EXPECT_LE(report.moved_bytes(), 3200u);
  EXPECT_TRUE(heap->Allocate(1600));
  ExpectComb(heap, kept);
}

TEST(CompactingHeapTest, AnAllocationMakesRoomForItselfIfItMay) {
  const Heap heap = Make({.limit_bytes = 160'000, .grain = 16, .allocation_move_bytes = 64 * kKiB});
  const auto kept = Comb(heap, 1000, 160);
  EXPECT_TRUE(heap->Allocate(1600));
  EXPECT_FALSE(heap->Allocate(100'000));
  ExpectComb(heap, kept);
}

// VulkanMemoryAllocator#156: a defragmentation that went on for ever without progress.
TEST(CompactingHeapTest, EndsWhereThereIsNoProgressAndDoesNotLookAgain) {
  const Heap heap = Make({});
  const auto kept = Comb(heap, 1000, 64);
  std::vector<HeapPin> pins;
  for (const BlockHandle block : kept) pins.push_back(heap->Pin(block).value());
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kNoProgress);
  // Nothing has changed: the smallest budget suffices to say so.
  const DefragReport again = heap->Defragment({.bytes = 1, .moves = 1});
  EXPECT_EQ(again.stop, DefragStop::kNoProgress);
  EXPECT_EQ(again.moved_blocks(), 0u);
}

TEST(CompactingHeapTest, ABlockLargerThanTheBudgetIsMovedInParts) {
  const Heap heap = Make({});
  const BlockHandle hole = heap->Allocate(100 * kKiB).value();
  const BlockHandle low = Block(heap, 64, 1);
  const BlockHandle large = Block(heap, 100 * kKiB, 2);
  Succeeds(heap->Free(hole));
  uint64_t calls = 0;
  DefragReport report;
  do {
    report = heap->Defragment(MoveBudget::Step(16 * kKiB));
    EXPECT_LE(report.moved_bytes(), 16 * kKiB);
    // What is written meanwhile is not lost, wherever it is.
    if (++calls == 3) {
      Succeeds(heap->Write(large, 20 * kKiB, BytesOf("written where it was copied")));
      Succeeds(heap->Fill(large, 90 * kKiB, 100, std::byte{7}));
      ExpectValid(heap);
    }
  } while (report.stop == DefragStop::kBudget);
  EXPECT_EQ(calls, 7u);
  EXPECT_LT(OffsetOf(heap, large), OffsetOf(heap, low));
  std::vector<std::byte> wanted(100 * kKiB);
  PatternOf(2, wanted);
  const auto text = BytesOf("written where it was copied");
  std::copy(text.begin(), text.end(), wanted.begin() + 20 * kKiB);
  std::fill_n(wanted.begin() + 90 * kKiB, 100, std::byte{7});
  std::vector<std::byte> bytes(100 * kKiB);
  Succeeds(heap->Read(large, 0, bytes));
  EXPECT_EQ(bytes, wanted);
}

TEST(CompactingHeapTest, AMoveInPartsIsGivenUpForAPinAndAFree) {
  for (const bool frees : {false, true}) {
    const Heap heap = Make({});
    const BlockHandle hole = heap->Allocate(100 * kKiB).value();
    Block(heap, 64, 1);
    const BlockHandle large = Block(heap, 100 * kKiB, 2);
    Succeeds(heap->Free(hole));
    const uint64_t used = heap->Stats().used_bytes;
    const uint64_t offset = OffsetOf(heap, large);
    (void)heap->Defragment(MoveBudget::Step(16 * kKiB));
    EXPECT_GT(heap->Stats().used_bytes, used);
    if (frees) {
      Succeeds(heap->Free(large));
      EXPECT_EQ(heap->Stats().used_bytes, 64u);
    } else {
      const auto pin = heap->Pin(large).value();
      EXPECT_EQ(heap->Stats().used_bytes, used);
      EXPECT_EQ(OffsetOf(heap, large), offset);
      EXPECT_TRUE(HasPattern(*heap, large, 2));
    }
    ExpectValid(heap);
  }
}

TEST(CompactingHeapTest, AMoveInPartsGivesItsSpaceUpForAnAllocation) {
  const Heap heap = Make({.limit_bytes = 300 * kKiB});
  const BlockHandle hole = heap->Allocate(100 * kKiB).value();
  Block(heap, 64, 1);
  const BlockHandle large = Block(heap, 100 * kKiB, 2);
  Succeeds(heap->Free(hole));
  (void)heap->Defragment(MoveBudget::Step(16 * kKiB));
  // Most of the end, and then what the move has reserved.
  Block(heap, 90 * kKiB, 3);
  EXPECT_TRUE(heap->Allocate(100 * kKiB));
  EXPECT_TRUE(HasPattern(*heap, large, 2));
  ExpectValid(heap);
}

TEST(CompactingHeapTest, ALargerBudgetMovesWhatASmallerOneHasPassedBy) {
  const Heap heap = Make({});
  std::vector<BlockHandle> gaps;
  std::vector<BlockHandle> blocks;
  for (uint64_t i = 0; i < 200; ++i) {
    gaps.push_back(heap->Allocate(16).value());
    blocks.push_back(Block(heap, i % 2 == 0 ? 1000 : 100, i));
  }
  for (const BlockHandle gap : gaps) Succeeds(heap->Free(gap));
  // Somewhere on its way.
  const DefragReport small = heap->Defragment({.bytes = 500});
  EXPECT_EQ(small.stop, DefragStop::kBudget);
  EXPECT_EQ(small.needed_bytes, 1000u);
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
  for (uint64_t i = 0; i < blocks.size(); ++i) EXPECT_TRUE(HasPattern(*heap, blocks[i], i));
}

TEST(CompactingHeapTest, SaysWhatBudgetABlockThatIsTooLargeNeeds) {
  const Heap heap = Make({});
  const BlockHandle hole = heap->Allocate(64).value();
  // Too large for the hole, so that it has to slide onto itself.
  const BlockHandle block = Block(heap, 100 * kKiB, 1);
  Succeeds(heap->Free(hole));
  const DefragReport small = heap->Defragment(MoveBudget::Step(64 * kKiB));
  EXPECT_EQ(small.stop, DefragStop::kNoProgress);
  EXPECT_EQ(small.needed_bytes, 100 * kKiB);
  EXPECT_EQ(heap->Defragment({.bytes = small.needed_bytes}).stop, DefragStop::kGoalReached);
  EXPECT_TRUE(HasPattern(*heap, block, 1));
}

TEST(CompactingHeapTest, PiecesOfScatteredBlocksMoveToo) {
  const Heap heap = Make({.limit_bytes = 1024, .grain = 16});
  Comb(heap, 64, 16);
  const BlockHandle scattered = heap->Allocate(256, Placement::kContiguousFirst).value();
  WritePattern(*heap, scattered, 1);
  EXPECT_GT(heap->PiecesOf(scattered).value(), 1u);
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
  EXPECT_EQ(heap->Fragmentation(), 0);
  EXPECT_TRUE(HasPattern(*heap, scattered, 1));
  ExpectValid(heap);
}

// --- By itself ----------------------------------------------------------------------------------

TEST(CompactingHeapTest, StepsByItselfBetweenItsThresholds) {
  const Heap heap = Make({.automatic = {.enabled = true,
                                        .begin_fragmentation = 0.5,
                                        .end_fragmentation = 0.2,
                                        .min_end_bytes = 0,
                                        .step_bytes = 32 * kKiB}});
  std::vector<BlockHandle> blocks;
  for (uint64_t i = 0; i < 3000; ++i) blocks.push_back(Block(heap, 160, i));
  bool had_begun = false;
  for (size_t i = 0; i < 3000; i += 2) {
    const double before = heap->Fragmentation();
    Succeeds(heap->Free(blocks[i]));
    had_begun |= before > 0.5;
    EXPECT_LT(heap->Fragmentation(), 0.51);
  }
  EXPECT_TRUE(had_begun || heap->Fragmentation() <= 0.5);
  for (size_t i = 1; i < 3000; i += 2) EXPECT_TRUE(HasPattern(*heap, blocks[i], i));
  ExpectValid(heap);
}

// --- Observers ----------------------------------------------------------------------------------

class Watcher : public MoveObserver {
 public:
  void BeforeMove(const BlockMove& move) noexcept override {
    calls += 'b';
    if (before) before(move);
  }
  void AfterMove(const BlockMove& move) noexcept override {
    calls += 'a';
    last = move;
  }
  void MoveAbandoned(const BlockMove&) noexcept override { calls += 'x'; }

  std::string calls;
  BlockMove last;
  std::function<void(const BlockMove&)> before;
};

TEST(CompactingHeapTest, TellsBeforeAndAfterEachMove) {
  Watcher watcher;
  const Heap heap = Make({.observer = &watcher});
  const BlockHandle hole = heap->Allocate(64).value();
  const BlockHandle block = Block(heap, 50, 1);
  Succeeds(heap->Free(hole));
  watcher.before = [&](const BlockMove& move) {
    EXPECT_EQ(OffsetOf(heap, block), move.from.offset);
  };
  (void)heap->Defragment();
  EXPECT_EQ(watcher.calls, "ba");
  EXPECT_EQ(watcher.last.block, block);
  EXPECT_EQ(watcher.last.from, (Range{64, 50}));
  EXPECT_EQ(watcher.last.to, (Range{0, 50}));
  EXPECT_EQ(OffsetOf(heap, block), 0u);
}

TEST(CompactingHeapTest, AnObserverMayFreePinAllocateAndDefragment) {
  Watcher watcher;
  const Heap heap = Make({.observer = &watcher});
  const auto kept = Comb(heap, 100, 64);
  std::vector<HeapPin> pins;
  uint64_t freed = 0;
  watcher.before = [&](const BlockMove& move) {
    EXPECT_EQ(heap->Defragment().stop, DefragStop::kBusy);
    if (watcher.calls.size() % 3 == 0) {
      Succeeds(heap->Free(move.block));
      ++freed;
    } else if (watcher.calls.size() % 5 == 0) {
      pins.push_back(heap->Pin(move.block).value());
    }
    ExpectValid(heap);
  };
  const DefragReport report = heap->Defragment();
  EXPECT_EQ(report.abandoned_moves, freed + pins.size());
  EXPECT_NE(watcher.calls.find('x'), std::string::npos);
  ExpectValid(heap);
  for (size_t i = 0; i < kept.size(); ++i) {
    if (heap->IsLive(kept[i])) {
      EXPECT_TRUE(HasPattern(*heap, kept[i], 2 * i + 1));
    }
  }
}

}  // namespace
}  // namespace granary
