// What a BlobStore does over whichever backing.
#include "memory/region/blob_store.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "memory/region/testing/blob_exercise.h"
#include "memory/region/testing/blob_stores.h"
#include "memory/testing/failing_calls.h"

namespace granary {

void PrintTo(const Range& range, std::ostream* out) {
  *out << "[" << range.offset << ", +" << range.size << ")";
}
void PrintTo(BlobId id, std::ostream* out) { *out << BlobIdName(id); }

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

BlobBytes Text(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::vector<Range> FreeRanges(const BlobStore& store) {
  std::vector<Range> ranges;
  store.ForEachFree([&](Range range) { ranges.push_back(range); });
  return ranges;
}

void ExpectValid(const BlobStore& store) {
  const auto valid = store.Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

class BlobStoreTest : public ::testing::TestWithParam<BlobBacking> {};

TEST_P(BlobStoreTest, LoadsWhatWasAdded) {
  BlobStoreUnderTest store(GetParam());
  const BlobId a = *store->Add(Text("granary"));
  const BlobId b = *store->Add(SomeBytes(100'000, 7));
  EXPECT_NE(a, b);
  EXPECT_EQ(*store->Load(a), Text("granary"));
  EXPECT_EQ(*store->Load(b), SomeBytes(100'000, 7));
  EXPECT_EQ(store->Size(a), 7U);
  EXPECT_EQ(store->AddressOf(a), (Range{0, 7}));
  EXPECT_EQ(store->AddressOf(b), (Range{16, 100'000}));
  EXPECT_EQ(store->Stats().blobs, 2U);
  EXPECT_EQ(store->Stats().blob_bytes, 100'007U);
  ExpectValid(*store);
}

TEST_P(BlobStoreTest, LoadsIntoABufferThatIsLargeEnough) {
  BlobStoreUnderTest store(GetParam());
  const BlobId id = *store->Add(Text("granary"));
  BlobBytes buffer(9, std::byte{'x'});
  EXPECT_EQ(store->LoadInto(id, buffer), 7U);
  EXPECT_EQ(buffer, Text("granaryxx"));
  const auto refused = store->LoadInto(id, std::span(buffer).first(6));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message,
              HasSubstr("blob 0.1 has 7 bytes, the buffer has room for 6"));
  EXPECT_EQ(store->LoadInto(id, std::span(buffer).first(7)), 7U);
}

TEST_P(BlobStoreTest, AnEmptyBlobTakesNoSpace) {
  BlobStoreUnderTest store(GetParam());
  const BlobId id = *store->Add({});
  EXPECT_TRUE(store->Contains(id));
  EXPECT_EQ(store->Size(id), 0U);
  EXPECT_EQ(store->AddressOf(id), (Range{0, 0}));
  EXPECT_EQ(*store->Load(id), BlobBytes());
  EXPECT_EQ(store->View(id)->size(), 0U);
  EXPECT_EQ(store->Stats().region.size_bytes, 0U);
  EXPECT_EQ(*store->Remove(id), BlobBytes());
  EXPECT_FALSE(store->Contains(id));
  ExpectValid(*store);
}

TEST_P(BlobStoreTest, RemoveReturnsTheBytesAndFreesTheirPlace) {
  BlobStoreUnderTest store(GetParam());
  const BlobId a = *store->Add(SomeBytes(100, 1));
  const BlobId b = *store->Add(SomeBytes(100, 2));
  EXPECT_EQ(*store->Remove(a), SomeBytes(100, 1));
  EXPECT_THAT(FreeRanges(*store), ElementsAre(Range{0, 112}));
  EXPECT_EQ(store->AddressOf(*store->Add(SomeBytes(112, 3))), (Range{0, 112}));
  EXPECT_EQ(*store->Load(b), SomeBytes(100, 2));
  ExpectValid(*store);
}

TEST_P(BlobStoreTest, AnIdThatIsStaleIsRefusedByAllAndSaysWhy) {
  BlobStoreUnderTest store(GetParam());
  const BlobId old = *store->Add(Text("old"));
  ASSERT_TRUE(store->Discard(old));
  const auto check = [&](const std::string& why) {
    for (const auto& error :
         {store->Load(old).error(), store->LoadInto(old, {}).error(), store->View(old).error(),
          store->Size(old).error(), store->AddressOf(old).error(), store->Remove(old).error(),
          store->Discard(old).error(), store->Replace(old, {}).error()}) {
      EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.message, HasSubstr("no blob has the id 0.1: " + why));
    }
    EXPECT_FALSE(store->Contains(old));
  };
  check("its place is empty, and in generation 2");
  const BlobId again = *store->Add(Text("new"));
  EXPECT_EQ(again, (BlobId{0, 3}));
  check("it was removed, and its place is in generation 3");
  EXPECT_EQ(*store->Load(again), Text("new"));
  EXPECT_FALSE(store->Contains({}));
  EXPECT_THAT(store->Load({7, 1}).error().message, HasSubstr("there are 1 places"));
}

TEST_P(BlobStoreTest, ReplaceKeepsTheIdWhateverTheLength) {
  BlobStoreUnderTest store(GetParam());
  const BlobId a = *store->Add(SomeBytes(100, 1));
  const BlobId b = *store->Add(SomeBytes(100, 2));
  uint64_t seed = 10;
  for (const size_t length : {100U, 50U, 60U, 0U, 0U, 10U, 1000U, 999U, 112U, 3000U, 1U}) {
    ASSERT_TRUE(store->Replace(a, SomeBytes(length, ++seed)));
    EXPECT_EQ(*store->Load(a), SomeBytes(length, seed));
    EXPECT_EQ(*store->Load(b), SomeBytes(100, 2));
    EXPECT_EQ(store->Stats().blob_bytes, length + 100);
    ExpectValid(*store);
  }
}

TEST_P(BlobStoreTest, ReplaceTakesViewsOfItselfAndOfOthers) {
  BlobStoreUnderTest store(GetParam());
  if (!store.has_views()) return;
  const BlobId a = *store->Add(SomeBytes(1000, 1));
  const BlobId b = *store->Add(SomeBytes(3000, 2));
  const BlobBytes of_a = SomeBytes(1000, 1);
  // Its own end, then more than all of itself, then another.
  ASSERT_TRUE(store->Replace(a, store->View(a)->subspan(700)));
  EXPECT_EQ(*store->Load(a), BlobBytes(of_a.begin() + 700, of_a.end()));
  ASSERT_TRUE(store->Replace(a, *store->View(b)));
  EXPECT_EQ(*store->Load(a), SomeBytes(3000, 2));
  ASSERT_TRUE(store->Replace(b, store->View(b)->first(100)));
  EXPECT_EQ(*store->Load(a), SomeBytes(3000, 2));
  EXPECT_EQ(store->Size(b), 100U);
  const BlobId c = *store->Add(*store->View(a));
  EXPECT_EQ(*store->Load(c), SomeBytes(3000, 2));
  ExpectValid(*store);
}

TEST_P(BlobStoreTest, ViewsStayWhereTheyAreWhileTheRegionGrows) {
  BlobStoreUnderTest store(GetParam());
  const BlobId id = *store->Add(SomeBytes(1000, 1));
  if (!store.has_views()) {
    const auto refused = store->View(id);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
    return;
  }
  const std::span<const std::byte> view = *store->View(id);
  for (uint64_t i = 0; i < 1000; ++i) ASSERT_TRUE(store->Add(SomeBytes(10'000, i)));
  EXPECT_EQ(BlobBytes(view.begin(), view.end()), SomeBytes(1000, 1));
  EXPECT_EQ(store->View(id)->data(), view.data());
}

TEST_P(BlobStoreTest, VisitsBlobsByAddressAndEmptyOnesFirst) {
  BlobStoreUnderTest store(GetParam(), {.grain = 1});
  const BlobId a = *store->Add(SomeBytes(10, 1));
  const BlobId b = *store->Add(SomeBytes(20, 2));
  const BlobId c = *store->Add(SomeBytes(30, 3));
  const BlobId d = *store->Add({});
  ASSERT_TRUE(store->Discard(a));
  const BlobId e = *store->Add(SomeBytes(4, 5));
  std::vector<std::pair<BlobId, Range>> seen;
  store->ForEach([&](BlobId id, Range range) { seen.emplace_back(id, range); });
  EXPECT_THAT(seen, ElementsAre(std::pair(d, Range{0, 0}), std::pair(e, Range{0, 4}),
                                std::pair(b, Range{10, 20}), std::pair(c, Range{30, 30})));
}

TEST_P(BlobStoreTest, ClearRemovesAll) {
  BlobStoreUnderTest store(GetParam());
  std::vector<BlobId> ids;
  for (uint64_t i = 0; i < 300; ++i) ids.push_back(*store->Add(SomeBytes(i % 40, i)));
  const uint64_t size = store->Stats().region.size_bytes;
  ASSERT_TRUE(store->Clear());
  EXPECT_EQ(store->Stats().blobs, 0U);
  EXPECT_EQ(store->Stats().blob_bytes, 0U);
  EXPECT_EQ(store->Stats().region.used_bytes, 0U);
  EXPECT_THAT(FreeRanges(*store), ElementsAre(Range{0, size}));
  for (const BlobId id : ids) EXPECT_FALSE(store->Contains(id));
  ExpectValid(*store);
}

TEST_P(BlobStoreTest, ClearAndRetainHeaderKeepsWhatLiesInIt) {
  BlobStoreUnderTest store(GetParam(), {.grain = 1});
  const BlobId a = *store->Add(SomeBytes(10, 1));
  const BlobId b = *store->Add(SomeBytes(20, 2));
  const BlobId c = *store->Add(SomeBytes(30, 3));
  ASSERT_TRUE(store->Add({}));
  const auto across = store->ClearAndRetainHeader(29);
  ASSERT_FALSE(across);
  EXPECT_THAT(across.error().message,
              HasSubstr("would end at 29, inside the blob of 20 bytes at 10"));
  const auto above = store->ClearAndRetainHeader(61);
  ASSERT_FALSE(above);
  EXPECT_EQ(above.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->Stats().blobs, 4U);
  ASSERT_TRUE(store->ClearAndRetainHeader(30));
  EXPECT_EQ(*store->Load(a), SomeBytes(10, 1));
  EXPECT_EQ(*store->Load(b), SomeBytes(20, 2));
  EXPECT_FALSE(store->Contains(c));
  EXPECT_EQ(store->Stats().blobs, 2U);
  EXPECT_THAT(FreeRanges(*store), ElementsAre(Range{30, 30}));
  ExpectValid(*store);
}

TEST_P(BlobStoreTest, AFullStoreRefusesAndIsAsBefore) {
  BlobStoreUnderTest store(GetParam(), {.max_bytes = 65'536, .max_blobs = 3});
  const BlobId a = *store->Add(SomeBytes(30'000, 1));
  const BlobId b = *store->Add(SomeBytes(30'000, 2));
  const auto before = store->Stats();
  const auto refused = store->Add(SomeBytes(6'000, 3));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_FALSE(store->Replace(a, SomeBytes(40'000, 4)));
  EXPECT_FALSE(store->Add(SomeBytes(100'000, 4)));
  EXPECT_EQ(store->Stats().blobs, before.blobs);
  EXPECT_EQ(store->Stats().region.used_bytes, before.region.used_bytes);
  EXPECT_EQ(store->Stats().region.size_bytes, before.region.size_bytes);
  EXPECT_EQ(*store->Load(a), SomeBytes(30'000, 1));
  // What is left is enough for this one; then all places are taken.
  EXPECT_TRUE(store->Add(SomeBytes(5'500, 3)));
  EXPECT_EQ(store->Add({}).error().code, ErrorCode::kOutOfMemory);
  ASSERT_TRUE(store->Discard(b));
  EXPECT_TRUE(store->Add(SomeBytes(30'000, 5)));
  ExpectValid(*store);
}

TEST_P(BlobStoreTest, ShrinkMovesBlobsDownAndKeepsTheirIds) {
  BlobStoreUnderTest store(GetParam());
  std::vector<BlobId> ids;
  for (uint64_t i = 0; i < 400; ++i) ids.push_back(*store->Add(SomeBytes(1000, i)));
  ASSERT_TRUE(store.CheckpointIfItCan());
  for (uint64_t i = 0; i < 300; ++i) ASSERT_TRUE(store->Discard(ids[i]));
  ASSERT_TRUE(store.CheckpointIfItCan());
  const uint64_t capacity = store->Stats().capacity_bytes;
  int steps = 0;
  uint64_t truncated = 0;
  for (;; ++steps) {
    ASSERT_LT(steps, 100);
    const auto step = store->Shrink(10'080);
    ASSERT_TRUE(step) << step.error().message;
    EXPECT_LE(step->moved_bytes, 10'080U);
    truncated += step->truncated_bytes;
    ExpectValid(*store);
    for (uint64_t i = 300; i < 400; ++i) ASSERT_EQ(*store->Load(ids[i]), SomeBytes(1000, i));
    if (step->is_done) break;
    EXPECT_EQ(step->needs_checkpoint, store.is_file());
    ASSERT_TRUE(store.CheckpointIfItCan());
  }
  EXPECT_GE(steps, 10);
  // A node of a file's directory leaves a hole that is too small for any blob.
  const uint64_t slack = store.is_file() ? 2 * 1008 : 0;
  EXPECT_LE(store->Stats().region.size_bytes, store->Stats().region.used_bytes + slack);
  if (GetParam() != BlobBacking::kCallersMemory) {
    EXPECT_EQ(truncated, capacity - store->Stats().capacity_bytes);
    EXPECT_LE(store->Stats().capacity_bytes, 200'000U);
  }
}

INSTANTIATE_TEST_SUITE_P(Backings, BlobStoreTest,
                         ::testing::Values(BlobBacking::kMemory, BlobBacking::kCallersMemory,
                                           BlobBacking::kFile, BlobBacking::kMappedFile),
                         [](const auto& backing) { return BlobBackingName(backing.param); });

TEST(BlobStoreInMemoryTest, ReplaceInPlaceWhereItFits) {
  auto store = *BlobStore::CreateInMemory({.grain = 1, .max_bytes = 1 << 20});
  const BlobId a = *store->Add(SomeBytes(100, 1));
  const BlobId b = *store->Add(SomeBytes(100, 2));
  const BlobId c = *store->Add(SomeBytes(100, 3));
  ASSERT_TRUE(store->Discard(b));
  // Into the hole behind it, and out of it again; and the last one grows with the region.
  ASSERT_TRUE(store->Replace(a, SomeBytes(150, 4)));
  EXPECT_EQ(store->AddressOf(a), (Range{0, 150}));
  ASSERT_TRUE(store->Replace(a, SomeBytes(90, 5)));
  EXPECT_THAT(FreeRanges(*store), ElementsAre(Range{90, 110}));
  ASSERT_TRUE(store->Replace(c, SomeBytes(500, 6)));
  EXPECT_EQ(store->AddressOf(c), (Range{200, 500}));
  EXPECT_EQ(store->Stats().region.size_bytes, 700U);
  EXPECT_EQ(*store->Load(a), SomeBytes(90, 5));
  EXPECT_EQ(*store->Load(c), SomeBytes(500, 6));
  ExpectValid(*store);
}

TEST(BlobStoreInMemoryTest, HasNoCheckpoints) {
  auto store = *BlobStore::CreateInMemory({.max_bytes = 1 << 20});
  EXPECT_EQ(store->Checkpoint().error().code, ErrorCode::kUnsupported);
}

TEST(BlobStoreInMemoryTest, BytesThatSomebodyElseChangedAreFound) {
  std::vector<std::byte> memory(4096);
  auto store = *BlobStore::CreateOver(memory);
  const BlobId a = *store->Add(SomeBytes(100, 1));
  const BlobId b = *store->Add(SomeBytes(100, 2));
  memory[50] ^= std::byte{1};
  for (const auto& error :
       {store->Load(a).error(), store->View(a).error(), store->Remove(a).error()}) {
    EXPECT_EQ(error.code, ErrorCode::kCorrupt);
    EXPECT_THAT(error.message, HasSubstr("blob 0.1, 100 bytes at 0 of the region"));
  }
  EXPECT_EQ(*store->Load(b), SomeBytes(100, 2));
  EXPECT_TRUE(store->Contains(a));
  EXPECT_TRUE(store->Discard(a));
  ExpectValid(*store);
}

TEST(BlobStoreInMemoryTest, ADamagedBlobIsNotMoved) {
  std::vector<std::byte> memory(4096);
  auto store = *BlobStore::CreateOver(memory);
  const BlobId a = *store->Add(SomeBytes(160, 1));
  const BlobId b = *store->Add(SomeBytes(160, 2));
  ASSERT_TRUE(store->Discard(a));
  memory[200] ^= std::byte{1};
  EXPECT_EQ(store->Shrink(1000).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(store->AddressOf(b), (Range{160, 160}));
  ExpectValid(*store);
  memory[200] ^= std::byte{1};
  EXPECT_EQ(store->Shrink(1000)->moved_blobs, 1U);
  EXPECT_EQ(store->AddressOf(b), (Range{0, 160}));
}

TEST(BlobStoreInMemoryTest, OptionsThatMakeNoSenseAreRefused) {
  for (const BlobStoreOptions& options :
       {BlobStoreOptions{.grain = 0}, BlobStoreOptions{.grain = uint64_t{1} << 61},
        BlobStoreOptions{.max_bytes = 0}, BlobStoreOptions{.max_bytes = uint64_t{1} << 61},
        BlobStoreOptions{.max_blobs = 0}, BlobStoreOptions{.max_blobs = (1U << 31) + 1}}) {
    const auto store = BlobStore::CreateInMemory(options);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::kInvalidArgument);
    EXPECT_FALSE(BlobStore::OpenFile("/nowhere/blobs", {.store = options}));
  }
  EXPECT_FALSE(BlobStore::CreateOver({}));
}

TEST(BlobStoreInMemoryTest, ARefusalOfAnySystemCallIsAnErrorAndChangesNothing) {
  for (size_t nth = 1;; ++nth) {
    FailingCalls calls;
    calls.RefuseCall(nth, ENOMEM);
    auto store = BlobStore::CreateInMemory(
        {.max_bytes = 1 << 20, .max_blobs = 4096, .system_calls = &calls});
    BlobModel model;
    for (uint64_t i = 0; store && i < 1500; ++i) {
      const auto id = (*store)->Add(SomeBytes(200, i));
      if (id) {
        model.emplace(*id, SomeBytes(200, i));
      } else {
        EXPECT_TRUE(calls.refused());
        EXPECT_EQ(id.error().code, ErrorCode::kOutOfMemory);
        ASSERT_EQ(DifferenceFrom(model, **store), "");
        ExpectValid(**store);
      }
    }
    if (store) {
      ASSERT_EQ(DifferenceFrom(model, **store), "");
      ExpectValid(**store);
      store->reset();
    }
    // What an unmapping left that was refused is nobody's any more.
    if (calls.refused()) continue;
    EXPECT_EQ(calls.mapped_bytes(), 0);
    break;
  }
}

}  // namespace
}  // namespace granary
