// That a file, and memory, becomes as small as what is in it, step by step, while it is read.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/file.h"
#include "memory/file_calls.h"
#include "memory/region/blob_reader.h"
#include "memory/region/blob_store.h"
#include "memory/region/testing/blob_exercise.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/simulated_files.h"

namespace granary {
namespace {

constexpr double kGoal = 1.05;

// Nothing is asked here of what survives a crash.
class NoSyncCalls final : public FileCalls {
 public:
  int Sync(int) noexcept override { return 0; }
};

std::string TempPath(const std::string& name) {
  return ::testing::TempDir() + "/blob_shrink_" + name + "_" + std::to_string(::getpid());
}

void RemoveFiles(const std::string& path) {
  for (const char* suffix : {"", ".lock", ".pin0", ".pin1"})
    (void)::unlink((path + suffix).c_str());
}

// Removes each second one at random; what is left.
std::vector<std::pair<BlobId, uint64_t>> RemoveHalf(BlobStore& store,
                                                    std::vector<std::pair<BlobId, uint64_t>> blobs,
                                                    std::mt19937_64& random) {
  std::shuffle(blobs.begin(), blobs.end(), random);
  for (size_t i = blobs.size() / 2; i < blobs.size(); ++i) {
    EXPECT_TRUE(store.Discard(blobs[i].first));
  }
  blobs.resize(blobs.size() / 2);
  return blobs;
}

// Lengths are 1 to 2000 bytes; or between two bounds that are close to each other, so that what a
// blob leaves of a hole is too small for any other.
struct Lengths {
  const char* name;
  uint64_t least;
  uint64_t most;
  size_t blobs;
};

class BlobStoreShrinkTest : public ::testing::TestWithParam<Lengths> {};

TEST_P(BlobStoreShrinkTest, AfterHalfOfManyBlobsAreRemovedTheFileIsAsLongAsTheRest) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const Lengths lengths = GetParam();
  const size_t count = kAddressSanitizer ? lengths.blobs / 5 : lengths.blobs;
  NoSyncCalls calls;
  const std::string path = TempPath(lengths.name);
  RemoveFiles(path);
  auto store = BlobStore::OpenFile(path, {.file_calls = &calls});
  ASSERT_TRUE(store) << store.error().message;
  const BlobBytes content = SomeBytes(lengths.most + count, seed);
  // The ith blob begins with the ith byte.
  std::vector<std::pair<BlobId, uint64_t>> blobs;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t length = lengths.least + random() % (lengths.most - lengths.least + 1);
    blobs.emplace_back(*(*store)->Add(std::span(content).subspan(i, length)), i);
  }
  ASSERT_TRUE((*store)->Checkpoint());
  blobs = RemoveHalf(**store, std::move(blobs), random);
  ASSERT_TRUE((*store)->Checkpoint());
  const uint64_t bytes_before = (*store)->Stats().capacity_bytes;

  constexpr uint64_t kBudget = 4 << 20;
  uint64_t moved_bytes = 0;
  int steps = 0;
  const auto expect_readable = [&](const auto& readable) {
    for (int i = 0; i < 20; ++i) {
      const auto& [id, begin] = blobs[random() % blobs.size()];
      const auto bytes = readable.Load(id);
      ASSERT_TRUE(bytes) << bytes.error().message;
      ASSERT_TRUE(std::equal(bytes->begin(), bytes->end(),
                             content.begin() + static_cast<std::ptrdiff_t>(begin)));
    }
  };
  for (;; ++steps) {
    ASSERT_LT(steps, 1000);
    auto reader = steps % 4 == 0 ? BlobReader::Open(path, {.file_calls = &calls})
                                 : tl::make_unexpected(Error{});
    const auto step = (*store)->Shrink(kBudget);
    ASSERT_TRUE(step) << step.error().message;
    if (step->is_done) break;
    EXPECT_LE(step->moved_bytes, kBudget);
    moved_bytes += step->moved_bytes;
    ASSERT_NO_FATAL_FAILURE(expect_readable(**store));
    ASSERT_TRUE((*store)->Checkpoint());
    ASSERT_NO_FATAL_FAILURE(expect_readable(**store));
    if (!reader) continue;
    ASSERT_NO_FATAL_FAILURE(expect_readable(**reader));
  }
  const BlobStats stats = (*store)->Stats();
  const auto live = static_cast<double>(stats.region.used_bytes);
  const double ratio = static_cast<double>(stats.capacity_bytes) / live;
  const double against_lengths =
      static_cast<double>(stats.capacity_bytes) / static_cast<double>(stats.blob_bytes);
  SCOPED_TRACE(std::to_string(bytes_before) + " -> " + std::to_string(stats.capacity_bytes) +
               " bytes in " + std::to_string(steps) + " steps, " + std::to_string(moved_bytes) +
               " moved");
  EXPECT_LE(ratio, kGoal);
  // Where blobs are not small, what the grain and the directory take is in it as well.
  if (stats.blob_bytes >= 1000 * stats.blobs) {
    EXPECT_LE(against_lengths, kGoal);
  }
  EXPECT_LE(static_cast<double>(moved_bytes), 2 * live);
  const auto valid = (*store)->Validate();
  EXPECT_TRUE(valid) << valid.error().message;
  // The file is as long as it says.
  EXPECT_EQ(File::Open(path, O_RDONLY)->Size(), stats.capacity_bytes + 8192);
  store->reset();
  store = BlobStore::OpenFile(path, {.file_calls = &calls});
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->Stats().blobs, blobs.size());
  ASSERT_NO_FATAL_FAILURE(expect_readable(**store));
  store->reset();
  RemoveFiles(path);
}

INSTANTIATE_TEST_SUITE_P(Lengths, BlobStoreShrinkTest,
                         ::testing::Values(Lengths{"any", 30, 2000, 100'000},
                                           Lengths{"equal", 700, 700, 20'000},
                                           Lengths{"close", 600, 800, 20'000},
                                           Lengths{"small", 100, 130, 20'000}),
                         [](const auto& named) { return std::string(named.param.name); });

// Steps, with a checkpoint after each, until there is nothing to do; how many.
int ShrinkAll(BlobStore& store, uint64_t budget) {
  constexpr int kStepsMax = 10'000;
  for (int steps = 0; steps < kStepsMax; ++steps) {
    const auto step = store.Shrink(budget);
    EXPECT_TRUE(step) << step.error().message;
    if (!step || step->is_done) return steps;
    EXPECT_TRUE(store.Checkpoint());
  }
  ADD_FAILURE() << "no end after " << kStepsMax << " steps";
  return kStepsMax;
}

BlobFileOptions OptionsFor(FileCalls& calls) {
  return {.store = {.max_bytes = uint64_t{1} << 26, .max_blobs = 1 << 14}, .file_calls = &calls};
}

TEST(BlobStoreShrinkEndTest, ItComesToAnEndWhateverIsThere) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const int rounds = kCheckedBuild ? 30 : 150;
  int steps = 0;
  for (int round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
    SimulatedFiles files;
    auto store = *BlobStore::OpenFile("blobs", OptionsFor(files));
    BlobExercise exercise(*store, random(),
                          {.bytes_max = 1 + random() % 3000, .blobs_max = 1 + random() % 400});
    for (int i = 0; i < 600; ++i) ASSERT_TRUE(exercise.Step()) << exercise.error();
    steps += ShrinkAll(*store, 1 + random() % 20'000);
    ASSERT_TRUE(exercise.CheckAll()) << exercise.error();
    // And stays there.
    EXPECT_EQ(ShrinkAll(*store, 1000), 0);
  }
  // In some there is nothing to do.
  EXPECT_GE(steps, rounds);
}

TEST(BlobStoreShrinkEndTest, AReaderHoldsBackTheEndOfTheFileAndNothingElse) {
  SimulatedFiles files;
  auto store = *BlobStore::OpenFile("blobs", OptionsFor(files));
  BlobModel model;
  std::vector<BlobId> ids;
  for (uint64_t i = 0; i < 1000; ++i) {
    ids.push_back(*store->Add(SomeBytes(500, i)));
    model.emplace(ids.back(), SomeBytes(500, i));
  }
  ASSERT_TRUE(store->Checkpoint());
  auto reader = *BlobReader::Open("blobs", {.file_calls = &files});
  for (size_t i = 0; i < 900; ++i) ASSERT_TRUE(store->Discard(ids[i]));
  ASSERT_TRUE(store->Checkpoint());
  const uint64_t before = store->Stats().capacity_bytes;
  (void)ShrinkAll(*store, 10'000);
  EXPECT_GE(store->Stats().capacity_bytes, before);
  EXPECT_EQ(DifferenceFrom(model, *reader), "");
  reader.reset();
  (void)ShrinkAll(*store, 10'000);
  EXPECT_LE(store->Stats().capacity_bytes, before / 8);
  for (size_t i = 900; i < 1000; ++i) EXPECT_EQ(*store->Load(ids[i]), SomeBytes(500, i));
}

}  // namespace
}  // namespace granary
