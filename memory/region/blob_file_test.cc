// What a BlobStore in a file does: checkpoints, reopening, readers beside the writer, and what it
// says of files that are damaged.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "memory/crc32c.h"
#include "memory/file_calls.h"
#include "memory/region/blob_format.h"
#include "memory/region/blob_reader.h"
#include "memory/region/blob_store.h"
#include "memory/region/blob_table.h"
#include "memory/region/testing/blob_exercise.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/simulated_files.h"

namespace granary {

void PrintTo(const Range& range, std::ostream* out) {
  *out << "[" << range.offset << ", +" << range.size << ")";
}

namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using Call = SimulatedFiles::Call;

constexpr const char* kPath = "blobs";

BlobFileOptions OptionsFor(FileCalls& calls) {
  return {.store = {.max_bytes = uint64_t{1} << 26, .max_blobs = 1 << 16}, .file_calls = &calls};
}

std::unique_ptr<BlobStore> Opened(FileCalls& calls) {
  auto store = BlobStore::OpenFile(kPath, OptionsFor(calls));
  EXPECT_TRUE(store) << store.error().message;
  return store ? std::move(*store) : nullptr;
}

std::unique_ptr<BlobReader> Reading(FileCalls& calls) {
  auto reader = BlobReader::Open(kPath, {.file_calls = &calls});
  EXPECT_TRUE(reader) << reader.error().message;
  return reader ? std::move(*reader) : nullptr;
}

// --- Reopening ----------------------------------------------------------------------------------

TEST(BlobFileTest, OpensAsTheLastCheckpointLeftIt) {
  SimulatedFiles files;
  auto store = Opened(files);
  const BlobId a = *store->Add(SomeBytes(100, 1));
  const BlobId b = *store->Add(SomeBytes(200, 2));
  const BlobId empty = *store->Add({});
  EXPECT_EQ(store->Checkpoint(), 2U);
  // All of this is lost.
  ASSERT_TRUE(store->Replace(a, SomeBytes(300, 3)));
  ASSERT_TRUE(store->Discard(b));
  const BlobId c = *store->Add(SomeBytes(400, 4));
  store.reset();
  store = Opened(files);
  EXPECT_EQ(DifferenceFrom({{a, SomeBytes(100, 1)}, {b, SomeBytes(200, 2)}, {empty, {}}}, *store),
            "");
  EXPECT_FALSE(store->Contains(c));
  EXPECT_EQ(store->Stats().checkpoint, 2U);
}

TEST(BlobFileTest, IdsAreStaleAfterReopeningAsWell) {
  SimulatedFiles files;
  auto store = Opened(files);
  const BlobId old = *store->Add(SomeBytes(100, 1));
  ASSERT_TRUE(store->Discard(old));
  ASSERT_TRUE(store->Checkpoint());
  store.reset();
  store = Opened(files);
  const BlobId again = *store->Add(SomeBytes(100, 2));
  EXPECT_EQ(again.index, old.index);
  EXPECT_NE(again, old);
  EXPECT_FALSE(store->Contains(old));
}

TEST(BlobFileTest, AReopenedStoreGoesOnAsTheOneBeforeIt) {
  SimulatedFiles files;
  std::mt19937_64 random(7);
  auto store = Opened(files);
  std::vector<BlobId> ids;
  for (int i = 0; i < 500; ++i) ids.push_back(*store->Add(SomeBytes(1 + random() % 100, random())));
  std::shuffle(ids.begin(), ids.end(), random);
  for (int i = 0; i < 250; ++i) ASSERT_TRUE(store->Discard(ids[static_cast<size_t>(i)]));
  ASSERT_TRUE(store->Checkpoint());
  files.Put("copy", *files.Contents(kPath));
  auto copy = *BlobStore::OpenFile("copy", OptionsFor(files));
  for (int i = 0; i < 300; ++i) {
    const BlobBytes bytes = SomeBytes(1 + random() % 100, random());
    EXPECT_EQ(*store->AddressOf(*store->Add(bytes)), *copy->AddressOf(*copy->Add(bytes)));
  }
}

TEST(BlobFileTest, ACheckpointOfNothingNewWritesNothing) {
  SimulatedFiles files;
  auto store = Opened(files);
  const BlobId id = *store->Add(SomeBytes(100, 1));
  EXPECT_EQ(store->Checkpoint(), 2U);
  files.ForgetCalls();
  EXPECT_EQ(store->Checkpoint(), 2U);
  EXPECT_TRUE(store->Load(id));
  EXPECT_EQ(store->Checkpoint(), 2U);
  EXPECT_EQ(files.calls(Call::kWriteAt), 0U);
  EXPECT_EQ(files.calls(Call::kSync), 0U);
}

// Counts the bytes that are written.
class CountingCalls final : public FileCalls {
 public:
  explicit CountingCalls(FileCalls& calls) : calls_(calls) {}
  uint64_t written = 0;
  uint64_t syncs = 0;

  int Open(const char* path, int flags, mode_t mode) noexcept override {
    return calls_.Open(path, flags, mode);
  }
  int Close(int file) noexcept override { return calls_.Close(file); }
  ssize_t ReadAt(int file, void* bytes, size_t count, off_t offset) noexcept override {
    return calls_.ReadAt(file, bytes, count, offset);
  }
  ssize_t WriteAt(int file, const void* bytes, size_t count, off_t offset) noexcept override {
    written += count;
    return calls_.WriteAt(file, bytes, count, offset);
  }
  int Sync(int file) noexcept override {
    ++syncs;
    return calls_.Sync(file);
  }
  int Truncate(int file, off_t bytes) noexcept override { return calls_.Truncate(file, bytes); }
  off_t Size(int file) noexcept override { return calls_.Size(file); }
  int Rename(const char* from, const char* to) noexcept override { return calls_.Rename(from, to); }
  int Lock(int file, bool is_exclusive) noexcept override {
    return calls_.Lock(file, is_exclusive);
  }

 private:
  FileCalls& calls_;
};

TEST(BlobFileTest, ACheckpointCostsWhatHasChangedAndNotWhatIsThere) {
  SimulatedFiles files;
  CountingCalls calls(files);
  auto store = Opened(calls);
  constexpr uint32_t kBlobs = 50'000;
  std::vector<BlobId> ids;
  for (uint32_t i = 0; i < kBlobs; ++i) ids.push_back(*store->Add(SomeBytes(8, i)));
  calls.written = 0;
  ASSERT_TRUE(store->Checkpoint());
  // All of them: 24 bytes each, and a little for what is above.
  EXPECT_GE(calls.written, kBlobs * 24U);
  EXPECT_LE(calls.written, kBlobs * 25U);
  // One: a leaf, the nodes above it, and the header.
  ASSERT_TRUE(store->Replace(ids[777], SomeBytes(8, 1)));
  calls.written = 0;
  calls.syncs = 0;
  ASSERT_TRUE(store->Checkpoint());
  EXPECT_EQ(calls.syncs, 2U);
  EXPECT_LE(calls.written, 3 * blob::kNodeBytesMax + blob::kHeaderPairBytes);
  // A thousand neighbours: nine leaves at most.
  for (uint32_t i = 1000; i < 2000; ++i) ASSERT_TRUE(store->Replace(ids[i], SomeBytes(8, 1)));
  calls.written = 0;
  ASSERT_TRUE(store->Checkpoint());
  EXPECT_LE(calls.written, 11 * blob::kNodeBytesMax + blob::kHeaderPairBytes);
}

// --- Space --------------------------------------------------------------------------------------

TEST(BlobFileTest, WhatNoCheckpointHasIsFreeAtOnce) {
  SimulatedFiles files;
  auto store = Opened(files);
  const Range place = *store->AddressOf(*store->Add(SomeBytes(100, 1)));
  ASSERT_TRUE(store->Discard({0, 1}));
  EXPECT_EQ(*store->AddressOf(*store->Add(SomeBytes(100, 2))), place);
}

TEST(BlobFileTest, WhatTheLastCheckpointHasIsFreeAfterTheNext) {
  SimulatedFiles files;
  auto store = Opened(files);
  const BlobId a = *store->Add(SomeBytes(4096, 1));
  const Range place = *store->AddressOf(a);
  ASSERT_TRUE(store->Checkpoint());
  ASSERT_TRUE(store->Replace(a, SomeBytes(4096, 2)));
  EXPECT_NE(*store->AddressOf(a), place);
  EXPECT_EQ(store->Stats().region.pending_bytes, 4096U);
  EXPECT_NE(*store->AddressOf(*store->Add(SomeBytes(4096, 3))), place);
  ASSERT_TRUE(store->Checkpoint());
  EXPECT_EQ(store->Stats().region.pending_bytes, 0U);
  EXPECT_EQ(*store->AddressOf(*store->Add(SomeBytes(4096, 4))), place);
}

TEST(BlobFileTest, AStoreThatChangesButDoesNotGrowTakesNoMoreAndMoreSpace) {
  SimulatedFiles files;
  auto store = Opened(files);
  std::vector<BlobId> ids;
  for (uint64_t i = 0; i < 300; ++i) ids.push_back(*store->Add(SomeBytes(500, i)));
  for (uint64_t round = 0; round < 200; ++round) {
    for (uint64_t i = 0; i < 10; ++i) {
      ASSERT_TRUE(store->Replace(ids[(round * 7 + i * 31) % 300], SomeBytes(500, round)));
    }
    ASSERT_TRUE(store->Checkpoint());
  }
  // Twice what ten blobs and the nodes take, besides the blobs.
  EXPECT_LE(store->Stats().region.size_bytes,
            300 * 512 + 2 * (10 * 512 + 4 * (blob::kNodeBytesMax + 16)));
}

// --- Writers and readers ------------------------------------------------------------------------

TEST(BlobFileTest, ASecondWriterIsBusy) {
  SimulatedFiles files;
  auto store = Opened(files);
  const auto second = BlobStore::OpenFile(kPath, OptionsFor(files));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kBusy);
  EXPECT_EQ(second.error().message, "blobs: another writer has it open");
  store.reset();
  EXPECT_NE(Opened(files), nullptr);
}

TEST(BlobFileTest, TheModeSaysWhetherItMustBeThere) {
  SimulatedFiles files;
  BlobFileOptions options = OptionsFor(files);
  options.mode = BlobFileOptions::Mode::kOpen;
  EXPECT_EQ(BlobStore::OpenFile(kPath, options).error().system_errno, ENOENT);
  options.mode = BlobFileOptions::Mode::kCreate;
  EXPECT_TRUE(BlobStore::OpenFile(kPath, options));
  const auto again = BlobStore::OpenFile(kPath, options);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message, "blobs: it is there already");
  options.mode = BlobFileOptions::Mode::kOpen;
  EXPECT_TRUE(BlobStore::OpenFile(kPath, options));
  EXPECT_EQ(files.open_files(), 0U);
}

TEST(BlobFileTest, AFileKeepsItsGrain) {
  SimulatedFiles files;
  BlobFileOptions options = OptionsFor(files);
  options.store.grain = 512;
  auto store = *BlobStore::OpenFile(kPath, options);
  ASSERT_TRUE(store->Add(SomeBytes(10, 1)));
  ASSERT_TRUE(store->Checkpoint());
  store.reset();
  store = Opened(files);
  EXPECT_EQ(store->AddressOf(*store->Add(SomeBytes(10, 2)))->offset % 512, 0U);
}

TEST(BlobFileTest, MoreThanMaxBytesAreNotOpened) {
  SimulatedFiles files;
  auto store = Opened(files);
  ASSERT_TRUE(store->Add(SomeBytes(10'000, 1)));
  ASSERT_TRUE(store->Checkpoint());
  store.reset();
  BlobFileOptions options = OptionsFor(files);
  options.store.max_bytes = 10'000;
  EXPECT_EQ(BlobStore::OpenFile(kPath, options).error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(files.open_files(), 0U);
}

TEST(BlobFileTest, AReaderSeesItsCheckpointWhateverTheWriterDoes) {
  SimulatedFiles files;
  auto store = Opened(files);
  BlobModel model;
  for (uint64_t i = 0; i < 200; ++i) {
    const BlobBytes bytes = SomeBytes(i, i);
    model.emplace(*store->Add(bytes), bytes);
  }
  ASSERT_TRUE(store->Checkpoint());
  auto reader = Reading(files);
  for (int round = 0; round < 20; ++round) {
    for (const auto& [id, bytes] : model) {
      ASSERT_TRUE(store->Replace(id, SomeBytes(bytes.size(), 1000)));
    }
    ASSERT_TRUE(store->Checkpoint());
    ASSERT_TRUE(store->Shrink(10'000));
    ASSERT_EQ(DifferenceFrom(model, *reader), "");
  }
  EXPECT_EQ(reader->checkpoint(), 2U);
  EXPECT_EQ(reader->blobs(), 200U);
  // Another one sees what is new.
  EXPECT_EQ(Reading(files)->checkpoint(), store->Stats().checkpoint);
}

TEST(BlobFileTest, WhatAReaderReadsIsFreeWhenItHasGone) {
  SimulatedFiles files;
  auto store = Opened(files);
  const BlobId id = *store->Add(SomeBytes(5000, 1));
  ASSERT_TRUE(store->Checkpoint());
  auto reader = Reading(files);
  ASSERT_TRUE(store->Discard(id));
  ASSERT_TRUE(store->Checkpoint());
  EXPECT_GE(store->Stats().region.pending_bytes, 5000U);
  // Readers that come later hold nothing up, though one of them has the same pin.
  auto later = Reading(files);
  ASSERT_TRUE(store->Add({}));
  ASSERT_TRUE(store->Checkpoint());
  auto latest = Reading(files);
  EXPECT_GE(store->Stats().region.pending_bytes, 5000U);
  reader.reset();
  latest.reset();
  ASSERT_TRUE(store->Checkpoint());
  EXPECT_LT(store->Stats().region.pending_bytes, 5000U);
  later.reset();
  ASSERT_TRUE(store->Checkpoint());
  EXPECT_EQ(store->Stats().region.pending_bytes, 0U);
}

TEST(BlobFileTest, AnotherWriterHonoursTheReadersOfTheOneBefore) {
  SimulatedFiles files;
  auto store = Opened(files);
  const BlobBytes bytes = SomeBytes(5000, 1);
  const BlobId id = *store->Add(bytes);
  ASSERT_TRUE(store->Checkpoint());
  auto reader = Reading(files);
  ASSERT_TRUE(store->Discard(id));
  ASSERT_TRUE(store->Checkpoint());
  store.reset();
  store = Opened(files);
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(store->Add(SomeBytes(5000, 2)));
    ASSERT_TRUE(store->Checkpoint());
    ASSERT_TRUE(store->Shrink(10'000));
  }
  EXPECT_EQ(*reader->Load(id), bytes);
  reader.reset();
  ASSERT_TRUE(store->Checkpoint());
  EXPECT_EQ(store->Stats().region.pending_bytes, 0U);
}

TEST(BlobFileTest, AReaderNeedsAFile) {
  SimulatedFiles files;
  const auto reader = BlobReader::Open(kPath, {.file_calls = &files});
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().system_errno, ENOENT);
}

// --- Damage -------------------------------------------------------------------------------------

// The file after a few checkpoints, and what it has.
struct Written {
  std::vector<std::byte> file;
  BlobModel model;
  uint64_t checkpoint = 0;
};

Written WriteSome() {
  SimulatedFiles files;
  auto store = Opened(files);
  BlobExercise exercise(*store, 11, {.blobs_max = 150, .shrink_every = 0});
  for (int i = 0; i < 600; ++i) EXPECT_TRUE(exercise.Step()) << exercise.error();
  EXPECT_TRUE(exercise.Checkpoint());
  return {*files.Contents(kPath), exercise.model(), exercise.checkpoint()};
}

TEST(BlobFileTest, NoFlippedBitGoesUnnoticed) {
  const Written written = WriteSome();
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const size_t stride = kCheckedBuild ? 17 : 3;
  size_t found = 0;
  for (size_t at = seed % stride; at < written.file.size(); at += stride) {
    SimulatedFiles files;
    std::vector<std::byte> damaged = written.file;
    damaged[at] ^= static_cast<std::byte>(1 << random() % 8);
    files.Put(kPath, damaged);
    const auto reader = BlobReader::Open(kPath, {.file_calls = &files});
    if (!reader) {
      EXPECT_EQ(reader.error().code, ErrorCode::kCorrupt) << reader.error().message;
      EXPECT_GE(at, blob::kRegionBegin);
      ++found;
      continue;
    }
    // Each header is there twice.
    EXPECT_EQ((*reader)->checkpoint(), written.checkpoint);
    size_t wrong = 0;
    for (const auto& [id, bytes] : written.model) {
      const auto loaded = (*reader)->Load(id);
      if (loaded) {
        ASSERT_EQ(*loaded, bytes) << at;
      } else {
        EXPECT_EQ(loaded.error().code, ErrorCode::kCorrupt);
        ++wrong;
      }
    }
    EXPECT_LE(wrong, 1U);
    found += wrong;
  }
  EXPECT_GT(found, 0U);
}

TEST(BlobFileTest, NoTruncationGoesUnnoticed) {
  const Written written = WriteSome();
  for (size_t size = 0; size < written.file.size(); size += 37) {
    SimulatedFiles files;
    files.Put(kPath, std::span(written.file).first(size));
    const auto store = BlobStore::OpenFile(kPath, OptionsFor(files));
    if (store) {
      // A free end is nothing that anybody misses.
      EXPECT_EQ(DifferenceFrom(written.model, **store), "") << size;
    } else {
      EXPECT_THAT(store.error().code, AnyOf(ErrorCode::kCorrupt, ErrorCode::kIo));
    }
    EXPECT_EQ(files.unsynced_writes(kPath), 0U);
  }
}

TEST(BlobFileTest, AnotherVersionIsRefusedAndNotOverwritten) {
  Written written = WriteSome();
  // The newer header, of version 2.
  const size_t slot = written.checkpoint % 2 * blob::kHeaderDistance;
  written.file[slot + 8] = std::byte{2};
  const std::span header = std::span(written.file).subspan(slot, blob::kHeaderBytes);
  blob::Encoder(header.data() + 124).Put32(Crc32c(header.first(124)));
  SimulatedFiles files;
  files.Put(kPath, written.file);
  const auto store = BlobStore::OpenFile(kPath, OptionsFor(files));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(store.error().message, HasSubstr("it is of version 2, and only 1 is known"));
  EXPECT_EQ(*files.Contents(kPath), written.file);
}

// A header of the newest checkpoint that went bad is written again by the next writer.
TEST(BlobFileTest, AHeaderIsMendedFromItsCopy) {
  const Written written = WriteSome();
  const size_t page = written.checkpoint % 2 * blob::kHeaderDistance;
  for (const size_t at : {page, page + blob::kHeaderCopyAt}) {
    SimulatedFiles files;
    std::vector<std::byte> damaged = written.file;
    damaged[at + 20] ^= std::byte{1};
    files.Put(kPath, damaged);
    EXPECT_EQ(DifferenceFrom(written.model, *Opened(files)), "");
    EXPECT_EQ(*files.Contents(kPath), written.file);
  }
}

// docs/blob_file.md, by hand.
TEST(BlobFileTest, TheBytesAreThoseOfTheDocument) {
  SimulatedFiles files;
  auto store = Opened(files);
  const BlobBytes hello = {std::byte{'h'}, std::byte{'e'}, std::byte{'l'}, std::byte{'l'},
                           std::byte{'o'}};
  ASSERT_TRUE(store->Add(hello));
  ASSERT_TRUE(store->Add({}));
  const BlobId gone = *store->Add(SomeBytes(1, 1));
  ASSERT_TRUE(store->Discard(gone));
  ASSERT_EQ(store->Checkpoint(), 2U);
  const std::vector<std::byte> file = *files.Contents(kPath);
  const auto put = [](std::vector<std::byte>& bytes, uint64_t number, int count) {
    for (int i = 0; i < count; ++i) bytes.push_back(static_cast<std::byte>(number >> (8 * i)));
  };
  // Slot 0 has "hello", slot 1 an empty blob, slot 2 had one.
  std::vector<std::byte> leaf;
  for (const char c : {'G', 'B', 'N', 'D'}) leaf.push_back(static_cast<std::byte>(c));
  for (const uint64_t number : {0U, 0U, 3U, 1U, 1U, 2U}) put(leaf, number, 4);
  put(leaf, 0, 8);
  put(leaf, 5, 8);
  put(leaf, Crc32c(hello), 4);
  put(leaf, 0, 8);
  put(leaf, 0, 8);
  put(leaf, 0, 4);
  ASSERT_EQ(leaf.size(), 16U + 3 * 4 + 2 * 20);
  std::vector<std::byte> header;
  for (const char c : {'G', 'R', 'N', 'B', 'L', 'O', 'B', '\n'}) {
    header.push_back(static_cast<std::byte>(c));
  }
  put(header, 1, 4);
  put(header, 128, 4);
  for (const uint64_t number : {2U, 16U, 96U, 96U, 2U, 5U}) put(header, number, 8);
  put(header, 3, 4);
  put(header, 1, 4);
  put(header, 16, 8);
  put(header, leaf.size(), 4);
  put(header, Crc32c(leaf), 4);
  header.resize(124);
  put(header, Crc32c(header), 4);

  const auto at = [&](size_t begin, size_t count) {
    const auto first = file.begin() + static_cast<std::ptrdiff_t>(begin);
    return std::vector<std::byte>(first, first + static_cast<std::ptrdiff_t>(count));
  };
  EXPECT_EQ(at(0, 128), header);
  EXPECT_EQ(at(2048, 128), header);
  EXPECT_EQ(at(8192, 5), hello);
  EXPECT_EQ(at(8192 + 16, leaf.size()), leaf);
}

TEST(BlobFileTest, AReaderOfAMappedFileHasViewsThatStay) {
  const std::string path = ::testing::TempDir() + "/blob_views_" + std::to_string(::getpid());
  auto store = *BlobStore::OpenFile(path, {.store = OptionsFor(FileCalls::Real()).store});
  const BlobId id = *store->Add(SomeBytes(10'000, 1));
  ASSERT_TRUE(store->Checkpoint());
  {
    auto reader = *BlobReader::Open(path, {.is_mapped = true});
    const std::span<const std::byte> view = *reader->View(id);
    for (uint64_t i = 2; i < 10; ++i) {
      ASSERT_TRUE(store->Replace(id, SomeBytes(10'000 / i, i)));
      ASSERT_TRUE(store->Checkpoint());
      ASSERT_TRUE(store->Shrink(100'000));
    }
    EXPECT_EQ(BlobBytes(view.begin(), view.end()), SomeBytes(10'000, 1));
  }
  store.reset();
  for (const char* suffix : {"", ".lock", ".pin0", ".pin1"}) {
    (void)::unlink((path + suffix).c_str());
  }
}

TEST(BlobTableTest, ASlotWhoseGenerationsAreUsedUpIsNotTakenAgain) {
  auto table = *blob::BlobTable::Create(4, nullptr);
  ASSERT_TRUE(table.AddSlot());
  table.At(0).generation = UINT32_MAX - 3;
  const BlobId last = table.IdOf(table.Take(1));
  EXPECT_EQ(last, (BlobId{0, UINT32_MAX - 2}));
  table.Release(*table.Find(last));
  EXPECT_FALSE(table.has_free_slot());
  EXPECT_EQ(table.Find(last), nullptr);
  ASSERT_TRUE(table.AddSlot());
  EXPECT_EQ(table.IdOf(table.Take(1)), (BlobId{1, 1}));
}

TEST(BlobFileTest, AFileThatIsNoneOfOursIsRefusedAndNotOverwritten) {
  for (const size_t size : {0U, 1U, 100U, 5000U, 20'000U}) {
    SimulatedFiles files;
    const BlobBytes foreign = SomeBytes(size, size);
    files.Put(kPath, foreign);
    const auto store = BlobStore::OpenFile(kPath, OptionsFor(files));
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(store.error().message, HasSubstr("blobs: neither header is one"));
    EXPECT_EQ(*files.Contents(kPath), foreign);
  }
}

}  // namespace
}  // namespace granary
