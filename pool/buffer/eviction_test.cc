// What every policy does, and what each does that the others do not. That their choices are those
// of their authors is bench/cache_sim/model_test's.
#include "pool/buffer/eviction.h"

#include <cerrno>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/failing_calls.h"
#include "pool/buffer/clock.h"
#include "pool/buffer/lru.h"
#include "pool/buffer/s3_fifo.h"
#include "pool/buffer/two_q.h"

namespace granary {
namespace {

std::vector<FrameIndex> Pick(Eviction& eviction, size_t count) {
  std::vector<FrameIndex> picked(count);
  picked.resize(eviction.PickVictims(picked));
  return picked;
}

void Insert(Eviction& eviction, FrameIndex begin, FrameIndex end, Access access = Access::kNormal) {
  for (FrameIndex frame = begin; frame < end; ++frame) eviction.OnInsert(frame, frame, access);
}

void EvictAll(Eviction& eviction, const std::vector<FrameIndex>& picked) {
  for (const FrameIndex frame : picked) eviction.OnEvicted(frame, frame);
}

std::vector<FrameIndex> Range(FrameIndex begin, FrameIndex end) {
  std::vector<FrameIndex> frames;
  for (FrameIndex frame = begin; frame < end; ++frame) frames.push_back(frame);
  return frames;
}

class EvictionTest : public testing::TestWithParam<EvictionKind> {
 protected:
  static std::unique_ptr<Eviction> Make(size_t frames_max) {
    auto eviction = MakeEviction(GetParam(), frames_max);
    EXPECT_TRUE(eviction) << eviction.error().message;
    return *std::move(eviction);
  }
};

INSTANTIATE_TEST_SUITE_P(Policies, EvictionTest, testing::ValuesIn(kEvictionKinds),
                         [](const auto& kind) { return EvictionKindName(kind.param); });

TEST_P(EvictionTest, NumbersOfFramesThatMakeNoSenseAreRefused) {
  for (const size_t frames : {size_t{0}, kEvictionFramesMax + 1, SIZE_MAX}) {
    const auto eviction = MakeEviction(GetParam(), frames);
    ASSERT_FALSE(eviction);
    EXPECT_EQ(eviction.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(eviction.error().message.find(std::to_string(frames)), std::string::npos);
  }
}

TEST_P(EvictionTest, APoolOfATerabyteTouchesNothing) {
  const auto eviction = Make(kEvictionFramesMax);
  // Frames at both ends work, and have their memory from then on.
  eviction->OnInsert(0, 1, Access::kNormal);
  eviction->OnInsert(kEvictionFramesMax - 1, 2, Access::kNormal);
  EXPECT_EQ(Pick(*eviction, 3), (std::vector<FrameIndex>{0, kEvictionFramesMax - 1}));
  // 1.5 % of 4 KiB is 61.
  EXPECT_LE(eviction->bytes_max() / kEvictionFramesMax, 27U);
}

TEST_P(EvictionTest, EachRefusedSystemCallIsAnErrorThatLeavesNothingMapped) {
  FailingCalls calls;
  size_t nth = 1;
  for (;; ++nth) {
    calls.RefuseCall(nth, ENOMEM);
    auto eviction = MakeEviction(GetParam(), 1000, &calls);
    if (!calls.refused()) {
      EXPECT_TRUE(eviction);
      // Nor is the end refused.
      calls.RefuseCall(0, 0);
      break;
    }
    ASSERT_FALSE(eviction) << "call " << nth;
    EXPECT_EQ(eviction.error().code, ErrorCode::kOutOfMemory);
    eviction = tl::unexpected(Error{});
    EXPECT_EQ(calls.mapped_bytes(), 0) << "call " << nth;
  }
  EXPECT_GT(nth, 1U);
  EXPECT_EQ(calls.mapped_bytes(), 0);
}

TEST_P(EvictionTest, EachFrameIsPickedOnceAndInTheOrderOfItsComing) {
  const auto eviction = Make(100);
  Insert(*eviction, 0, 100);
  EXPECT_EQ(Pick(*eviction, 40), Range(0, 40));
  EXPECT_EQ(Pick(*eviction, 100), Range(40, 100));
  EXPECT_TRUE(Pick(*eviction, 1).empty());
}

TEST_P(EvictionTest, AnEmptyPoolAndAnEmptyQuestionHaveNoVictims) {
  const auto eviction = Make(10);
  EXPECT_TRUE(Pick(*eviction, 4).empty());
  Insert(*eviction, 0, 10);
  EXPECT_TRUE(Pick(*eviction, 0).empty());
}

TEST_P(EvictionTest, AKeptFrameIsAskedForAgainAfterTheOthers) {
  const auto eviction = Make(10);
  Insert(*eviction, 0, 10);
  ASSERT_EQ(Pick(*eviction, 2), Range(0, 2));
  eviction->OnKept(0);
  eviction->OnEvicted(1, 1);
  std::vector<FrameIndex> expected = Range(2, 10);
  expected.push_back(0);
  EXPECT_EQ(Pick(*eviction, 10), expected);
}

TEST_P(EvictionTest, AnErasedFrameIsNotPicked) {
  const auto eviction = Make(10);
  Insert(*eviction, 0, 10);
  for (const FrameIndex frame : {0U, 5U, 9U}) eviction->OnErase(frame);
  EXPECT_EQ(Pick(*eviction, 10), (std::vector<FrameIndex>{1, 2, 3, 4, 6, 7, 8}));
}

TEST_P(EvictionTest, AFrameThatIsFreeAgainTakesAnotherPage) {
  const auto eviction = Make(4);
  for (PageKey key = 0; key < 1000; ++key) {
    if (key >= 4) {
      const auto picked = Pick(*eviction, 1);
      ASSERT_EQ(picked.size(), 1U);
      ASSERT_EQ(picked[0], key % 4);
      EvictAll(*eviction, picked);
    }
    eviction->OnInsert(static_cast<FrameIndex>(key % 4), key, Access::kNormal);
  }
}

TEST_P(EvictionTest, FramesThatWereAllHitGoAfterFinitelyManyCalls) {
  constexpr FrameIndex kFrames = 10'000;
  const auto eviction = Make(kFrames);
  Insert(*eviction, 0, kFrames);
  for (int hit = 0; hit < 5; ++hit) {
    for (FrameIndex frame = 0; frame < kFrames; ++frame) eviction->OnHit(frame);
  }
  // Each call looks at 80 frames or more, and each frame has 4 rounds at most.
  size_t calls = 1;
  while (Pick(*eviction, 1).empty()) ++calls;
  EXPECT_LE(calls, 5 * kFrames / LooksMax(1));
}

TEST_P(EvictionTest, AnotherCapacityChangesNoQueue) {
  const auto eviction = Make(100);
  Insert(*eviction, 0, 100);
  eviction->SetCapacity(10);
  eviction->SetCapacity(1);
  eviction->SetCapacity(100);
  EXPECT_EQ(Pick(*eviction, 100), Range(0, 100));
}

TEST_P(EvictionTest, CountersAreThereExactlyWhereHitsAreCounted) {
  const auto eviction = Make(10);
  EXPECT_EQ(eviction->hits() != nullptr, eviction->hits_max() != 0);
  if (eviction->hits() == nullptr) return;
  Insert(*eviction, 0, 10);
  for (int hit = 0; hit < 10; ++hit) CountHit(eviction->hits()[3], eviction->hits_max());
  EXPECT_EQ(eviction->hits()[3], eviction->hits_max());
  eviction->OnErase(3);
  eviction->OnInsert(3, 99, Access::kNormal);
  EXPECT_EQ(eviction->hits()[3], 0);
}

TEST(LruTest, AHitIsTheYoungestFrame) {
  const auto eviction = *MakeEviction(EvictionKind::kLru, 4);
  Insert(*eviction, 0, 4);
  eviction->OnHit(1);
  EXPECT_EQ(Pick(*eviction, 4), (std::vector<FrameIndex>{0, 2, 3, 1}));
}

TEST(ClockTest, AHitIsOneMoreRound) {
  const auto eviction = *MakeEviction(EvictionKind::kClock, 4);
  Insert(*eviction, 0, 4);
  eviction->OnHit(0);
  eviction->OnHit(0);
  EXPECT_EQ(Pick(*eviction, 4), (std::vector<FrameIndex>{1, 2, 3, 0}));
}

TEST(TwoQTest, APageThatComesBackIsNotDrivenOutByAScan) {
  const auto eviction = *MakeEviction(EvictionKind::kTwoQ, 8);
  Insert(*eviction, 0, 8);
  EvictAll(*eviction, Pick(*eviction, 1));
  eviction->OnInsert(0, 0, Access::kNormal);
  for (PageKey key = 100; key < 200; ++key) {
    const auto picked = Pick(*eviction, 1);
    ASSERT_NE(picked.at(0), 0U);
    EvictAll(*eviction, picked);
    eviction->OnInsert(picked[0], key, Access::kNormal);
  }
}

TEST(S3FifoTest, TwoHitsArePromotionAndOneIsNot) {
  const auto eviction = *MakeEviction(EvictionKind::kS3Fifo, 10);
  Insert(*eviction, 0, 10);
  eviction->OnHit(0);
  eviction->OnHit(1);
  eviction->OnHit(1);
  EXPECT_EQ(Pick(*eviction, 10), (std::vector<FrameIndex>{0, 2, 3, 4, 5, 6, 7, 8, 9, 1}));
}

TEST(S3FifoTest, AScanThatSaysSoTakesOnePercentOfAFullPool) {
  constexpr FrameIndex kFrames = 1000;
  const auto eviction = *MakeEviction(EvictionKind::kS3Fifo, kFrames);
  Insert(*eviction, 0, kFrames);
  std::set<FrameIndex> driven_out;
  for (PageKey key = kFrames; key < 10 * kFrames; ++key) {
    const auto picked = Pick(*eviction, 1);
    driven_out.insert(picked.at(0));
    EvictAll(*eviction, picked);
    eviction->OnInsert(picked[0], key, Access::kScan);
  }
  EXPECT_EQ(driven_out.size(), kFrames / 100);
}

TEST(S3FifoTest, AScannedPageThatIsHitTwiceStays) {
  const auto eviction = *MakeEviction(EvictionKind::kS3Fifo, 4);
  Insert(*eviction, 0, 4, Access::kScan);
  eviction->OnHit(2);
  eviction->OnHit(2);
  EXPECT_EQ(Pick(*eviction, 4), (std::vector<FrameIndex>{0, 1, 3, 2}));
}

TEST(S3FifoTest, TheSmallQueueGrowsWherePagesComeBackSoonAndShrinksWhereHotOnesLeave) {
  constexpr FrameIndex kFrames = 1000;
  auto policy = *S3Fifo::Create(kFrames);
  EXPECT_EQ(policy.small_target(), 100U);
  for (FrameIndex frame = 0; frame < kFrames; ++frame) {
    policy.OnInsert(frame, frame, Access::kNormal);
  }
  // The page that just left the small queue, again and again: the one of the frame's number.
  PageKey came_back = 0;
  for (int i = 0; i < 10; ++i) {
    FrameIndex victim = 0;
    ASSERT_EQ(policy.PickVictims(std::span(&victim, 1)), 1U);
    policy.OnEvicted(victim, victim);
    policy.OnInsert(victim, came_back++, Access::kNormal);
  }
  EXPECT_EQ(policy.small_target(), 110U);
  // All that is left of the small queue goes, then what is in the main one, which comes back.
  for (PageKey key = 0; key < 10; ++key) {
    FrameIndex victim = 0;
    do {
      ASSERT_EQ(policy.PickVictims(std::span(&victim, 1)), 1U);
      policy.OnEvicted(victim, victim);
    } while (victim != key);
    policy.OnInsert(victim, key, Access::kNormal);
  }
  EXPECT_EQ(policy.small_target(), 97U);
}

TEST(S3FifoTest, TheSmallQueueKeepsItsShareOfAnotherCapacity) {
  auto policy = *S3Fifo::Create(1000);
  policy.SetCapacity(500);
  EXPECT_EQ(policy.small_target(), 50U);
  policy.SetCapacity(1);
  EXPECT_EQ(policy.small_target(), 1U);
  policy.SetCapacity(1000);
  EXPECT_LE(policy.small_target(), 900U);
}

}  // namespace
}  // namespace granary
