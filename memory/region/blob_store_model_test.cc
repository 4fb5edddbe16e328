// Random calls on stores in memory and in files, with checkpoints, readers and reopenings, against
// a map of what each blob is.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/blob_reader.h"
#include "memory/region/blob_store.h"
#include "memory/region/testing/blob_exercise.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/simulated_files.h"

namespace granary {
namespace {

constexpr uint64_t kStepsPerRound = 2000;

uint64_t Rounds() {
  const char* const chosen = std::getenv("GRANARY_TEST_OPERATIONS");
  const uint64_t steps = chosen != nullptr ? std::strtoull(chosen, nullptr, 10)
                         : kCheckedBuild   ? 20'000
                                           : 60'000;
  return steps / kStepsPerRound + 1;
}

BlobStoreOptions SmallStore(uint64_t grain) {
  return {.grain = grain, .max_bytes = uint64_t{1} << 30, .max_blobs = 1 << 16};
}

TEST(BlobStoreModelTest, InMemory) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  constexpr uint64_t kGrains[] = {1, 16, 100};
  for (uint64_t round = 0; round < Rounds(); ++round) {
    auto store = BlobStore::CreateInMemory(SmallStore(kGrains[round % 3]));
    ASSERT_TRUE(store);
    BlobExercise exercise(**store, seed + round, {.blobs_max = 500, .checkpoint_every = 0});
    for (uint64_t step = 0; step < kStepsPerRound; ++step) {
      ASSERT_TRUE(exercise.Step()) << "step " << step << ": " << exercise.error();
      if (step % 50 != 0) continue;
      ASSERT_TRUE(exercise.CheckAll()) << "step " << step << ": " << exercise.error();
    }
  }
}

// A reader, and what it must see for as long as it is there.
struct Watcher {
  std::unique_ptr<BlobReader> reader;
  BlobModel model;
};

void ExpectUnchanged(const Watcher& watcher) {
  const std::string difference = DifferenceFrom(watcher.model, *watcher.reader);
  EXPECT_EQ(difference, "") << "a reader of checkpoint " << watcher.reader->checkpoint();
}

TEST(BlobStoreModelTest, InAFileWithReadersAndReopenings) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  for (uint64_t round = 0; round < Rounds() && !::testing::Test::HasFailure(); ++round) {
    SimulatedFiles files;
    const BlobFileOptions options = {.store = SmallStore(round % 2 == 0 ? 16 : 1),
                                     .file_calls = &files};
    auto store = BlobStore::OpenFile("blobs", options);
    ASSERT_TRUE(store) << store.error().message;
    // Rounds with more than one leaf, and more than one level.
    BlobExercise exercise(**store, seed + round, {.blobs_max = round % 2 == 0 ? 60U : 700U});
    std::vector<Watcher> watchers;
    for (uint64_t step = 0; step < kStepsPerRound; ++step) {
      ASSERT_TRUE(exercise.Step()) << "step " << step << ": " << exercise.error();
      const uint64_t choice = exercise.Below(200);
      if (choice == 0 && exercise.checkpoint() != 0 && watchers.size() < 4) {
        auto reader = BlobReader::Open("blobs", {.file_calls = &files});
        ASSERT_TRUE(reader) << reader.error().message;
        ASSERT_EQ((*reader)->checkpoint(), exercise.checkpoint());
        watchers.push_back({std::move(*reader), exercise.checkpointed()});
        ExpectUnchanged(watchers.back());
      } else if (choice == 1 && !watchers.empty()) {
        ExpectUnchanged(watchers.front());
        watchers.erase(watchers.begin());
      } else if (choice == 2) {
        // What is not in a checkpoint is lost, with or without readers.
        if (exercise.checkpoint() == 0) continue;
        store->reset();
        store = BlobStore::OpenFile("blobs", options);
        ASSERT_TRUE(store) << "step " << step << ": " << store.error().message;
        ASSERT_EQ((*store)->Stats().checkpoint, exercise.checkpoint());
        exercise.SetStore(**store);
        exercise.SetModel(exercise.checkpointed());
        ASSERT_TRUE(exercise.CheckAll()) << "step " << step << ": " << exercise.error();
      }
      if (step % 50 != 0) continue;
      ASSERT_TRUE(exercise.CheckAll()) << "step " << step << ": " << exercise.error();
      for (const Watcher& watcher : watchers) ExpectUnchanged(watcher);
    }
    ASSERT_TRUE(exercise.Checkpoint()) << exercise.error();
    ASSERT_EQ((*store)->poison(), std::nullopt);
    watchers.clear();
    store->reset();
    EXPECT_EQ(files.open_files(), 0U);
  }
}

}  // namespace
}  // namespace granary
