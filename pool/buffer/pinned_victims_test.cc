// That pages which are pinned do not hide those which are not, by each policy.
#include <string>

#include "gtest/gtest.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/eviction.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

class PinnedVictimsTest : public ::testing::TestWithParam<EvictionKind> {};

// "If there are any frames, finitely many calls find one": also while the newest pages are pinned.
TEST_P(PinnedVictimsTest, PagesThatAreKeptDoNotHideTheOthers) {
  constexpr FrameIndex kFrames = 16;
  auto policy = *MakeEviction(GetParam(), kFrames);
  for (FrameIndex frame = 0; frame < kFrames; ++frame) {
    policy->OnInsert(frame, frame, Access::kNormal);
    const bool is_new = frame >= kFrames - 2;
    for (int hits = 0; hits < 3 && !is_new; ++hits) policy->OnHit(frame);
  }
  for (int calls = 0; calls < 1000; ++calls) {
    FrameIndex victim[1];
    if (policy->PickVictims(victim) == 0) continue;
    if (victim[0] < kFrames - 2) return;
    policy->OnKept(victim[0]);
  }
  FAIL() << "the two that are pinned are all it finds";
}

// And while more new pages are pinned than have a queue of their own.
TEST_P(PinnedVictimsTest, NewPagesThatAreKeptDoNotHideOldOnes) {
  constexpr FrameIndex kFrames = 16;
  constexpr FrameIndex kOld = 8;
  auto policy = *MakeEviction(GetParam(), kFrames);
  for (int times = 0; times < 2; ++times) {
    for (FrameIndex frame = 0; frame < kOld; ++frame) {
      policy->OnInsert(frame, frame, Access::kNormal);
    }
    for (size_t evicted = 0; times == 0 && evicted < kOld;) {
      FrameIndex victim[1];
      if (policy->PickVictims(victim) == 0) continue;
      policy->OnEvicted(victim[0], victim[0]);
      ++evicted;
    }
  }
  for (FrameIndex frame = kOld; frame < kFrames; ++frame) {
    policy->OnInsert(frame, frame, Access::kNormal);
  }
  for (int calls = 0; calls < 1000; ++calls) {
    FrameIndex victim[1];
    if (policy->PickVictims(victim) == 0) continue;
    if (victim[0] < kOld) return;
    policy->OnKept(victim[0]);
  }
  FAIL() << "those that are pinned are all it finds";
}

// The same through a pool.
TEST_P(PinnedVictimsTest, APoolWithTwoPagesPinnedHasRoomForAThird) {
  auto pages = *PagePool::Create({.page_bytes = 4096, .max_pages = 100});
  BufferPoolOptions options;
  options.pages = pages.get();
  options.frames = 16;
  options.eviction = GetParam();
  options.has_evictor = false;
  auto pool = *BufferPool::Create(options);
  AttachOptions attach;
  attach.store = *MemoryPageStore::Create({.page_bytes = 4096, .pages = 200});
  attach.pages_max = 200;
  const FileId file = *pool->Attach(std::move(attach));
  for (int round = 0; round < 4; ++round) {
    for (uint64_t page = 0; page < 14; ++page) ASSERT_TRUE(pool->FixShared({file, page}));
  }
  auto one = pool->FixShared({file, 100});
  auto two = pool->FixShared({file, 101});
  ASSERT_TRUE(one && two);
  const auto three = pool->FixShared({file, 102});
  EXPECT_TRUE(three) << three.error().message;
}

INSTANTIATE_TEST_SUITE_P(Policies, PinnedVictimsTest, ::testing::ValuesIn(kEvictionKinds),
                         [](const auto& named) {
                           return std::string(EvictionKindName(named.param));
                         });

}  // namespace
}  // namespace granary
