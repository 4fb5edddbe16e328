// A run of a thousand steps on a file, whose power is cut, or whose process is killed, in every
// call that it makes: what opens afterwards is the last checkpoint, with nothing lost, nothing
// doubled and nothing that it would trip over later.
//
// GRANARY_TEST_CRASHES sets how many of the calls are tried, evenly spread; all, if it is 0.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "memory/region/blob_reader.h"
#include "memory/region/blob_store.h"
#include "memory/region/testing/blob_exercise.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/simulated_files.h"

namespace granary {
namespace {

constexpr uint64_t kSteps = 1000;
constexpr const char* kPath = "folder/blobs";

// What every checkpoint of a run has, by its number.
using History = std::map<uint64_t, BlobModel>;

BlobFileOptions OptionsFor(FileCalls& calls) {
  return {.store = {.grain = 16, .max_bytes = uint64_t{1} << 24, .max_blobs = 1 << 12},
          .file_calls = &calls};
}

// Steps until one fails or all are done; the last checkpoint that returned, 0 for none. The same
// steps for the same seed, whatever the calls answer, until one fails.
uint64_t RunSteps(FileCalls& calls, uint64_t seed, History* history) {
  auto store = BlobStore::OpenFile(kPath, OptionsFor(calls));
  if (!store) return 0;
  uint64_t last = (*store)->Stats().checkpoint;
  if (history != nullptr) history->emplace(last, BlobModel());
  BlobExercise exercise(**store, seed);
  for (uint64_t step = 0; step < kSteps; ++step) {
    if (!exercise.Step()) {
      EXPECT_FALSE(exercise.is_mistaken()) << "step " << step << ": " << exercise.error();
      return last;
    }
    if (exercise.checkpoint() <= last) continue;
    last = exercise.checkpoint();
    if (history != nullptr) history->emplace(last, exercise.checkpointed());
  }
  return last;
}

uint64_t StrideOf(uint64_t calls) {
  const char* const chosen = std::getenv("GRANARY_TEST_CRASHES");
  const uint64_t crashes = chosen != nullptr ? std::strtoull(chosen, nullptr, 10)
                           : kCheckedBuild   ? 100
                                             : 1000;
  return crashes == 0 ? 1 : std::max<uint64_t>(1, calls / crashes);
}

// What opens is checkpoint `last`, or the one that was being made.
void ExpectLastCheckpoint(SimulatedFiles& files, const History& history, uint64_t last,
                          uint64_t seed) {
  auto store = BlobStore::OpenFile(kPath, OptionsFor(files));
  ASSERT_TRUE(store) << store.error().message;
  const uint64_t opened = (*store)->Stats().checkpoint;
  // Of a file that was not there yet nothing is expected but that it can be made.
  ASSERT_TRUE(opened == last || opened == last + 1) << opened << " instead of " << last;
  const auto expected = history.find(opened);
  ASSERT_NE(expected, history.end()) << opened;
  ASSERT_EQ(DifferenceFrom(expected->second, **store), "");
  {
    auto reader = BlobReader::Open(kPath, {.file_calls = &files});
    ASSERT_TRUE(reader) << reader.error().message;
    ASSERT_EQ(DifferenceFrom(expected->second, **reader), "");
  }
  // It goes on, and can be opened again.
  BlobExercise exercise(**store, seed);
  exercise.SetModel(expected->second);
  ASSERT_TRUE(exercise.CheckAll()) << exercise.error();
  for (int step = 0; step < 20; ++step) ASSERT_TRUE(exercise.Step()) << exercise.error();
  ASSERT_TRUE(exercise.Checkpoint()) << exercise.error();
  store->reset();
  store = BlobStore::OpenFile(kPath, OptionsFor(files));
  ASSERT_TRUE(store) << store.error().message;
  exercise.SetStore(**store);
  ASSERT_TRUE(exercise.CheckAll()) << exercise.error();
}

class BlobStoreCrashTest : public ::testing::Test {
 protected:
  // Calls `crash(nth, seed, history, random)` for calls of a run that goes to its end, whose
  // checkpoints are in `history`.
  template <class Crash>
  void InEveryCall(const Crash& crash) {
    const uint64_t seed = RandomTestSeed();
    SCOPED_TRACE(HowToReplay(seed));
    History history;
    SimulatedFiles whole;
    ASSERT_NE(RunSteps(whole, seed, &history), 0U);
    const uint64_t calls = whole.calls();
    const uint64_t stride = StrideOf(calls);
    std::mt19937_64 random(seed);
    for (uint64_t nth = 1 + seed % stride; nth <= calls; nth += stride) {
      SCOPED_TRACE("in call " + std::to_string(nth) + " of " + std::to_string(calls));
      crash(nth, seed, history, random);
      if (HasFailure()) return;
    }
  }

  // `crash(files, nth)` says what is to come, `come_up(files)` is what comes after it.
  template <class Crash, class ComeUp>
  void CrashInEveryCall(const Crash& crash, const ComeUp& come_up) {
    InEveryCall([&](uint64_t nth, uint64_t seed, const History& history, std::mt19937_64& random) {
      SimulatedFiles files;
      crash(files, nth);
      const uint64_t last = RunSteps(files, seed, nullptr);
      come_up(files, random);
      ExpectLastCheckpoint(files, history, last, seed + nth);
    });
  }
};

TEST_F(BlobStoreCrashTest, APowerCutInAnyCallLeavesTheLastCheckpoint) {
  CrashInEveryCall([](SimulatedFiles& files, uint64_t nth) { files.CutPower(nth); },
                   [](SimulatedFiles& files, std::mt19937_64& random) { files.Reboot(random); });
}

TEST_F(BlobStoreCrashTest, AKillInAnyCallLeavesTheLastCheckpoint) {
  CrashInEveryCall([](SimulatedFiles& files, uint64_t nth) { files.Kill(nth); },
                   [](SimulatedFiles& files, std::mt19937_64& random) { files.Restart(random); });
}

// What a killed process left in the system's cache was on no disk: the next one must not build on
// it before it is.
TEST_F(BlobStoreCrashTest, APowerCutAfterAKillInAnyCallLeavesTheLastCheckpoint) {
  InEveryCall([](uint64_t nth, uint64_t seed, const History& history, std::mt19937_64& random) {
    SimulatedFiles files;
    files.Kill(nth);
    const uint64_t first = RunSteps(files, seed, nullptr);
    files.Restart(random);
    // The second process goes on for a while, then the power goes.
    uint64_t last = 0;
    History after;
    files.CutPower(1 + random() % 150);
    {
      auto store = BlobStore::OpenFile(kPath, OptionsFor(files));
      if (store) {
        last = (*store)->Stats().checkpoint;
        ASSERT_TRUE(history.contains(last)) << last;
        after.emplace(last, history.at(last));
        BlobExercise exercise(**store, seed + nth, {.checkpoint_every = 10});
        exercise.SetModel(history.at(last));
        while (exercise.Step()) {
          if (exercise.checkpoint() > last)
            after.emplace(last = exercise.checkpoint(), exercise.model());
        }
        ASSERT_FALSE(exercise.is_mistaken()) << exercise.error();
        // The one that was being made, if one was.
        after.emplace(last + 1, exercise.model());
      } else {
        // It never said which checkpoint it had: it is that of the first process.
        for (const uint64_t known : {first, first + 1}) {
          if (history.contains(known)) after.emplace(known, history.at(known));
        }
      }
    }
    files.Reboot(random);
    auto store = BlobStore::OpenFile(kPath, OptionsFor(files));
    ASSERT_TRUE(store) << store.error().message;
    const uint64_t opened = (*store)->Stats().checkpoint;
    if (last != 0) {
      ASSERT_TRUE(opened == last || opened == last + 1) << opened;
    }
    ASSERT_TRUE(after.contains(opened)) << opened;
    ASSERT_EQ(DifferenceFrom(after.at(opened), **store), "");
    const auto valid = (*store)->Validate();
    ASSERT_TRUE(valid) << valid.error().message;
  });
}

}  // namespace
}  // namespace granary
