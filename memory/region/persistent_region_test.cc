#include "memory/region/persistent_region.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/testing/region_driver.h"
#include "memory/sanitizer.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/simulated_files.h"

namespace granary {
namespace {

using Bytes = std::vector<std::byte>;

constexpr const char* kPath = "f/region";
constexpr uint64_t kGrain = 16;
constexpr uint64_t kSize = kGrain * 2000;

// All that counts from then on, but how often it had to refuse: that is not logged.
Bytes StateOf(const RegionAllocator& region) {
  RegionImage image = region.Image();
  image.failures = 0;
  image.failed_bytes = 0;
  return EncodeSnapshot(image, {}).bytes;
}

RegionOptions Options(bool tracks) { return {.grain = kGrain, .track_used = tracks}; }

RegionDriver Driver(std::mt19937_64& random) {
  return RegionDriver(random, kGrain, 2 * kSize, kGrain * 30);
}

template <class Region>
void Run(Region& region, RegionDriver& driver, int calls) {
  for (int i = 0; i < calls; ++i) {
    const RegionCall call = driver.Next(region.size_bytes());
    driver.Did(call, Do(region, call));
  }
}

class PersistentRegionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RecordProperty("seed", std::to_string(seed_));
    random_.seed(seed_);
  }

  const uint64_t seed_ = RandomTestSeed();
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, HowToReplay(seed_)};
  std::mt19937_64 random_;
};

TEST_F(PersistentRegionTest, GivesTheSameOffsetsAfterOpenAsItWouldHave) {
  for (const bool tracks : {false, true}) {
    for (const bool checkpoints : {false, true}) {
      SimulatedFiles files;
      RegionOptions options = Options(tracks);
      if (checkpoints) options.grain = 48;
      const uint64_t size = 2000 * options.grain;
      auto twin = RegionAllocator::Create(size, options);
      RegionDriver driver(random_, options.grain, 2 * size, 30 * options.grain);
      for (int round = 0; round < 10; ++round) {
        auto region = round == 0 ? PersistentRegion::Create(kPath, size, options, files)
                                 : PersistentRegion::Open(kPath, files);
        ASSERT_TRUE(region) << region.error().message;
        ASSERT_TRUE(region->region().Validate());
        EXPECT_EQ(region->recovery().torn_bytes, 0U);
        for (int i = 0; i < 1000; ++i) {
          const RegionCall call = driver.Next(twin->size_bytes());
          const RegionAnswer answer = Do(*twin, call);
          ASSERT_EQ(Do(*region, call), answer) << "call " << i << " of round " << round;
          driver.Did(call, answer);
          if (i == 500) {
            ASSERT_TRUE(region->Sync());
          }
        }
        EXPECT_GT(region->unsynced_changes(), 0U);
        const auto done = checkpoints && round % 3 == 0 ? region->Checkpoint() : region->Sync();
        ASSERT_TRUE(done) << done.error().message;
        EXPECT_EQ(region->unsynced_changes(), 0U);
        ASSERT_EQ(StateOf(region->region()), StateOf(*twin));
      }
      EXPECT_EQ(files.Paths().size(), 3U) << "snapshot, log and lock";
    }
  }
}

TEST_F(PersistentRegionTest, WhatIsNotSyncedIsNotThere) {
  SimulatedFiles files;
  Range first;
  {
    auto region = PersistentRegion::Create(kPath, kSize, Options(true), files);
    first = *region->Allocate(100);
    ASSERT_TRUE(region->Sync());
    (void)region->Allocate(100);
  }
  auto region = PersistentRegion::Open(kPath, files);
  EXPECT_EQ(region->recovery().changes, 1U);
  EXPECT_EQ(region->region().Stats().live_ranges, 1U);
  EXPECT_EQ(region->FreeAt(first.offset), FreeStatus::kOk);
  EXPECT_EQ(region->FreeAt(first.offset), FreeStatus::kNotAllocated);
  EXPECT_EQ(region->TrimTail(), kSize);
  ASSERT_TRUE(region->Sync());
  const auto moved = std::move(*region);
  EXPECT_EQ(moved.size_bytes(), 0U);
}

TEST_F(PersistentRegionTest, ChangesNothingAndLogsNothingWhereNothingIsDone) {
  SimulatedFiles files;
  auto region = PersistentRegion::Create(kPath, kSize, Options(false), files);
  EXPECT_FALSE(region->Allocate(2 * kSize));
  EXPECT_FALSE(region->Reserve({0, 0}));
  EXPECT_EQ(region->Free({0, 0}), FreeStatus::kOk);
  EXPECT_EQ(region->Free({0, 16}), FreeStatus::kOverlapsFree);
  EXPECT_EQ(region->FreeDeferred({0, 0}, 1), FreeStatus::kOk);
  EXPECT_EQ(region->ReleaseUpTo(5), 0U);
  EXPECT_FALSE(region->Resize({0, 16}, 32));
  EXPECT_FALSE(region->Extend(1));
  EXPECT_FALSE(region->Truncate(kSize + 1));
  EXPECT_EQ(region->unsynced_changes(), 0U);
  files.ForgetCalls();
  EXPECT_TRUE(region->Sync());
  EXPECT_EQ(files.calls(), 0U) << "nothing to write";
}

TEST_F(PersistentRegionTest, OneProcessAtATimeAndOneRegionAtAPath) {
  SimulatedFiles files;
  EXPECT_EQ(PersistentRegion::Open(kPath, files).error().system_errno, ENOENT);
  {
    auto region = PersistentRegion::Create(kPath, kSize, {}, files);
    ASSERT_TRUE(region);
    EXPECT_EQ(PersistentRegion::Open(kPath, files).error().code, ErrorCode::kBusy);
    EXPECT_EQ(PersistentRegion::Create(kPath, kSize, {}, files).error().code, ErrorCode::kBusy);
  }
  const auto second = PersistentRegion::Create(kPath, kSize, {}, files);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "f/region: there is a region already");
  EXPECT_TRUE(PersistentRegion::Open(kPath, files));
  EXPECT_EQ(files.open_files(), 0U);
  EXPECT_FALSE(PersistentRegion::Create("f/other", 17, {.grain = 16}, files));
}

TEST_F(PersistentRegionTest, MissingOrForeignLogIsRefused) {
  SimulatedFiles files;
  { ASSERT_TRUE(PersistentRegion::Create(kPath, kSize, {}, files)); }
  { ASSERT_TRUE(PersistentRegion::Create("f/other", kSize, {}, files)); }
  const Bytes log = *files.Contents("f/region.log.1");
  files.Put("f/region.log.1", *files.Contents("f/other.log.1"));
  const auto foreign = PersistentRegion::Open(kPath, files);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::kCorrupt);
  ASSERT_EQ(files.Unlink("f/region.log.1"), 0);
  EXPECT_EQ(PersistentRegion::Open(kPath, files).error().system_errno, ENOENT);
  files.Put("f/region.log.1", log);
  EXPECT_TRUE(PersistentRegion::Open(kPath, files));
}

TEST_F(PersistentRegionTest, FailedSyncIsSaidUntilACheckpointSucceeds) {
  SimulatedFiles files;
  auto region = PersistentRegion::Create(kPath, kSize, {}, files);
  (void)region->Allocate(100);
  // What was not written is written again.
  files.FailCall(SimulatedFiles::Call::kWriteAt, 1, ENOSPC);
  EXPECT_EQ(region->Sync().error().system_errno, ENOSPC);
  EXPECT_TRUE(region->Sync());
  // What was not synced is not taken for synced by a second attempt.
  (void)region->Allocate(100);
  files.FailCall(SimulatedFiles::Call::kSync, 1, EIO);
  EXPECT_EQ(region->Sync().error().system_errno, EIO);
  (void)region->Allocate(100);
  EXPECT_EQ(region->Sync().error().code, ErrorCode::kIo);
  EXPECT_EQ(region->unsynced_changes(), 2U);
  ASSERT_TRUE(region->Checkpoint());
  EXPECT_EQ(region->unsynced_changes(), 0U);
  EXPECT_TRUE(region->Sync());
  const Bytes state = StateOf(region->region());
  files.Reboot([](size_t) { return size_t{0}; });
  EXPECT_EQ(StateOf(PersistentRegion::Open(kPath, files)->region()), state);
}

TEST_F(PersistentRegionTest, FailedCheckpointLeavesTheOldPairOrSaysThatNobodyKnows) {
  size_t calls = 0;
  for (size_t nth = 0; nth <= calls; ++nth) {
    SimulatedFiles files;
    auto region = PersistentRegion::Create(kPath, kSize, {}, files);
    (void)region->Allocate(100);
    files.ForgetCalls();
    files.FailCall(nth, EIO);
    const bool done = region->Checkpoint().has_value();
    if (nth == 0) calls = files.calls();
    (void)region->Allocate(100);
    const bool synced = region->Sync().has_value();
    const Bytes state = StateOf(region->region());
    if (!synced) {
      EXPECT_FALSE(done);
      ASSERT_TRUE(region->Checkpoint()) << nth;
    }
    files.Reboot(random_);
    auto reopened = PersistentRegion::Open(kPath, files);
    ASSERT_TRUE(reopened) << nth << ": " << reopened.error().message;
    EXPECT_EQ(StateOf(reopened->region()), state) << nth;
  }
  EXPECT_GT(calls, 10U);
}

TEST_F(PersistentRegionTest, EveryCallOfCreateAndOpenMayFail) {
  for (const bool opens : {false, true}) {
    size_t calls = 0;
    for (size_t nth = 0; nth <= calls; ++nth) {
      SimulatedFiles files;
      if (opens) {
        auto region = PersistentRegion::Create(kPath, kSize, {}, files);
        (void)region->Allocate(100);
        ASSERT_TRUE(region->Sync());
      }
      files.ForgetCalls();
      files.FailCall(nth, EIO);
      {
        const auto region = opens ? PersistentRegion::Open(kPath, files)
                                  : PersistentRegion::Create(kPath, kSize, {}, files);
        if (nth == 0) calls = files.calls();
        if (!region) {
          EXPECT_EQ(region.error().system_errno, EIO) << nth;
        }
      }
      EXPECT_EQ(files.open_files(), 0U) << nth;
      auto again = PersistentRegion::Open(kPath, files);
      if (!again) again = PersistentRegion::Create(kPath, kSize, {}, files);
      ASSERT_TRUE(again) << nth << ": " << again.error().message;
      EXPECT_EQ(again->region().Stats().used_bytes, opens ? 112U : 0U);
    }
  }
}

TEST_F(PersistentRegionTest, RefusedMemoryRefusesOpen) {
  SimulatedFiles files;
  { ASSERT_TRUE(PersistentRegion::Create(kPath, kSize, {}, files)); }
  FailingCalls calls;
  calls.RefuseCall(1, ENOMEM);
  EXPECT_EQ(PersistentRegion::Open(kPath, files, calls).error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(calls.mapped_bytes(), 0);
}

// After a kill files may be in the kernel's memory only.
TEST_F(PersistentRegionTest, WhatOpenHasReadStaysWhenThePowerGoesNext) {
  const SimulatedFiles::Choose lose_all = [](size_t) { return size_t{0}; };
  for (const bool checkpoints : {false, true}) {
    for (const bool changes_more : {false, true}) {
      bool is_down = true;
      for (size_t nth = 1; is_down; ++nth) {
        SimulatedFiles files;
        {
          auto region = PersistentRegion::Create(kPath, kSize, {}, files);
          (void)region->Allocate(100);
          files.Kill(nth);
          (void)(checkpoints ? region->Checkpoint() : region->Sync());
          is_down = files.is_down();
        }
        files.Restart(lose_all);
        Bytes state;
        {
          auto region = PersistentRegion::Open(kPath, files);
          ASSERT_TRUE(region) << nth << ": " << region.error().message;
          if (changes_more) {
            (void)region->Allocate(1000);
            ASSERT_TRUE(region->Sync());
          }
          state = StateOf(region->region());
        }
        files.Reboot(lose_all);
        auto region = PersistentRegion::Open(kPath, files);
        ASSERT_TRUE(region) << nth << ": " << region.error().message;
        ASSERT_EQ(StateOf(region->region()), state) << "killed in call " << nth;
      }
    }
  }
}

// The states of which a crash may leave one: that of the last Sync or Checkpoint that succeeded,
// or of one that was called since.
class States {
 public:
  void Called(Bytes state) { states_.push_back(std::move(state)); }
  void Succeeded() { states_.erase(states_.begin(), states_.end() - 1); }
  bool Has(const Bytes& state) const {
    return std::find(states_.begin(), states_.end(), state) != states_.end();
  }

 private:
  std::vector<Bytes> states_;
};

// One life of a process: some calls and syncs, until the world ends or it has enough. Whether a
// region was ever there.
void Live(PersistentRegion& region, std::mt19937_64& random, int syncs, States& states) {
  RegionDriver driver = Driver(random);
  for (int i = 0; i < syncs; ++i) {
    Run(region, driver, static_cast<int>(random() % 40));
    states.Called(StateOf(region.region()));
    const auto done = random() % 4 == 0 ? region.Checkpoint() : region.Sync();
    if (done) states.Succeeded();
  }
}

TEST_F(PersistentRegionTest, PowerCutsAndKillsAtEveryCallLeaveAStateThatWasSynced) {
  for (const bool kills : {false, true}) {
    // From the first call of Create on.
    for (size_t nth = 1;; ++nth) {
      SimulatedFiles files;
      files.LimitTransfers(700);
      States states;
      kills ? files.Kill(nth) : files.CutPower(nth);
      bool was_created = false;
      {
        auto region = PersistentRegion::Create(kPath, kSize, Options(nth % 2 == 0), files);
        was_created = region.has_value();
        states.Called(StateOf(*RegionAllocator::Create(kSize, Options(nth % 2 == 0))));
        if (was_created) Live(*region, random_, 6, states);
      }
      if (!files.is_down()) break;
      kills ? files.Restart(random_) : files.Reboot(random_);
      auto region = PersistentRegion::Open(kPath, files);
      if (!region && !was_created) {
        ASSERT_EQ(region.error().system_errno, ENOENT) << nth;
        ASSERT_TRUE(PersistentRegion::Create(kPath, kSize, {}, files)) << nth;
        continue;
      }
      ASSERT_TRUE(region) << "call " << nth << ": " << region.error().message;
      ASSERT_TRUE(states.Has(StateOf(region->region()))) << "call " << nth;
      ASSERT_TRUE(region->region().Validate());
    }
  }
}

TEST_F(PersistentRegionTest, ManyCrashesOneAfterTheOther) {
  SimulatedFiles files;
  files.LimitTransfers(1000);
  { ASSERT_TRUE(PersistentRegion::Create(kPath, kSize, Options(true), files)); }
  States states;
  states.Called(StateOf(*RegionAllocator::Create(kSize, Options(true))));
  const int crashes = kCheckedBuild ? 1000 : 4000;
  for (int i = 0; i < crashes; ++i) {
    // Also in Open, and before it has synced what it has read.
    const bool kills = random_() % 2 == 0;
    const size_t nth = 1 + random_() % 80;
    kills ? files.Kill(nth) : files.CutPower(nth);
    {
      auto region = PersistentRegion::Open(kPath, files);
      if (region) {
        const Bytes state = StateOf(region->region());
        ASSERT_TRUE(states.Has(state)) << "crash " << i;
        states.Called(state);
        states.Succeeded();
        Live(*region, random_, static_cast<int>(random_() % 6), states);
      } else {
        ASSERT_TRUE(files.is_down()) << "crash " << i << ": " << region.error().message;
      }
    }
    kills ? files.Restart(random_) : files.Reboot(random_);
  }
  auto region = PersistentRegion::Open(kPath, files);
  ASSERT_TRUE(region);
  ASSERT_TRUE(states.Has(StateOf(region->region())));
  EXPECT_LE(files.Paths().size(), 3U) << "snapshot, log and lock";
}

}  // namespace
}  // namespace granary
