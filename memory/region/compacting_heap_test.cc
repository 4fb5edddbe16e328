#include "memory/region/compacting_heap.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"
#include "memory/region/testing/heap_bytes.h"
#include "memory/sanitizer.h"

namespace granary {
namespace {

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;

using Heap = std::unique_ptr<CompactingHeap>;

Heap Make(HeapOptions options) {
  if (options.limit_bytes == 0) options.limit_bytes = 16 * kMiB;
  return CompactingHeap::Create(options).value();
}

BlockHandle Block(const Heap& heap, uint64_t bytes, uint64_t tag) {
  const BlockHandle block = heap->Allocate(bytes).value();
  WritePattern(*heap, block, tag);
  return block;
}

void ExpectValid(const Heap& heap) {
  const auto valid = heap->Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

uint64_t OffsetOf(const Heap& heap, BlockHandle block) {
  uint64_t offset = UINT64_MAX;
  Succeeds(
      heap->ForEachPiece(block, [&](Range range) { offset = std::min(offset, range.offset); }));
  return offset;
}

// `count` blocks of `bytes`, of which each second is freed again.
std::vector<BlockHandle> Comb(const Heap& heap, size_t count, uint64_t bytes) {
  std::vector<BlockHandle> all;
  for (size_t i = 0; i < count; ++i) all.push_back(Block(heap, bytes, i));
  std::vector<BlockHandle> kept;
  for (size_t i = 0; i < count; ++i) {
    if (i % 2 == 0) {
      Succeeds(heap->Free(all[i]));
    } else {
      kept.push_back(all[i]);
    }
  }
  return kept;
}

void ExpectComb(const Heap& heap, const std::vector<BlockHandle>& kept) {
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(HasPattern(*heap, kept[i], 2 * i + 1));
}

// --- Handles ------------------------------------------------------------------------------------

TEST(CompactingHeapTest, RefusesStaleHandlesEverywhere) {
  const Heap heap = Make({});
  const BlockHandle stale = heap->Allocate(100).value();
  Succeeds(heap->Free(stale));
  const BlockHandle fresh = heap->Allocate(100).value();
  EXPECT_EQ(stale.index, fresh.index);
  std::byte byte{};
  for (const BlockHandle bad : {stale, BlockHandle{}, BlockHandle{fresh.index, 0},
                                BlockHandle{1000, 1}, BlockHandle{UINT32_MAX, UINT32_MAX}}) {
    EXPECT_FALSE(heap->IsLive(bad));
    EXPECT_FALSE(heap->Free(bad));
    EXPECT_FALSE(heap->SizeOf(bad));
    EXPECT_FALSE(heap->PiecesOf(bad));
    EXPECT_FALSE(heap->Pin(bad));
    EXPECT_FALSE(heap->Gather(bad));
    EXPECT_FALSE(heap->Read(bad, 0, {&byte, 1}));
    EXPECT_FALSE(heap->Write(bad, 0, {&byte, 1}));
    EXPECT_FALSE(heap->Fill(bad, 0, 1, byte));
    EXPECT_FALSE(heap->Assign(bad, {}));
    EXPECT_FALSE(heap->ForEachPiece(bad, [](Range) {}));
  }
  EXPECT_TRUE(heap->IsLive(fresh));
}

TEST(CompactingHeapTest, RetiresASlotWhoseGenerationsAreUsedUp) {
  const Heap heap = Make({.max_blocks = 2, .first_generation = UINT32_MAX - 1});
  const BlockHandle first = heap->Allocate(16).value();
  EXPECT_EQ(first.generation, UINT32_MAX - 1);
  Succeeds(heap->Free(first));
  const BlockHandle last = heap->Allocate(16).value();
  EXPECT_EQ(last.index, first.index);
  EXPECT_EQ(last.generation, UINT32_MAX);
  Succeeds(heap->Free(last));
  EXPECT_EQ(heap->Stats().retired_slots, 1u);
  // The other slot; the first never again.
  for (int i = 0; i < 2; ++i) {
    const BlockHandle other = heap->Allocate(16).value();
    EXPECT_NE(other.index, first.index);
    EXPECT_FALSE(heap->IsLive(first));
    EXPECT_FALSE(heap->IsLive(last));
    EXPECT_FALSE(heap->IsLive({first.index, 0}));
    Succeeds(heap->Free(other));
  }
  const auto refused = heap->Allocate(16);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
}

TEST(CompactingHeapTest, AHandleOfABlockThatBecameAPieceIsStale) {
  const Heap heap = Make({.limit_bytes = 64, .grain = 16});
  const BlockHandle a = heap->Allocate(16).value();
  const BlockHandle b = heap->Allocate(16).value();
  const BlockHandle c = heap->Allocate(16).value();
  const BlockHandle d = heap->Allocate(16).value();
  Succeeds(heap->Free(a));
  Succeeds(heap->Free(c));
  const BlockHandle scattered = heap->Allocate(32, Placement::kContiguousFirst).value();
  EXPECT_EQ(heap->PiecesOf(scattered).value(), 2u);
  for (const BlockHandle stale : {a, c}) {
    EXPECT_FALSE(heap->IsLive(stale));
    EXPECT_FALSE(heap->IsLive({stale.index, stale.generation + 1}) &&
                 stale.index != scattered.index);
  }
  EXPECT_TRUE(heap->IsLive(b));
  EXPECT_TRUE(heap->IsLive(d));
  ExpectValid(heap);
}

// --- Space --------------------------------------------------------------------------------------

TEST(CompactingHeapTest, RefusesWhatMakesNoSense) {
  const HeapOptions good = {.limit_bytes = kMiB};
  for (const auto& spoil : std::vector<std::function<void(HeapOptions&)>>{
           [](HeapOptions& o) { o.limit_bytes = 0; }, [](HeapOptions& o) { o.limit_bytes = 15; },
           [](HeapOptions& o) { o.limit_bytes = UINT64_MAX; }, [](HeapOptions& o) { o.grain = 0; },
           [](HeapOptions& o) { o.grain = 24; }, [](HeapOptions& o) { o.max_blocks = 0; },
           [](HeapOptions& o) { o.max_blocks = uint64_t{1} << 32; },
           [](HeapOptions& o) { o.chunk_bytes = 0; }, [](HeapOptions& o) { o.chunk_bytes = 1000; },
           [](HeapOptions& o) { o.first_generation = 0; },
           [](HeapOptions& o) { o.automatic = {.enabled = true, .begin_fragmentation = 0.05}; },
           [](HeapOptions& o) { o.automatic = {.enabled = true, .step_bytes = 0}; }}) {
    HeapOptions options = good;
    spoil(options);
    const auto heap = CompactingHeap::Create(options);
    ASSERT_FALSE(heap);
    EXPECT_EQ(heap.error().code, ErrorCode::kInvalidArgument) << heap.error().message;
  }
  alignas(64) std::byte memory[256];
  EXPECT_FALSE(CompactingHeap::CreateOver(std::span(memory).subspan(8)));
  EXPECT_FALSE(CompactingHeap::CreateOver({}));

  const Heap heap = Make(good);
  for (const uint64_t alignment : {uint64_t{0}, uint64_t{3}, uint64_t{8192}}) {
    EXPECT_FALSE(heap->Allocate(1, Placement::kContiguous, alignment));
  }
  for (const uint64_t bytes : {kMiB + 1, UINT64_MAX}) {
    const auto refused = heap->Allocate(bytes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  }
  EXPECT_EQ(heap->Stats().used_bytes, 0u);
}

TEST(CompactingHeapTest, BytesOutsideABlockAreRefused) {
  const Heap heap = Make({});
  const BlockHandle block = Block(heap, 100, 1);
  std::byte bytes[101] = {};
  EXPECT_FALSE(heap->Write(block, 0, bytes));
  EXPECT_FALSE(heap->Write(block, 100, {bytes, 1}));
  EXPECT_FALSE(heap->Read(block, UINT64_MAX, {bytes, 2}));
  EXPECT_FALSE(heap->Fill(block, 1, UINT64_MAX, {}));
  EXPECT_TRUE(heap->Write(block, 100, {}));
  EXPECT_TRUE(HasPattern(*heap, block, 1));
}

TEST(CompactingHeapTest, AlignsBlocksAndKeepsThemAlignedWhenTheyMove) {
  const Heap heap = Make({.grain = 16});
  std::vector<std::pair<BlockHandle, uint64_t>> blocks;
  std::vector<BlockHandle> gaps;
  for (uint64_t i = 0; i < 200; ++i) {
    gaps.push_back(heap->Allocate(16 + i % 7 * 16).value());
    const uint64_t alignment = uint64_t{1} << (i % 13);
    blocks.emplace_back(heap->Allocate(100, Placement::kContiguous, alignment).value(), alignment);
    WritePattern(*heap, blocks.back().first, i);
  }
  for (const BlockHandle gap : gaps) Succeeds(heap->Free(gap));
  EXPECT_NE(heap->Defragment().moved_blocks(), 0u);
  for (uint64_t i = 0; i < blocks.size(); ++i) {
    const auto pin = heap->Pin(blocks[i].first).value();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pin.bytes().data()) % blocks[i].second, 0u);
    EXPECT_TRUE(HasPattern(*heap, blocks[i].first, i));
  }
  ExpectValid(heap);
}

TEST(CompactingHeapTest, TakesMemoryByTheChunkAndGivesItBack) {
  MemoryBudget budget({.name = "test", .hard_limit_bytes = 4 * kMiB});
  {
    const Heap heap = Make({.limit_bytes = 16 * kMiB, .chunk_bytes = kMiB, .budget = &budget});
    EXPECT_EQ(heap->Stats().held_bytes, 0u);
    const BlockHandle small = Block(heap, 100, 1);
    EXPECT_EQ(budget.Stats().taken_bytes, kMiB);
    const BlockHandle large = heap->Allocate(3 * kMiB).value();
    EXPECT_EQ(budget.Stats().taken_bytes, 4 * kMiB);
    const auto refused = heap->Allocate(kMiB);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
    Succeeds(heap->Free(large));
    // One chunk more than it needs.
    EXPECT_EQ(budget.Stats().taken_bytes, 2 * kMiB);
    EXPECT_EQ(heap->Trim(), kMiB);
    EXPECT_EQ(budget.Stats().taken_bytes, kMiB);
    EXPECT_TRUE(HasPattern(*heap, small, 1));
  }
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
}

TEST(CompactingHeapTest, GathersAScatteredBlock) {
  const Heap heap = Make({.limit_bytes = 10 * 64, .grain = 64});
  std::vector<BlockHandle> blocks;
  for (uint64_t i = 0; i < 10; ++i) blocks.push_back(Block(heap, 64, i));
  for (size_t i = 0; i < 10; i += 2) Succeeds(heap->Free(blocks[i]));
  const BlockHandle scattered = heap->Allocate(180, Placement::kContiguousFirst).value();
  WritePattern(*heap, scattered, 100);
  EXPECT_EQ(heap->PiecesOf(scattered).value(), 3u);
  EXPECT_TRUE(heap->Pin(scattered).value().bytes().empty());
  const auto no_room = heap->Gather(scattered);
  ASSERT_FALSE(no_room);
  EXPECT_EQ(no_room.error().code, ErrorCode::kOutOfMemory);
  for (const size_t i : {5u, 7u}) Succeeds(heap->Free(blocks[i]));
  {
    const auto pin = heap->Pin(scattered).value();
    EXPECT_EQ(heap->Gather(scattered).error().code, ErrorCode::kBusy);
  }
  Succeeds(heap->Gather(scattered));
  EXPECT_EQ(heap->PiecesOf(scattered).value(), 1u);
  EXPECT_TRUE(HasPattern(*heap, scattered, 100));
  EXPECT_EQ(heap->Stats().scattered_blocks, 0u);
  ExpectValid(heap);
}

// --- Pins ---------------------------------------------------------------------------------------

TEST(CompactingHeapTest, APinnedBlockNeitherMovesNorDies) {
  const Heap heap = Make({});
  const auto kept = Comb(heap, 100, 256);
  std::vector<std::pair<HeapPin, const std::byte*>> pins;
  for (size_t i = 0; i < kept.size(); i += 7) {
    auto pin = heap->Pin(kept[i]).value();
    const std::byte* const at = pin.bytes().data();
    pins.emplace_back(std::move(pin), at);
    EXPECT_EQ(heap->Free(kept[i]).error().code, ErrorCode::kBusy);
  }
  (void)heap->Defragment();
  for (const auto& [pin, at] : pins) EXPECT_EQ(pin.bytes().data(), at);
  ExpectComb(heap, kept);
  ExpectValid(heap);
  pins.clear();
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
  EXPECT_EQ(heap->Fragmentation(), 0);
  ExpectComb(heap, kept);
  ExpectValid(heap);
}

TEST(CompactingHeapTest, WhatIsAboveAPinGoesBelowIt) {
  const Heap heap = Make({});
  const BlockHandle hole = heap->Allocate(256).value();
  const BlockHandle pinned = Block(heap, 64, 1);
  const BlockHandle above = Block(heap, 256, 2);
  const auto pin = heap->Pin(pinned).value();
  Succeeds(heap->Free(hole));
  EXPECT_EQ(heap->Defragment().evacuated_blocks, 1u);
  EXPECT_LT(OffsetOf(heap, above), OffsetOf(heap, pinned));
  EXPECT_TRUE(HasPattern(*heap, above, 2));
}

TEST(CompactingHeapTest, ABlockIsFreeToMoveWhenItsLastPinEnds) {
  const Heap heap = Make({});
  const BlockHandle hole = heap->Allocate(64).value();
  const BlockHandle block = Block(heap, 64, 1);
  auto first = heap->Pin(block).value();
  auto second = heap->Pin(block).value();
  Succeeds(heap->Free(hole));
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kNoProgress);
  first.Release();
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kNoProgress);
  second = HeapPin();
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
  EXPECT_EQ(OffsetOf(heap, block), 0u);
}

TEST(CompactingHeapDeathTest, EndingWithAPinIsMisuse) {
  EXPECT_DEATH(
      {
        Heap heap = Make({.name = "pinned"});
        const auto pin = heap->Pin(heap->Allocate(1).value()).value();
        heap.reset();
      },
      "heap 'pinned' ends while 1 pins are there");
}

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

// --- Memory checkers ----------------------------------------------------------------------------

TEST(CompactingHeapDeathTest, AddressSanitizerSeesWhatIsUsedAfterAMove) {
  if (!kAddressSanitizer) GTEST_SKIP() << "needs AddressSanitizer";
  const Heap heap = Make({});
  const BlockHandle hole = heap->Allocate(64).value();
  const BlockHandle block = Block(heap, 64, 1);
  volatile std::byte* const old = heap->Pin(block).value().bytes().data();
  Succeeds(heap->Free(hole));
  (void)heap->Defragment();
  EXPECT_DEATH((void)*old, "use-after-poison");
}

}  // namespace
}  // namespace granary
