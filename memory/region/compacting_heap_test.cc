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
#include "memory/region/testing/small_heaps.h"
#include "memory/sanitizer.h"

namespace granary {
namespace {

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
