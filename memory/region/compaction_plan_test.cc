#include "memory/region/compaction_plan.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/testing/heap_bytes.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

// A device of bytes that only its owner copies, and a heap of its offsets.
class Device {
 public:
  explicit Device(uint64_t bytes)
      : bytes_(bytes),
        heap_(CompactingHeap::CreateOverOffsets({.limit_bytes = bytes, .grain = 16}).value()) {}

  CompactingHeap& heap() { return *heap_; }

  BlockHandle Make(uint64_t bytes, uint64_t tag, Placement placement = Placement::kContiguous) {
    const BlockHandle block = heap_->Allocate(bytes, placement).value();
    std::vector<std::byte> pattern(bytes);
    PatternOf(tag, pattern);
    size_t done = 0;
    Succeeds(heap_->ForEachPiece(block, [&](Range range) {
      std::memcpy(&bytes_[range.offset], &pattern[done], range.size);
      done += range.size;
    }));
    return block;
  }
  bool Has(BlockHandle block, uint64_t tag) {
    std::vector<std::byte> pattern(heap_->SizeOf(block).value());
    PatternOf(tag, pattern);
    size_t done = 0;
    bool is_same = true;
    Succeeds(heap_->ForEachPiece(block, [&](Range range) {
      is_same &= std::memcmp(&bytes_[range.offset], &pattern[done], range.size) == 0;
      done += range.size;
    }));
    return is_same;
  }
  void Copy(const BlockMove& move) {
    std::memmove(&bytes_[move.to.offset], &bytes_[move.from.offset], move.from.size);
  }
  void ExpectValid() {
    const auto valid = heap_->Validate();
    EXPECT_TRUE(valid) << valid.error().message;
  }

 private:
  std::vector<std::byte> bytes_;
  std::unique_ptr<CompactingHeap> heap_;
};

// 40 blocks of 64 bytes, of which 20 are left.
std::vector<BlockHandle> Comb(Device& device) {
  std::vector<BlockHandle> blocks;
  for (uint64_t i = 0; i < 40; ++i) blocks.push_back(device.Make(64, i));
  std::vector<BlockHandle> kept;
  for (size_t i = 0; i < 40; ++i) {
    if (i % 2 == 0) {
      Succeeds(device.heap().Free(blocks[i]));
    } else {
      kept.push_back(blocks[i]);
    }
  }
  return kept;
}

TEST(CompactionPlanTest, ADeviceIsDefragmentedByItsOwner) {
  Device device(1 << 20);
  const auto kept = Comb(device);
  EXPECT_EQ(device.heap().Defragment().stop, DefragStop::kUnsupported);
  for (;;) {
    CompactionPlan plan = device.heap().Plan({}, /*onto_itself=*/true);
    if (plan.empty()) break;
    // In any order.
    for (size_t i = plan.size(); i > 0; --i) device.Copy(plan[i - 1]);
    for (size_t i = 0; i < plan.size(); ++i) Succeeds(plan.Commit(i));
    device.ExpectValid();
  }
  EXPECT_EQ(device.heap().Fragmentation(), 0);
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(device.Has(kept[i], 2 * i + 1));
}

TEST(CompactionPlanTest, NothingChangesUntilAMoveIsResolved) {
  Device device(1 << 20);
  const auto kept = Comb(device);
  std::vector<Range> before;
  const auto note = [&](std::vector<Range>& places) {
    for (const BlockHandle block : kept) {
      Succeeds(device.heap().ForEachPiece(block, [&](Range range) { places.push_back(range); }));
    }
  };
  note(before);
  const uint64_t used = device.heap().Stats().used_bytes;
  {
    const CompactionPlan plan = device.heap().Plan({.moves = 5});
    EXPECT_EQ(plan.size(), 5u);
    EXPECT_EQ(plan.stop(), DefragStop::kBudget);
    EXPECT_EQ(device.heap().Stats().used_bytes, used + 5 * 64);
    std::vector<Range> during;
    note(during);
    EXPECT_EQ(during, before);
    // No place is promised twice, nor has anybody.
    std::set<uint64_t> places;
    for (size_t i = 0; i < plan.size(); ++i) {
      EXPECT_TRUE(places.insert(plan[i].to.offset).second);
      EXPECT_EQ(std::count(before.begin(), before.end(), plan[i].to), 0);
      EXPECT_EQ(std::count(before.begin(), before.end(), plan[i].from), 1);
    }
    const BlockHandle fresh = device.heap().Allocate(64).value();
    Succeeds(device.heap().ForEachPiece(
        fresh, [&](Range range) { EXPECT_EQ(places.count(range.offset), 0u); }));
    Succeeds(device.heap().Free(fresh));
  }
  // It was ignored.
  EXPECT_EQ(device.heap().Stats().used_bytes, used);
  std::vector<Range> after;
  note(after);
  EXPECT_EQ(after, before);
  device.ExpectValid();
}

TEST(CompactionPlanTest, EachMoveIsCommittedIgnoredOrDestroyed) {
  Device device(1 << 20);
  Comb(device);
  CompactionPlan plan = device.heap().Plan({.moves = 3});
  ASSERT_EQ(plan.size(), 3u);
  device.Copy(plan[0]);
  Succeeds(plan.Commit(0));
  Succeeds(plan.Ignore(1));
  Succeeds(plan.Destroy(2));
  const auto place = [&](size_t i) {
    Range found;
    Succeeds(device.heap().ForEachPiece(plan[i].block, [&](Range range) { found = range; }));
    return found;
  };
  EXPECT_EQ(place(0), plan[0].to);
  EXPECT_EQ(place(1), plan[1].from);
  EXPECT_FALSE(device.heap().IsLive(plan[2].block));
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(plan.Commit(i).error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(plan.Ignore(i).error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(plan.Destroy(i).error().code, ErrorCode::kInvalidArgument);
  }
  device.ExpectValid();
}

TEST(CompactionPlanTest, ABlockThatIsFreedMeanwhileKeepsItsSpaceUntilItsMoveIsResolved) {
  Device device(1 << 20);
  Comb(device);
  const uint64_t used = device.heap().Stats().used_bytes;
  CompactionPlan plan = device.heap().Plan({.moves = 2});
  for (size_t i = 0; i < 2; ++i) {
    Succeeds(device.heap().Free(plan[i].block));
    EXPECT_FALSE(device.heap().IsLive(plan[i].block));
    EXPECT_FALSE(device.heap().Free(plan[i].block));
  }
  EXPECT_EQ(device.heap().Stats().used_bytes, used + 2 * 64);
  device.ExpectValid();
  EXPECT_EQ(plan.Commit(0).error().code, ErrorCode::kAborted);
  Succeeds(plan.Destroy(1));
  EXPECT_EQ(device.heap().Stats().used_bytes, used - 2 * 64);
  device.ExpectValid();
}

TEST(CompactionPlanTest, ABlockThatIsPinnedMeanwhileStays) {
  Device device(1 << 20);
  Comb(device);
  CompactionPlan plan = device.heap().Plan({.moves = 1});
  {
    const auto pin = device.heap().Pin(plan[0].block).value();
    EXPECT_EQ(plan.Commit(0).error().code, ErrorCode::kBusy);
    EXPECT_EQ(plan.Destroy(0).error().code, ErrorCode::kBusy);
  }
  device.Copy(plan[0]);
  Succeeds(plan.Commit(0));
  device.ExpectValid();
}

TEST(CompactionPlanTest, ADefragmentationLeavesPlannedBlocksAlone) {
  const auto heap = CompactingHeap::Create({.limit_bytes = 1 << 20}).value();
  std::vector<BlockHandle> blocks;
  for (uint64_t i = 0; i < 40; ++i) {
    blocks.push_back(heap->Allocate(64).value());
    WritePattern(*heap, blocks.back(), i);
  }
  for (size_t i = 0; i < 40; i += 2) Succeeds(heap->Free(blocks[i]));
  {
    CompactionPlan plan = heap->Plan({.moves = 3});
    (void)heap->Defragment();
    for (size_t i = 0; i < plan.size(); ++i) {
      Succeeds(
          heap->ForEachPiece(plan[i].block, [&](Range range) { EXPECT_EQ(range, plan[i].from); }));
    }
    const auto valid = heap->Validate();
    EXPECT_TRUE(valid) << valid.error().message;
  }
  EXPECT_EQ(heap->Defragment().stop, DefragStop::kGoalReached);
  for (size_t i = 1; i < 40; i += 2) EXPECT_TRUE(HasPattern(*heap, blocks[i], i));
}

TEST(CompactionPlanTest, ABlockMovesOntoItselfOnlyIfThatIsAllowed) {
  Device device(1 << 20);
  const BlockHandle hole = device.Make(16, 0);
  const BlockHandle block = device.Make(1000, 1);
  Succeeds(device.heap().Free(hole));
  EXPECT_TRUE(device.heap().Plan().empty());
  {
    CompactionPlan plan = device.heap().Plan({}, /*onto_itself=*/true);
    ASSERT_EQ(plan.size(), 1u);
    Succeeds(plan.Ignore(0));
    device.ExpectValid();
  }
  CompactionPlan plan = device.heap().Plan({}, /*onto_itself=*/true);
  ASSERT_EQ(plan.size(), 1u);
  device.Copy(plan[0]);
  Succeeds(plan.Commit(0));
  EXPECT_TRUE(device.Has(block, 1));
  EXPECT_EQ(device.heap().Fragmentation(), 0);
}

TEST(CompactionPlanTest, OffsetsMayHaveMoreThan32Bits) {
  constexpr uint64_t kTiB = uint64_t{1} << 40;
  const auto heap =
      CompactingHeap::CreateOverOffsets({.limit_bytes = 1000 * kTiB, .grain = 16}).value();
  const BlockHandle hole = heap->Allocate(5 * kTiB).value();
  const BlockHandle middle = heap->Allocate(900 * kTiB).value();
  const BlockHandle top = heap->Allocate(3 * kTiB).value();
  Succeeds(heap->Free(hole));
  CompactionPlan plan = heap->Plan();
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_EQ(plan[0].block, top);
  EXPECT_EQ(plan[0].from, (Range{905 * kTiB, 3 * kTiB}));
  EXPECT_EQ(plan[0].to, (Range{0, 3 * kTiB}));
  Succeeds(plan.Commit(0));
  EXPECT_EQ(heap->Stats().end_bytes, 905 * kTiB);
  EXPECT_TRUE(heap->IsLive(middle));
  const auto valid = heap->Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

TEST(CompactionPlanTest, ResolvesAnyhowAndKeepsEveryByte) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  Device device(1 << 16);
  std::vector<std::pair<BlockHandle, uint64_t>> blocks;
  uint64_t tag = 0;
  for (int step = 0; step < 2000; ++step) {
    if (random() % 5 < 3) {
      const uint64_t bytes = 1 + random() % 600;
      if (device.heap().Stats().free_bytes >= bytes + 16) {
        ++tag;
        blocks.emplace_back(device.Make(bytes, tag, Placement::kContiguousFirst), tag);
      }
    } else if (!blocks.empty()) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      Succeeds(device.heap().Free(blocks.back().first));
      blocks.pop_back();
    }
    if (step % 4 != 0) continue;
    CompactionPlan plan = device.heap().Plan({.moves = 1 + random() % 8}, random() % 2 == 0);
    for (size_t i = 0; i < plan.size(); ++i) {
      const auto its = std::find_if(blocks.begin(), blocks.end(), [&](const auto& entry) {
        return entry.first == plan[i].block;
      });
      switch (random() % 4) {
        case 0:
          break;
        case 1:
          if (its == blocks.end()) break;
          Succeeds(random() % 2 == 0 ? plan.Destroy(i) : device.heap().Free(plan[i].block));
          blocks.erase(its);
          break;
        default:
          device.Copy(plan[i]);
          if (its != blocks.end()) Succeeds(plan.Commit(i));
      }
    }
    for (const auto& [block, its_tag] : blocks) ASSERT_TRUE(device.Has(block, its_tag));
    device.ExpectValid();
  }
}

}  // namespace
}  // namespace granary
