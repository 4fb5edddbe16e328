// Every behaviour of NatLabs' MemoryRegion that its README, its tests and its benchmarks show, and
// a test for each that is named after it: of a RegionAllocator where it is about ranges, of a
// BlobStore where it is about blobs. The grain is 1 byte, as there.
//
// Two things differ on purpose. MemoryRegion takes the largest free range (worst fit) and finds a
// double free only where the range begins as a free one does; here the smallest that fits is taken,
// and every free that touches a free byte is refused. And what traps there is an error here, after
// which nothing has changed.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "memory/region/blob_store.h"
#include "memory/region/region_allocator.h"
#include "memory/region/testing/blob_exercise.h"
#include "memory/testing/random_seed.h"

namespace granary {

void PrintTo(const Range& range, std::ostream* out) {
  *out << "[" << range.offset << ", +" << range.size << ")";
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Pages, as there.
constexpr uint64_t kPageBytes = 65'536;
constexpr size_t kMany = 10'000;

// A region that begins empty and grows by what nothing free can hold, as a MemoryRegion does.
class GrowingRegion {
 public:
  Range Allocate(uint64_t bytes) {
    if (!region_.CanAllocate(bytes)) {
      const uint64_t size = region_.size_bytes();
      EXPECT_TRUE(region_.Extend(size - region_.TrimTail() + bytes));
    }
    return region_.Allocate(bytes).value();
  }
  RegionAllocator& operator*() { return region_; }
  RegionAllocator* operator->() { return &region_; }

 private:
  RegionAllocator region_ = RegionAllocator::Create(0, {.grain = 1}).value();
};

std::vector<Range> FreeRanges(const RegionAllocator& region) {
  std::vector<Range> ranges;
  region.ForEachFree([&](Range range) { ranges.push_back(range); });
  return ranges;
}

std::vector<Range> FreeRanges(const BlobStore& store) {
  std::vector<Range> ranges;
  store.ForEachFree([&](Range range) { ranges.push_back(range); });
  return ranges;
}

std::unique_ptr<BlobStore> Store() {
  return *BlobStore::CreateInMemory({.grain = 1, .max_bytes = uint64_t{64} << 20});
}

BlobBytes Filled(size_t count, uint8_t value) { return BlobBytes(count, std::byte{value}); }

class MemoryRegionBehaviourTest : public ::testing::Test {
 protected:
  MemoryRegionBehaviourTest() : seed_(RandomTestSeed()), random_(seed_) {}

  uint64_t Between(uint64_t least, uint64_t most) { return least + random_() % (most - least + 1); }
  // Which seed made it so.
  void ExpectSound(const BlobStore& store) {
    const auto valid = store.Validate();
    EXPECT_TRUE(valid) << valid.error().message << "; " << HowToReplay(seed_);
  }
  void ExpectSound(const RegionAllocator& region) {
    const auto valid = region.Validate();
    EXPECT_TRUE(valid) << valid.error().message << "; " << HowToReplay(seed_);
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
};

// --- README -------------------------------------------------------------------------------------

TEST_F(MemoryRegionBehaviourTest, AddThenRemoveReturnsTheSameBytesAndListsThePlaceAsFree) {
  auto store = Store();
  const BlobBytes blob = SomeBytes(4, 1);
  const BlobId id = *store->Add(blob);
  const uint64_t address = store->AddressOf(id)->offset;
  EXPECT_EQ(*store->Load(id), blob);
  EXPECT_EQ(*store->Remove(id), blob);
  EXPECT_THAT(FreeRanges(*store), ElementsAre(Range{address, 4}));
}

TEST_F(MemoryRegionBehaviourTest, ReAddAfterRemoveGivesTheSameAddress) {
  auto store = Store();
  const BlobId id = *store->Add(SomeBytes(4, 1));
  const Range address = *store->AddressOf(id);
  ASSERT_TRUE(store->Remove(id));
  EXPECT_EQ(*store->AddressOf(*store->Add(SomeBytes(4, 2))), address);
  EXPECT_THAT(FreeRanges(*store), IsEmpty());
}

TEST_F(MemoryRegionBehaviourTest, EmptyBlobsTakeNothing) {
  auto store = Store();
  std::vector<BlobId> ids;
  for (size_t i = 0; i < kMany; ++i) ids.push_back(*store->Add({}));
  for (int round = 0; round < 2; ++round) {
    const BlobStats stats = store->Stats();
    EXPECT_EQ(stats.region.size_bytes, 0U);
    EXPECT_EQ(stats.region.used_bytes, 0U);
    EXPECT_EQ(stats.region.free_bytes, 0U);
    EXPECT_EQ(stats.capacity_bytes, 0U);
    EXPECT_THAT(FreeRanges(*store), IsEmpty());
    for (const BlobId id : ids) ASSERT_EQ(*store->Load(id), BlobBytes());
    for (const BlobId id : ids) ASSERT_TRUE(store->Replace(id, {}));
  }
  for (const BlobId id : ids) ASSERT_EQ(*store->Remove(id), BlobBytes());
  EXPECT_THAT(FreeRanges(*store), IsEmpty());
}

// --- Allocating and freeing ---------------------------------------------------------------------

TEST_F(MemoryRegionBehaviourTest, ManySmallAllocationsAreConsecutiveFromZero) {
  GrowingRegion region;
  uint64_t sum = 0;
  for (size_t i = 0; i < kMany; ++i) {
    const uint64_t bytes = Between(1, 3);
    ASSERT_EQ(region.Allocate(bytes), (Range{sum, bytes}));
    sum += bytes;
  }
  EXPECT_EQ(region->size_bytes(), sum);
  EXPECT_EQ(region->Stats().used_bytes, sum);
  EXPECT_THAT(FreeRanges(*region), IsEmpty());
}

TEST_F(MemoryRegionBehaviourTest, CapacityGrowsByPagesOf64KiB) {
  auto store = Store();
  uint64_t sum = 0;
  for (size_t i = 0; i < kMany; ++i) {
    const uint64_t bytes = Between(1, 30);
    ASSERT_TRUE(store->Add(SomeBytes(bytes, i)));
    sum += bytes;
    ASSERT_EQ(store->Stats().capacity_bytes, (sum + kPageBytes - 1) / kPageBytes * kPageBytes);
  }
  EXPECT_EQ(store->Stats().region.size_bytes, sum);
}

TEST_F(MemoryRegionBehaviourTest, EveryOtherOneFreedIsListedByItself) {
  GrowingRegion region;
  std::vector<Range> ranges;
  for (size_t i = 0; i < kMany; ++i) ranges.push_back(region.Allocate(Between(1, 3)));
  std::vector<Range> freed;
  uint64_t largest = 0;
  for (size_t i = 0; i < kMany; i += 2) {
    ASSERT_EQ(region->Free(ranges[i]), FreeStatus::kOk);
    freed.push_back(ranges[i]);
    largest = std::max(largest, ranges[i].size);
  }
  EXPECT_EQ(FreeRanges(*region), freed);
  EXPECT_EQ(region->Stats().largest_free_bytes, largest);
}

TEST_F(MemoryRegionBehaviourTest, AllFreedIsOneRange) {
  GrowingRegion region;
  std::vector<Range> ranges;
  for (size_t i = 0; i < kMany; ++i) ranges.push_back(region.Allocate(Between(1, 3)));
  const uint64_t sum = region->size_bytes();
  for (const size_t first : {0U, 1U}) {
    for (size_t i = first; i < kMany; i += 2) ASSERT_EQ(region->Free(ranges[i]), FreeStatus::kOk);
  }
  EXPECT_THAT(FreeRanges(*region), ElementsAre(Range{0, sum}));
  ExpectSound(*region);
}

TEST_F(MemoryRegionBehaviourTest, MergesWithNoneThePreviousTheNextAndBoth) {
  GrowingRegion region;
  std::vector<Range> ranges;
  for (size_t i = 0; i < 4000; ++i) ranges.push_back(region.Allocate(Between(1, 10'000)));
  const auto free_each_fourth = [&](size_t first) {
    for (size_t i = first; i < ranges.size(); i += 4) {
      ASSERT_EQ(region->Free(ranges[i]), FreeStatus::kOk);
    }
  };
  // By index: 4i+2 merges with none, 4i+1 with the next, 4i+3 with the previous, 4i with both.
  free_each_fourth(2);
  EXPECT_EQ(region->Stats().free_ranges, 1000U);
  free_each_fourth(1);
  EXPECT_EQ(region->Stats().free_ranges, 1000U);
  free_each_fourth(3);
  EXPECT_EQ(region->Stats().free_ranges, 1000U);
  ExpectSound(*region);
  free_each_fourth(0);
  EXPECT_THAT(FreeRanges(*region), ElementsAre(Range{0, region->size_bytes()}));
}

// --- Migration ----------------------------------------------------------------------------------

TEST_F(MemoryRegionBehaviourTest, PartsOfOneAllocationAreFreed) {
  GrowingRegion region;
  ASSERT_EQ(region.Allocate(1000), (Range{0, 1000}));
  for (const Range part : {Range{100, 35}, Range{200, 50}, Range{300, 70}}) {
    ASSERT_EQ(region->Free(part), FreeStatus::kOk);
  }
  EXPECT_EQ(region->Stats().used_bytes, 845U);
  EXPECT_EQ(region->Stats().free_bytes, 155U);
  EXPECT_EQ(region->size_bytes(), 1000U);
  EXPECT_THAT(FreeRanges(*region), ElementsAre(Range{100, 35}, Range{200, 50}, Range{300, 70}));
}

TEST_F(MemoryRegionBehaviourTest, AFreeOutOfBoundsIsRefused) {
  GrowingRegion region;
  (void)region.Allocate(1000);
  for (const Range range : {Range{1000, 1}, Range{999, 2}, Range{0, 1001}, Range{UINT64_MAX, 1},
                            Range{1, UINT64_MAX}}) {
    EXPECT_EQ(region->Free(range), FreeStatus::kOutOfRange);
  }
  EXPECT_EQ(region->Stats().used_bytes, 1000U);
}

TEST_F(MemoryRegionBehaviourTest, AFreeWhereAFreeBlockBeginsIsRefused) {
  GrowingRegion region;
  (void)region.Allocate(1000);
  ASSERT_EQ(region->Free({100, 35}), FreeStatus::kOk);
  EXPECT_EQ(region->Free({100, 35}), FreeStatus::kOverlapsFree);
  EXPECT_EQ(region->Free({100, 1}), FreeStatus::kOverlapsFree);
  // MemoryRegion lets these pass, and hands the same bytes out twice afterwards.
  EXPECT_EQ(region->Free({110, 5}), FreeStatus::kOverlapsFree);
  EXPECT_EQ(region->Free({90, 20}), FreeStatus::kOverlapsFree);
  EXPECT_THAT(FreeRanges(*region), ElementsAre(Range{100, 35}));
}

// --- Clear, resize ------------------------------------------------------------------------------

TEST_F(MemoryRegionBehaviourTest, ClearFreesAllAndKeepsTheCapacity) {
  auto store = Store();
  for (size_t i = 0; i < kMany; ++i) ASSERT_TRUE(store->Add(SomeBytes(Between(1, 100), i)));
  const BlobStats before = store->Stats();
  ASSERT_TRUE(store->Clear());
  const BlobStats after = store->Stats();
  EXPECT_EQ(after.region.used_bytes, 0U);
  EXPECT_EQ(after.region.free_bytes, before.region.size_bytes);
  EXPECT_EQ(after.region.size_bytes, before.region.size_bytes);
  EXPECT_EQ(after.capacity_bytes, before.capacity_bytes);
  EXPECT_THAT(FreeRanges(*store), ElementsAre(Range{0, before.region.size_bytes}));
}

TEST_F(MemoryRegionBehaviourTest, ClearAndRetainHeaderKeepsItsBytes) {
  auto store = Store();
  const BlobBytes header = SomeBytes(64, 1);
  const BlobId id = *store->Add(header);
  for (size_t i = 0; i < 1000; ++i) ASSERT_TRUE(store->Add(SomeBytes(Between(1, 100), i)));
  const uint64_t size = store->Stats().region.size_bytes;
  ASSERT_TRUE(store->ClearAndRetainHeader(64));
  EXPECT_EQ(store->Stats().region.used_bytes, 64U);
  EXPECT_THAT(FreeRanges(*store), ElementsAre(Range{64, size - 64}));
  EXPECT_EQ(*store->Load(id), header);
  EXPECT_EQ(store->AddressOf(*store->Add(SomeBytes(10, 2))), (Range{64, 10}));
}

TEST_F(MemoryRegionBehaviourTest, AHeaderLargerThanTheRegionIsRefused) {
  auto store = Store();
  const BlobId id = *store->Add(SomeBytes(100, 1));
  EXPECT_EQ(store->ClearAndRetainHeader(101).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(store->Contains(id));
  EXPECT_TRUE(store->ClearAndRetainHeader(100));
  EXPECT_TRUE(store->Contains(id));
}

TEST_F(MemoryRegionBehaviourTest, AResizeToTheSameSizeChangesNothing) {
  GrowingRegion region;
  (void)region.Allocate(100);
  const Range range = region.Allocate(50);
  (void)region.Allocate(100);
  const RegionStats before = region->Stats();
  EXPECT_EQ(*region->Resize(range, 50), range);
  EXPECT_EQ(region->Stats(), before);

  auto store = Store();
  const BlobId id = *store->Add(SomeBytes(100, 1));
  const Range address = *store->AddressOf(id);
  const RegionStats stats = store->Stats().region;
  ASSERT_TRUE(store->Replace(id, SomeBytes(100, 2)));
  EXPECT_EQ(*store->AddressOf(id), address);
  EXPECT_EQ(store->Stats().region, stats);
  EXPECT_EQ(*store->Load(id), SomeBytes(100, 2));
}

TEST_F(MemoryRegionBehaviourTest, AResizeTakesWhatIsFreeBesideIt) {
  GrowingRegion region;
  const Range a = region.Allocate(100);
  const Range b = region.Allocate(100);
  const Range c = region.Allocate(100);
  ASSERT_EQ(region->Free(a), FreeStatus::kOk);
  ASSERT_EQ(region->Free(c), FreeStatus::kOk);
  const auto forward = region->Resize(b, 150);
  ASSERT_EQ(*forward, (Range{100, 150}));
  EXPECT_EQ(*region->Resize(*forward, 200, RegionAllocator::Grow::kBackward), (Range{50, 200}));
  EXPECT_THAT(FreeRanges(*region), ElementsAre(Range{0, 50}, Range{250, 50}));
}

// --- Ranges -------------------------------------------------------------------------------------

TEST_F(MemoryRegionBehaviourTest, FreeAndUsedBlocksInARangeComplementEachOther) {
  GrowingRegion region;
  std::vector<Range> ranges;
  for (size_t i = 0; i < 1000; ++i) ranges.push_back(region.Allocate(Between(1, 100)));
  for (const Range range : ranges) {
    if (random_() % 2 == 0) continue;
    ASSERT_EQ(region->Free(range), FreeStatus::kOk);
  }
  for (int round = 0; round < 200; ++round) {
    const uint64_t begin = Between(0, region->size_bytes() - 1);
    const Range within = {begin, Between(1, region->size_bytes() - begin)};
    std::vector<Range> all;
    uint64_t free_bytes = 0;
    region->ForEachFree(within, [&](Range range) {
      all.push_back(range);
      free_bytes += range.size;
    });
    region->ForEachUsed(within, [&](Range range) { all.push_back(range); });
    std::sort(all.begin(), all.end(),
              [](const Range& a, const Range& b) { return a.offset < b.offset; });
    uint64_t at = within.offset;
    for (const Range range : all) {
      ASSERT_EQ(range.offset, at);
      ASSERT_NE(range.size, 0U);
      at = range.end();
    }
    ASSERT_EQ(at, within.end());
    ASSERT_LE(free_bytes, within.size);
  }
}

TEST_F(MemoryRegionBehaviourTest, WhatIsUsedOfAnyRangeIsFreed) {
  GrowingRegion region;
  (void)region.Allocate(100'000);
  std::vector<Range> freed;
  // deallocateRange: ranges overlap one another, and parts of them are free already.
  for (int i = 0; i < 100; ++i) {
    const uint64_t begin = Between(0, 99'000);
    const Range range = {begin, Between(1, 1000)};
    std::vector<Range> used;
    region->ForEachUsed(range, [&](Range part) { used.push_back(part); });
    ASSERT_EQ(region->FreeMany(used), FreeStatus::kOk);
    freed.push_back(range);
    for (const Range earlier : freed) {
      bool is_used = false;
      region->ForEachUsed(earlier, [&](Range) { is_used = true; });
      ASSERT_FALSE(is_used);
    }
  }
  ExpectSound(*region);
}

// --- Data integrity -----------------------------------------------------------------------------

// What is in the store is in the model, whole.
class DataIntegrityTest : public MemoryRegionBehaviourTest {
 protected:
  void Add(size_t bytes) {
    BlobBytes blob = SomeBytes(bytes, random_());
    const auto id = store_->Add(blob);
    ASSERT_TRUE(id) << id.error().message;
    ids_.push_back(*id);
    model_.emplace(*id, std::move(blob));
  }
  void Replace(BlobId id, size_t bytes) {
    BlobBytes blob = SomeBytes(bytes, random_());
    ASSERT_TRUE(store_->Replace(id, blob));
    model_[id] = std::move(blob);
  }
  void Remove(BlobId id) {
    ASSERT_EQ(*store_->Remove(id), model_.at(id));
    model_.erase(id);
    std::erase(ids_, id);
  }
  void CheckAll() {
    ASSERT_EQ(DifferenceFrom(model_, *store_), "") << HowToReplay(seed_);
    ExpectSound(*store_);
    uint64_t bytes = 0;
    for (const auto& [id, blob] : model_) bytes += blob.size();
    ASSERT_EQ(store_->Stats().region.used_bytes, bytes);
  }
  void RemoveAllAndExpectNothingLeft() {
    const uint64_t size = store_->Stats().region.size_bytes;
    for (const auto& [id, blob] : model_) ASSERT_EQ(*store_->Remove(id), blob);
    model_.clear();
    EXPECT_EQ(store_->Stats().region.used_bytes, 0U);
    EXPECT_THAT(FreeRanges(*store_), ElementsAre(Range{0, size}));
  }

  std::unique_ptr<BlobStore> store_ = Store();
  BlobModel model_;
  std::vector<BlobId> ids_;
};

TEST_F(DataIntegrityTest, ReplaceWithEqualLargerAndSmallerBlobsKeepsAllOthers) {
  for (size_t i = 0; i < kMany; ++i) Add(Between(1, 50));
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  for (const BlobId id : ids_) Replace(id, model_.at(id).size());
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  for (const BlobId id : ids_) Replace(id, Between(model_.at(id).size(), 100));
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  for (const BlobId id : ids_) Replace(id, Between(1, model_.at(id).size()));
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  RemoveAllAndExpectNothingLeft();
}

TEST_F(DataIntegrityTest, TheHolesOfACheckerboardAreUsedAgain) {
  for (int i = 0; i < 100; ++i) Add(50);
  const uint64_t size = store_->Stats().region.size_bytes;
  const std::vector<BlobId> board = ids_;
  for (size_t i = 0; i < board.size(); i += 2) Remove(board[i]);
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  for (int i = 0; i < 50; ++i) Add(25);
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  EXPECT_EQ(store_->Stats().region.size_bytes, size);
  RemoveAllAndExpectNothingLeft();
}

TEST_F(DataIntegrityTest, ABlobLiesAcrossThePageEdge) {
  Add(65'526);
  Add(20);
  EXPECT_EQ(store_->AddressOf(ids_[1]), (Range{65'526, 20}));
  EXPECT_EQ(store_->Stats().capacity_bytes, 2 * kPageBytes);
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  Replace(ids_[1], 20);
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  RemoveAllAndExpectNothingLeft();
}

TEST_F(DataIntegrityTest, OddSizesGoIntoAndBesideTheHoles) {
  for (int i = 0; i < 200; ++i) Add(10);
  const std::vector<BlobId> first = ids_;
  for (size_t i = 0; i < first.size(); i += 3) Remove(first[i]);
  for (int i = 0; i < 67; ++i) Add(Between(5, 15));
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  RemoveAllAndExpectNothingLeft();
}

TEST_F(DataIntegrityTest, SingleBytesSurviveTheRemovalOfHalfOfThem) {
  for (int i = 0; i < 5000; ++i) Add(1);
  std::vector<BlobId> half = ids_;
  std::shuffle(half.begin(), half.end(), random_);
  half.resize(half.size() / 2);
  for (const BlobId id : half) {
    ASSERT_EQ(*store_->Remove(id), model_.at(id));
    model_.erase(id);
  }
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  RemoveAllAndExpectNothingLeft();
}

TEST_F(DataIntegrityTest, ManyWeightedOperations) {
  // Adds, replaces and removes as 3 to 5 to 2.
  for (int i = 0; i < 20'001; ++i) {
    const uint64_t choice = random_() % 10;
    if (choice < 3 || ids_.empty()) {
      Add(Between(0, 100));
      continue;
    }
    const size_t at = random_() % ids_.size();
    if (choice < 8) {
      Replace(ids_[at], Between(0, 100));
    } else {
      std::swap(ids_[at], ids_.back());
      const BlobId id = ids_.back();
      ids_.pop_back();
      ASSERT_EQ(*store_->Remove(id), model_.at(id));
      model_.erase(id);
    }
    if (i % 4000 != 0) continue;
    ASSERT_NO_FATAL_FAILURE(CheckAll());
  }
  ASSERT_NO_FATAL_FAILURE(CheckAll());
  RemoveAllAndExpectNothingLeft();
}

TEST_F(DataIntegrityTest, NeighboursOfWhatIsOverwrittenKeepTheirBytes) {
  std::vector<BlobId> ids;
  for (uint8_t i = 0; i < 100; ++i) ids.push_back(*store_->Add(Filled(64, i)));
  for (uint8_t i = 1; i < 100; i += 2) ASSERT_TRUE(store_->Replace(ids[i], Filled(64, 0xFF)));
  for (uint8_t i = 0; i < 100; i += 2) EXPECT_EQ(*store_->Load(ids[i]), Filled(64, i));
}

}  // namespace
}  // namespace granary
