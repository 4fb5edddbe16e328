// Calls that fail once, and stores that go on after them, or say that they do not.
#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "memory/region/blob_reader.h"
#include "memory/region/blob_store.h"
#include "memory/region/testing/blob_exercise.h"
#include "memory/sanitizer.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/simulated_files.h"

namespace granary {
namespace {

using ::testing::HasSubstr;
using Call = SimulatedFiles::Call;

constexpr const char* kPath = "blobs";
constexpr int kSteps = kCheckedBuild ? 150 : 400;

BlobFileOptions OptionsFor(FileCalls& calls) {
  return {.store = {.max_bytes = uint64_t{1} << 24, .max_blobs = 1 << 12}, .file_calls = &calls};
}

// Steps on, also after errors; opens again what is poisoned. What it expects after each error: the
// store is as before it, or the file is as the last checkpoint, or the one in the making.
void RunOverErrors(SimulatedFiles& files, uint64_t seed) {
  auto store = BlobStore::OpenFile(kPath, OptionsFor(files));
  // One call in all fails.
  if (!store) store = BlobStore::OpenFile(kPath, OptionsFor(files));
  ASSERT_TRUE(store) << store.error().message;
  BlobExercise exercise(**store, seed);
  ASSERT_TRUE(exercise.Checkpoint() || exercise.Checkpoint()) << exercise.error();
  for (int step = 0; step <= kSteps; ++step) {
    if (step < kSteps ? exercise.Step() : exercise.Checkpoint()) continue;
    ASSERT_FALSE(exercise.is_mistaken()) << exercise.error();
    ASSERT_TRUE(exercise.CheckAll()) << exercise.error();
    if (!(*store)->poison()) continue;
    const std::string why = (*store)->poison()->message;
    EXPECT_THAT(why, HasSubstr("nothing can be changed until it is opened again"));
    EXPECT_EQ((*store)->Add({}).error().message, why);
    EXPECT_EQ((*store)->Checkpoint().error().message, why);
    EXPECT_EQ((*store)->Shrink(1).error().message, why);
    EXPECT_EQ((*store)->Clear().error().message, why);
    const BlobModel in_the_making = exercise.model();
    store->reset();
    store = BlobStore::OpenFile(kPath, OptionsFor(files));
    ASSERT_TRUE(store) << store.error().message;
    exercise.SetStore(**store);
    const uint64_t opened = (*store)->Stats().checkpoint;
    ASSERT_TRUE(opened == exercise.checkpoint() || opened == exercise.checkpoint() + 1);
    exercise.SetModel(opened == exercise.checkpoint() ? exercise.checkpointed() : in_the_making);
    ASSERT_TRUE(exercise.CheckAll()) << exercise.error();
    ASSERT_TRUE(exercise.Checkpoint()) << exercise.error();
  }
  // What follows is no longer tried.
  files.FailCall(0, 0);
  ASSERT_TRUE(exercise.Checkpoint()) << exercise.error();
  ASSERT_TRUE(exercise.CheckAll()) << exercise.error();
  store->reset();
  store = BlobStore::OpenFile(kPath, OptionsFor(files));
  ASSERT_TRUE(store) << store.error().message;
  exercise.SetStore(**store);
  ASSERT_TRUE(exercise.CheckAll()) << exercise.error();
  store->reset();
  EXPECT_EQ(files.open_files(), 0U);
}

TEST(BlobStoreFailureTest, AfterAnyCallThatFailsTheStoreIsAsBeforeOrSaysThatItMustBeReopened) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  SimulatedFiles whole;
  RunOverErrors(whole, seed);
  const size_t calls = whole.calls();
  for (size_t nth = 1; nth <= calls && !HasFatalFailure(); ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth) + " of " + std::to_string(calls));
    SimulatedFiles files;
    files.FailCall(nth, nth % 2 == 0 ? EIO : ENOSPC);
    RunOverErrors(files, seed);
  }
}

TEST(BlobStoreFailureTest, TransfersInPartsAreWhole) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  SimulatedFiles files;
  files.LimitTransfers(7);
  RunOverErrors(files, seed);
}

TEST(BlobStoreFailureTest, AfterAFailedSyncItIsPoisoned) {
  for (const size_t nth : {1U, 2U}) {
    SimulatedFiles files;
    auto store = *BlobStore::OpenFile(kPath, OptionsFor(files));
    const BlobId a = *store->Add(SomeBytes(100, 1));
    ASSERT_TRUE(store->Checkpoint());
    const BlobId b = *store->Add(SomeBytes(100, 2));
    files.FailCall(Call::kSync, nth, EIO);
    const auto failed = store->Checkpoint();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::kIo);
    EXPECT_EQ(failed.error().system_errno, EIO);
    ASSERT_TRUE(store->poison());
    // A second attempt that succeeds would say nothing.
    EXPECT_FALSE(store->Checkpoint());
    EXPECT_FALSE(store->Add(SomeBytes(1, 1)));
    EXPECT_FALSE(store->Replace(a, {}));
    EXPECT_FALSE(store->Remove(a));
    EXPECT_FALSE(store->Discard(a));
    EXPECT_FALSE(store->Clear());
    EXPECT_FALSE(store->Shrink(100));
    EXPECT_EQ(*store->Load(a), SomeBytes(100, 1));
    EXPECT_EQ(*store->Load(b), SomeBytes(100, 2));
    store.reset();
    store = *BlobStore::OpenFile(kPath, OptionsFor(files));
    EXPECT_EQ(*store->Load(a), SomeBytes(100, 1));
    // The header of the second was written before its sync failed.
    EXPECT_EQ(store->Contains(b), nth == 2);
  }
}

TEST(BlobStoreFailureTest, AFullDiskIsNoReasonToStop) {
  SimulatedFiles files;
  auto store = *BlobStore::OpenFile(kPath, OptionsFor(files));
  const BlobId a = *store->Add(SomeBytes(100, 1));
  files.FailCall(Call::kWriteAt, 1, ENOSPC);
  const auto refused = store->Add(SomeBytes(100, 2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().system_errno, ENOSPC);
  files.FailCall(Call::kWriteAt, 1, ENOSPC);
  EXPECT_FALSE(store->Checkpoint());
  files.FailCall(Call::kWriteAt, 1, ENOSPC);
  EXPECT_FALSE(store->Replace(a, SomeBytes(200, 3)));
  EXPECT_FALSE(store->poison());
  EXPECT_EQ(*store->Load(a), SomeBytes(100, 1));
  const auto valid = store->Validate();
  EXPECT_TRUE(valid) << valid.error().message;
  EXPECT_TRUE(store->Checkpoint());
}

TEST(BlobStoreFailureTest, ARefusalOfMemoryWhileAFileIsOpenedLeavesNothing) {
  SimulatedFiles files;
  BlobModel model;
  {
    auto store = *BlobStore::OpenFile(kPath, OptionsFor(files));
    for (uint64_t i = 0; i < 2000; ++i)
      model.emplace(*store->Add(SomeBytes(10, i)), SomeBytes(10, i));
    for (uint32_t i = 0; i < 2000; i += 2) {
      ASSERT_TRUE(store->Discard({i, 1}));
      model.erase({i, 1});
    }
    ASSERT_TRUE(store->Checkpoint());
  }
  for (size_t nth = 1;; ++nth) {
    FailingCalls calls;
    calls.RefuseCall(nth, ENOMEM);
    BlobFileOptions options = OptionsFor(files);
    options.store.system_calls = &calls;
    const auto store = BlobStore::OpenFile(kPath, options);
    const auto reader = BlobReader::Open(kPath, {.system_calls = &calls, .file_calls = &files});
    EXPECT_EQ(store ? DifferenceFrom(model, **store) : "", "");
    EXPECT_EQ(reader ? DifferenceFrom(model, **reader) : "", "");
    if (store && reader) break;
    ASSERT_LT(nth, 200U);
  }
  EXPECT_EQ(files.open_files(), 0U);
}

}  // namespace
}  // namespace granary
