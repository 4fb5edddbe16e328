// What a CompactingHeap gives back to the system, and when.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/testing/heap_bytes.h"
#include "memory/sanitizer.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

constexpr uint64_t kBlocks = kCheckedBuild ? 100'000 : 400'000;
constexpr uint64_t kChunk = 256 << 10;
constexpr uint64_t kStep = 64 << 10;
// What a step may give back beyond what it has not moved.
constexpr uint64_t kInAnyCase = 16 << 10;

std::vector<BlockHandle> Fill(CompactingHeap& heap, uint64_t count, uint64_t bytes) {
  std::vector<BlockHandle> blocks;
  for (uint64_t i = 0; i < count; ++i) blocks.push_back(heap.Allocate(bytes).value());
  return blocks;
}

// The last hundredth is left.
std::vector<BlockHandle> FreeMost(CompactingHeap& heap, std::vector<BlockHandle>& blocks) {
  const auto left = blocks.end() - static_cast<ptrdiff_t>(blocks.size() / 100);
  std::vector<BlockHandle> freed(blocks.begin(), left);
  blocks.erase(blocks.begin(), left);
  for (const BlockHandle block : freed) Succeeds(heap.Free(block));
  return freed;
}

void ExpectValid(CompactingHeap& heap) {
  const auto valid = heap.Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

TEST(CompactingHeapMemoryTest, RecordsOfBlocksThatAreGoneHaveNoMemory) {
  const auto heap = CompactingHeap::Create({.limit_bytes = kBlocks * 16}).value();
  EXPECT_EQ(heap->Stats().held_bytes, 0u);
  auto blocks = Fill(*heap, kBlocks, 16);
  const HeapStats before = heap->Stats();
  EXPECT_GE(before.record_bytes, kBlocks * 64);
  EXPECT_GE(before.held_bytes, before.record_bytes + kBlocks * 16);
  const auto stale = FreeMost(*heap, blocks);
  const uint64_t held = heap->Stats().held_bytes;
  const uint64_t given = heap->Trim();
  EXPECT_EQ(heap->Stats().held_bytes, held - given);
  // With what is known of pages that were there.
  EXPECT_LT(heap->Stats().record_bytes, before.record_bytes / 100 * 3 / 2 + 8192);
  ExpectValid(*heap);
  // They come back, and what they were does not.
  const auto later = Fill(*heap, kBlocks / 2, 16);
  for (const BlockHandle block : stale) ASSERT_FALSE(heap->IsLive(block));
  for (const BlockHandle block : blocks) ASSERT_TRUE(heap->IsLive(block));
  for (const BlockHandle block : later) ASSERT_TRUE(heap->IsLive(block));
  ExpectValid(*heap);
}

TEST(CompactingHeapMemoryTest, ADefragmentationGivesRecordsBackToo) {
  const auto heap = CompactingHeap::Create({.limit_bytes = kBlocks * 16}).value();
  auto blocks = Fill(*heap, kBlocks, 16);
  const uint64_t before = heap->Stats().held_bytes;
  (void)FreeMost(*heap, blocks);
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
  EXPECT_LT(heap->Stats().held_bytes, before / 100 + 3 * kChunk);
  EXPECT_EQ(heap->Fragmentation(), 0);
  ExpectValid(*heap);
}

TEST(CompactingHeapMemoryTest, HandlesStayStaleOverManyCycles) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (const uint32_t first_generation : {1u, UINT32_MAX - 8}) {
    const auto heap =
        CompactingHeap::Create(
            {.limit_bytes = 1 << 20, .max_blocks = 3000, .first_generation = first_generation})
            .value();
    std::vector<BlockHandle> blocks;
    std::vector<BlockHandle> stale;
    uint64_t refused = 0;
    for (int cycle = 0; cycle < 60; ++cycle) {
      for (uint64_t i = random() % 1500; i > 0; --i) {
        const auto block = heap->Allocate(16);
        if (block) blocks.push_back(*block);
        refused += !block;
      }
      const size_t kept = blocks.size() * (random() % 4) / 8;
      for (size_t i = kept; i < blocks.size(); ++i) {
        Succeeds(heap->Free(blocks[i]));
        stale.push_back(blocks[i]);
      }
      blocks.resize(kept);
      (void)heap->Trim();
      for (const BlockHandle block : stale) ASSERT_FALSE(heap->IsLive(block));
      for (const BlockHandle block : blocks) ASSERT_TRUE(heap->IsLive(block));
      ExpectValid(*heap);
    }
    // Those from 1 do not run out, and the others do.
    EXPECT_EQ(refused != 0, first_generation != 1);
    EXPECT_EQ(heap->Stats().retired_slots != 0, first_generation != 1);
  }
}

TEST(CompactingHeapMemoryTest, AStepGivesBackNoMoreThanItHasLeft) {
  MemoryBudget budget({.name = "test"});
  const auto heap =
      CompactingHeap::Create({.limit_bytes = 64 << 20, .chunk_bytes = kChunk, .budget = &budget})
          .value();
  auto blocks = Fill(*heap, (32 << 20) / 4096, 4096);
  for (size_t i = 0; i < blocks.size(); i += 2) Succeeds(heap->Free(blocks[i]));
  uint64_t steps = 0;
  for (;;) {
    const HeapStats before = heap->Stats();
    const DefragReport report = heap->Defragment(MoveBudget::Step(kStep));
    ++steps;
    const uint64_t given = before.held_bytes - heap->Stats().held_bytes;
    const uint64_t spent =
        std::max(report.moved_bytes(), report.moved_blocks() * MoveBudget::kMoveBytes);
    ASSERT_LE(given, kInAnyCase + (kStep - std::min(spent, kStep)) / 2);
    ASSERT_EQ(heap->Stats().held_bytes - heap->Stats().record_bytes, budget.Stats().taken_bytes);
    if (report.stop != DefragStop::kBudget) {
      EXPECT_EQ(report.stop, DefragStop::kGoalReached);
      break;
    }
    ASSERT_LT(steps, 10'000u);
  }
  // It has not ended before all had gone, but for two chunks.
  EXPECT_LE(heap->Stats().held_bytes - heap->Stats().record_bytes,
            heap->Stats().end_bytes + 2 * kChunk);
  EXPECT_EQ(heap->Fragmentation(), 0);
  ExpectValid(*heap);
}

TEST(CompactingHeapMemoryTest, ADeadlineThatHasPassedEndsGivingBackToo) {
  const auto heap =
      CompactingHeap::Create({.limit_bytes = 64 << 20, .chunk_bytes = kChunk}).value();
  const auto blocks = Fill(*heap, (16 << 20) / 65536, 65536);
  for (size_t i = 0; i < blocks.size(); i += 2) Succeeds(heap->Free(blocks[i]));
  // All is moved, and most of the memory is there still.
  while (heap->Fragmentation() > 0) (void)heap->Defragment(MoveBudget::Step(kStep));
  const uint64_t held = heap->Stats().held_bytes;
  ASSERT_GT(held, heap->Stats().end_bytes + 8 * kChunk);
  const DefragReport late = heap->Defragment({.deadline = std::chrono::steady_clock::now()});
  EXPECT_EQ(late.stop, DefragStop::kDeadline);
  EXPECT_EQ(heap->Stats().held_bytes, held - (64 << 10));
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
  EXPECT_LT(heap->Stats().held_bytes, heap->Stats().end_bytes + 3 * kChunk);
}

TEST(CompactingHeapMemoryTest, WhatStepsHaveLeftGoesWhenBlocksAreFreed) {
  const auto heap =
      CompactingHeap::Create({.limit_bytes = 64 << 20, .chunk_bytes = kChunk}).value();
  const auto blocks = Fill(*heap, (32 << 20) / 65536, 65536);
  for (size_t i = 0; i < blocks.size(); i += 2) Succeeds(heap->Free(blocks[i]));
  for (uint64_t moved = 0; moved < (6 << 20);) {
    moved += heap->Defragment(MoveBudget::Step(kStep)).moved_bytes();
  }
  const auto surplus = [&] {
    const HeapStats stats = heap->Stats();
    return stats.held_bytes - stats.record_bytes - stats.end_bytes;
  };
  ASSERT_GT(surplus(), 8 * kChunk);
  // A chunk more than it frees, each that lowers the end.
  for (size_t i = blocks.size(); i-- > 0;) {
    if (!heap->IsLive(blocks[i])) continue;
    const HeapStats before = heap->Stats();
    Succeeds(heap->Free(blocks[i]));
    const HeapStats after = heap->Stats();
    ASSERT_LE(before.held_bytes - after.held_bytes, before.end_bytes - after.end_bytes + kChunk);
  }
  EXPECT_LE(surplus(), 2 * kChunk);
}

TEST(CompactingHeapMemoryTest, AHeapThatDefragmentsItselfGivesBackAsItGoes) {
  const auto heap =
      CompactingHeap::Create(
          {.limit_bytes = 64 << 20, .chunk_bytes = kChunk, .automatic = {.enabled = true}})
          .value();
  const auto blocks = Fill(*heap, (32 << 20) / 4096, 4096);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 8 != 0) Succeeds(heap->Free(blocks[i]));
  }
  const HeapStats stats = heap->Stats();
  EXPECT_LE(stats.fragmentation, 0.25);
  EXPECT_LE(stats.held_bytes - stats.record_bytes, stats.end_bytes + 2 * kChunk);
}

TEST(CompactingHeapMemoryTest, MemoryThatTheSystemDoesNotTakeStaysAndIsUsed) {
  FailingCalls calls;
  MemoryBudget budget({.name = "test"});
  {
    const auto heap =
        CompactingHeap::Create({.limit_bytes = 64 << 20, .budget = &budget, .system_calls = &calls})
            .value();
    auto blocks = Fill(*heap, 20'000, 512);
    const auto stale = FreeMost(*heap, blocks);
    for (uint64_t i = 0; i < blocks.size(); ++i) WritePattern(*heap, blocks[i], i);
    calls.RefuseAdvice(MADV_DONTNEED, EINVAL);
    const uint64_t held = heap->Stats().held_bytes;
    // It does not wait for ever for what does not go.
    EXPECT_EQ(heap->Defragment(MoveBudget::Step(4 << 20)).stop, DefragStop::kGoalReached);
    EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
    EXPECT_EQ(heap->Trim(), 0u);
    EXPECT_EQ(heap->Stats().held_bytes, held);
    ExpectValid(*heap);
    const auto later = Fill(*heap, 10'000, 512);
    EXPECT_EQ(heap->Stats().held_bytes, held);
    for (const BlockHandle block : stale) ASSERT_FALSE(heap->IsLive(block));
    for (uint64_t i = 0; i < blocks.size(); ++i) ASSERT_TRUE(HasPattern(*heap, blocks[i], i));
    for (const BlockHandle block : later) Succeeds(heap->Free(block));
    calls.RefuseAdvice(-1, 0);
    EXPECT_GT(heap->Trim(), held / 2);
    ExpectValid(*heap);
  }
  EXPECT_EQ(budget.Stats().taken_bytes, 0u);
  EXPECT_EQ(calls.mapped_bytes(), 0);
}

}  // namespace
}  // namespace granary
