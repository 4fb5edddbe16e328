// That everyone keeps the contract under which it is measured: blobs and blocks have the bytes that
// were put into them, whatever is removed or moved beside them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/compaction/blob_keepers.h"
#include "bench/compaction/block_sources.h"
#include "bench/compaction/sqlite_blobs.h"
#include "bench/compaction/temporary_folder.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

std::vector<std::byte> BlobOf(size_t number) {
  return {1 + number * 37 % 10'000, static_cast<std::byte>(number)};
}

template <class Keeper>
void CheckKeeper(Keeper& keeper) {
  constexpr size_t kBlobs = 200;
  std::vector<typename Keeper::Id> ids;
  keeper.Begin();
  for (size_t i = 0; i < kBlobs; ++i) ids.push_back(keeper.Add(BlobOf(i)));
  keeper.Commit();
  keeper.Begin();
  for (size_t i = 0; i < kBlobs; i += 2) keeper.Remove(ids[i]);
  keeper.Commit();
  keeper.Begin();
  for (size_t i = 0; i < kBlobs; i += 2) ids[i] = keeper.Add(BlobOf(i + 1));
  keeper.Commit();
  for (size_t i = 0; i < kBlobs; ++i) {
    EXPECT_EQ(keeper.Load(ids[i]), BlobOf(i % 2 == 0 ? i + 1 : i)) << i;
  }
}

TEST(BlobKeepersTest, EveryBlobIsWhatWasAdded) {
  const TemporaryFolder folder;
  GranaryBlobs in_memory;
  CheckKeeper(in_memory);
  GranaryBlobs in_file(folder.PathOf("granary"));
  CheckKeeper(in_file);
  MapOfMalloc map;
  CheckKeeper(map);
  SqliteBlobs sqlite_in_memory;
  CheckKeeper(sqlite_in_memory);
  SqliteBlobs sqlite_in_file(folder.PathOf("sqlite"));
  CheckKeeper(sqlite_in_file);
}

TEST(BlobKeepersTest, AVacuumLeavesEveryBlob) {
  const TemporaryFolder folder;
  SqliteBlobs keeper(folder.PathOf("sqlite"));
  CheckKeeper(keeper);
  const auto id = keeper.Add(BlobOf(5));
  keeper.Vacuum();
  EXPECT_EQ(keeper.Load(id), BlobOf(5));
}

template <class Source>
void CheckSource(Source& source) {
  CountingTarget<Source> target(source, true);
  std::vector<typename CountingTarget<Source>::Object> objects;
  for (uint64_t bytes = 1; bytes <= 1000; ++bytes) {
    const auto object = target.Allocate(bytes);
    ASSERT_TRUE(object);
    objects.push_back(*object);
  }
  for (size_t i = 0; i < objects.size(); i += 2) target.Free(objects[i]);
  for (size_t i = 1; i < objects.size(); i += 2) target.Remains(objects[i]);
  EXPECT_EQ(target.operations(), 1500u);
  EXPECT_EQ(target.left().size(), 500u);
  EXPECT_EQ(target.left_bytes(), 250'500u);
  EXPECT_FALSE(target.Allocate(uint64_t{1} << 20));
  target.FreeLeft();
}

TEST(BlockSourcesTest, ARefusedBlockIsNothing) {
  HeapBlocks heap(uint64_t{1} << 20);
  CheckSource(heap);
  MallocBlocks blocks(uint64_t{1} << 20);
  CountingTarget<MallocBlocks> target(blocks, true);
  const auto object = target.Allocate(uint64_t{1} << 20);
  ASSERT_TRUE(object);
  EXPECT_FALSE(target.Allocate(1));
  target.Free(*object);
  CheckSource(blocks);
}

TEST(BlockSourcesTest, WhatIsLeftIsWhatWasWrittenAfterDefragmentation) {
  HeapBlocks source(uint64_t{1} << 20);
  CountingTarget<HeapBlocks> target(source, true);
  std::vector<CountingTarget<HeapBlocks>::Object> objects;
  for (uint64_t bytes = 1; bytes <= 500; ++bytes) objects.push_back(*target.Allocate(bytes));
  for (size_t i = 0; i < objects.size(); i += 2) target.Free(objects[i]);
  for (size_t i = 1; i < objects.size(); i += 2) target.Remains(objects[i]);
  EXPECT_GT(source.heap().Fragmentation(), 0);
  source.heap().Defragment();
  EXPECT_EQ(source.heap().Fragmentation(), 0);
  for (const auto& object : target.left()) {
    std::vector<std::byte> bytes(object.bytes);
    ASSERT_TRUE(source.heap().Read(object.block, 0, bytes));
    EXPECT_EQ(bytes, std::vector<std::byte>(object.bytes, kMark));
  }
  target.FreeLeft();
  EXPECT_EQ(source.heap().Stats().blocks, 0u);
}

}  // namespace
}  // namespace granary::bench
