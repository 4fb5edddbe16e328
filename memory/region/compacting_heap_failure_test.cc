// Every system call of a CompactingHeap fails once, and what it has stays as it was.
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/testing/heap_bytes.h"
#include "memory/testing/failing_calls.h"

namespace granary {
namespace {

constexpr uint64_t kChunk = 64 << 10;

HeapOptions OptionsWith(FailingCalls& calls) {
  return {.limit_bytes = 64 * kChunk,
          .max_blocks = 1000,
          .chunk_bytes = kChunk,
          .system_calls = &calls};
}

TEST(CompactingHeapFailureTest, ARefusedCallAtCreationLeavesNothingMapped) {
  for (size_t nth = 1;; ++nth) {
    FailingCalls calls;
    calls.RefuseCall(nth, ENOMEM);
    const auto heap = CompactingHeap::Create(OptionsWith(calls));
    if (!calls.refused()) {
      EXPECT_TRUE(heap);
      EXPECT_GE(nth, 3u);
      break;
    }
    if (heap) continue;
    EXPECT_EQ(heap.error().code, ErrorCode::kOutOfMemory) << heap.error().message;
    EXPECT_EQ(calls.mapped_bytes(), 0);
  }
}

// One script, with the nth call after creation refused: each step does what it should or says why
// not, and the bytes are there.
TEST(CompactingHeapFailureTest, ARefusedCallInUseChangesNothing) {
  for (size_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    FailingCalls calls;
    MemoryBudget budget({.name = "test"});
    HeapOptions options = OptionsWith(calls);
    options.budget = &budget;
    bool refused = false;
    {
      const auto heap = CompactingHeap::Create(options).value();
      calls.RefuseCall(nth, ENOMEM);
      std::vector<std::pair<BlockHandle, uint64_t>> blocks;
      uint64_t refusals = 0;
      for (uint64_t i = 0; i < 200; ++i) {
        const HeapStats before = heap->Stats();
        const auto block = heap->Allocate(
            1000 + i * 37, i % 2 == 0 ? Placement::kContiguous : Placement::kContiguousFirst);
        if (!block) {
          ++refusals;
          EXPECT_EQ(block.error().code, ErrorCode::kOutOfMemory);
          EXPECT_EQ(heap->Stats().used_bytes, before.used_bytes);
          EXPECT_EQ(heap->Stats().blocks, before.blocks);
          continue;
        }
        WritePattern(*heap, *block, i);
        blocks.emplace_back(*block, i);
        if (i % 3 != 2) continue;
        std::swap(blocks[i * 7 % blocks.size()], blocks.back());
        Succeeds(heap->Free(blocks.back().first));
        blocks.pop_back();
        if (i == 101) {
          // Records on two pages, of which one becomes idle.
          for (; !blocks.empty(); blocks.pop_back()) Succeeds(heap->Free(blocks.back().first));
          (void)heap->Trim();
          const auto valid = heap->Validate();
          EXPECT_TRUE(valid) << valid.error().message;
        }
      }
      EXPECT_LE(refusals, 1u);
      EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
      (void)heap->Trim();
      for (const auto& [block, tag] : blocks) EXPECT_TRUE(HasPattern(*heap, block, tag));
      const auto valid = heap->Validate();
      EXPECT_TRUE(valid) << valid.error().message;
      EXPECT_EQ(heap->Stats().held_bytes - heap->Stats().record_bytes, budget.Stats().taken_bytes);
      refused = calls.refused();
      calls.RefuseCall(0, 0);
    }
    EXPECT_EQ(calls.mapped_bytes(), 0);
    EXPECT_EQ(budget.Stats().taken_bytes, 0u);
    if (!refused) break;
  }
}

TEST(CompactingHeapFailureTest, ABudgetThatRefusesLeavesHolesToScatteredBlocks) {
  MemoryBudget budget({.name = "test", .hard_limit_bytes = kChunk});
  const auto heap =
      CompactingHeap::Create({.limit_bytes = 64 * kChunk, .chunk_bytes = kChunk, .budget = &budget})
          .value();
  std::vector<BlockHandle> blocks;
  for (int i = 0; i < 64; ++i) blocks.push_back(heap->Allocate(1024).value());
  for (size_t i = 0; i < 64; i += 2) Succeeds(heap->Free(blocks[i]));
  EXPECT_FALSE(heap->Allocate(2048));
  const BlockHandle scattered = heap->Allocate(2048, Placement::kContiguousFirst).value();
  WritePattern(*heap, scattered, 1);
  EXPECT_EQ(heap->PiecesOf(scattered).value(), 2u);
  EXPECT_TRUE(HasPattern(*heap, scattered, 1));
  const HeapStats before = heap->Stats();
  EXPECT_FALSE(heap->Allocate(32 * 1024, Placement::kContiguousFirst));
  EXPECT_EQ(heap->Stats().used_bytes, before.used_bytes);
  EXPECT_EQ(heap->Stats().pieces, before.pieces);
}

TEST(CompactingHeapFailureTest, AScatteredBlockTakesTheHolesThatAPlanLeaves) {
  const auto heap =
      CompactingHeap::Create({.limit_bytes = 1024, .grain = 16, .max_blocks = 64}).value();
  std::vector<BlockHandle> blocks;
  for (int i = 0; i < 64; ++i) blocks.push_back(heap->Allocate(16).value());
  EXPECT_FALSE(heap->Allocate(16));
  for (size_t i = 0; i < 64; i += 2) Succeeds(heap->Free(blocks[i]));
  // 32 are used, and the plan takes 4 more: so 28 holes and 28 records are left.
  const auto plan = heap->Plan({.moves = 4});
  EXPECT_EQ(plan.size(), 4u);
  std::vector<BlockHandle> singles;
  for (int i = 0; i < 20; ++i) singles.push_back(heap->Allocate(16).value());
  EXPECT_TRUE(heap->Allocate(8 * 16, Placement::kContiguousFirst));
  EXPECT_EQ(heap->Stats().free_bytes, 0u);
  for (const BlockHandle single : singles) Succeeds(heap->Free(single));
  const auto valid = heap->Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

TEST(CompactingHeapFailureTest, AScatteredBlockThatRunsOutOfRecordsIsRefusedWhole) {
  // The slots of those that are freed are retired.
  const auto heap =
      CompactingHeap::Create(
          {.limit_bytes = 48 * 16, .grain = 16, .max_blocks = 40, .first_generation = UINT32_MAX})
          .value();
  std::vector<BlockHandle> blocks;
  for (uint64_t i = 0; i < 32; ++i) blocks.push_back(heap->Allocate((1 + i % 2) * 16).value());
  for (size_t i = 0; i < 32; i += 2) Succeeds(heap->Free(blocks[i]));
  // 16 holes, and 8 records.
  const HeapStats before = heap->Stats();
  const auto refused = heap->Allocate(9 * 16, Placement::kContiguousFirst);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(heap->Stats().used_bytes, before.used_bytes);
  EXPECT_EQ(heap->Stats().pieces, before.pieces);
  const auto valid = heap->Validate();
  EXPECT_TRUE(valid) << valid.error().message;
  EXPECT_TRUE(heap->Allocate(8 * 16, Placement::kContiguousFirst));
}

}  // namespace
}  // namespace granary
