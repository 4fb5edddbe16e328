// A real process that writes a real file, killed with SIGKILL at a moment that nobody chose, again
// and again: each time the file opens as a checkpoint that the process told of, or the one after
// it.
//
// GRANARY_TEST_KILLS sets how often.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "memory/file.h"
#include "memory/region/blob_store.h"
#include "memory/region/testing/blob_exercise.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

constexpr BlobExerciseOptions kExercise = {.bytes_max = 20'000, .checkpoint_every = 8};

int Kills() {
  const char* const chosen = std::getenv("GRANARY_TEST_KILLS");
  return chosen != nullptr ? std::atoi(chosen) : 25;
}

BlobFileOptions FileOptions() {
  return {.store = {.max_bytes = uint64_t{1} << 30, .max_blobs = 1 << 14}};
}

// The child: steps from what the file has, and tells of each checkpoint when it has returned.
[[noreturn]] void StepUntilKilled(const std::string& path, BlobModel model, uint64_t seed,
                                  int told) {
  auto store = BlobStore::OpenFile(path, FileOptions());
  if (!store) ::_exit(1);
  BlobExercise exercise(**store, seed, kExercise);
  exercise.SetModel(std::move(model));
  for (uint64_t last = 0;;) {
    if (!exercise.Step()) ::_exit(2);
    if (exercise.checkpoint() == last) continue;
    last = exercise.checkpoint();
    if (::write(told, &last, sizeof(last)) != sizeof(last)) ::_exit(3);
  }
}

// What each checkpoint of the child has, up to `upto`: the same steps on a store in memory, whose
// ids are the same ones.
std::map<uint64_t, BlobModel> Replay(const std::string& path, const BlobModel& model, uint64_t seed,
                                     uint64_t upto) {
  std::map<uint64_t, BlobModel> history;
  auto store = BlobStore::OpenFile(path, FileOptions());
  EXPECT_TRUE(store) << store.error().message;
  if (!store) return history;
  history.emplace((*store)->Stats().checkpoint, model);
  BlobExercise exercise(**store, seed, kExercise);
  exercise.SetModel(model);
  while (history.rbegin()->first < upto) {
    EXPECT_TRUE(exercise.Step()) << exercise.error();
    if (exercise.checkpoint() > history.rbegin()->first) {
      history.emplace(exercise.checkpoint(), exercise.checkpointed());
    }
  }
  return history;
}

bool CopyFile(const std::string& from, const std::string& to) {
  auto in = File::Open(from, O_RDONLY);
  auto out = File::Open(to, O_RDWR | O_CREAT | O_TRUNC);
  if (!in || !out) return false;
  BlobBytes bytes(*in->Size());
  return in->ReadAt(0, bytes) && out->WriteAt(0, bytes);
}

TEST(BlobStoreKillTest, WhatAKilledProcessLeavesOpensAsItsLastCheckpoint) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const std::string path = ::testing::TempDir() + "/blob_kill_" + std::to_string(::getpid());
  const std::string before = path + "_before";
  ASSERT_TRUE(BlobStore::OpenFile(path, FileOptions()));
  BlobModel model;
  uint64_t checkpoints = 0;
  for (int kill = 0; kill < Kills(); ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    const uint64_t steps_seed = seed + static_cast<uint64_t>(kill);
    ASSERT_TRUE(CopyFile(path, before));
    int told[2];
    ASSERT_EQ(::pipe(told), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(told[0]);
      StepUntilKilled(path, std::move(model), steps_seed, told[1]);
    }
    ::close(told[1]);
    std::this_thread::sleep_for(std::chrono::microseconds(2000 + random() % 60'000));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended itself with " << WEXITSTATUS(status);
    uint64_t last = 0;
    while (::read(told[0], &last, sizeof(last)) == sizeof(last)) ++checkpoints;
    ::close(told[0]);

    auto store = BlobStore::OpenFile(path, FileOptions());
    ASSERT_TRUE(store) << store.error().message;
    const uint64_t opened = (*store)->Stats().checkpoint;
    ASSERT_TRUE(last == 0 || opened == last || opened == last + 1) << opened << ", " << last;
    const auto history = Replay(before, model, steps_seed, opened);
    ASSERT_TRUE(history.contains(opened));
    model = history.at(opened);
    ASSERT_EQ(DifferenceFrom(model, **store), "");
    const auto valid = (*store)->Validate();
    ASSERT_TRUE(valid) << valid.error().message;
  }
  std::printf("%d kills, %llu checkpoints told of\n", Kills(),
              static_cast<unsigned long long>(checkpoints));
  EXPECT_GT(checkpoints, 0U);
  for (const std::string& file : {path, before}) {
    for (const char* suffix : {"", ".lock", ".pin0", ".pin1"}) {
      (void)::unlink((file + suffix).c_str());
    }
  }
}

}  // namespace
}  // namespace granary
