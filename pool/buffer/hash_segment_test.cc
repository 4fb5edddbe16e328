#include "pool/buffer/hash_segment.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "pool/testing/interleaving.h"

namespace granary::buffer {
namespace {

using testing::Interleaving;
using testing::StepAtomic;

// Of one bucket, wherever there are less than 2^12 of them.
std::vector<PageTag> TagsOfOneBucket(size_t count) {
  std::vector<PageTag> tags;
  const uint64_t wanted = HashOf(TagOf({1, 0})) >> 52;
  for (uint64_t page = 0; tags.size() < count; ++page) {
    const PageTag tag = TagOf({1, page});
    if (HashOf(tag) >> 52 == wanted) tags.push_back(tag);
  }
  return tags;
}

class HashSegmentTest : public ::testing::Test {
 protected:
  void Make(size_t entries) {
    ASSERT_TRUE(segment_.Reserve(entries, nullptr));
    segment_.Show();
  }
  PageEntry* Take(PageTag tag) { return segment_.Take(tag, HashOf(tag), segment_.entries_max()); }
  PageEntry* Find(PageTag tag) const { return segment_.Find(tag, HashOf(tag)); }
  bool LetGo(PageTag tag) { return segment_.LetGo(tag, HashOf(tag)); }

  HashSegment segment_;
};

TEST_F(HashSegmentTest, TagsThatAllHashAlikeAreFoundInWhateverOrderTheyCameAndGo) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  Make(400);
  std::mt19937_64 random(seed);
  std::vector<PageTag> tags = TagsOfOneBucket(300);
  for (int round = 0; round < 5; ++round) {
    std::shuffle(tags.begin(), tags.end(), random);
    std::map<PageTag, PageEntry*> held;
    for (const PageTag tag : tags) {
      ASSERT_EQ(Find(tag), nullptr);
      held[tag] = Take(tag);
      ASSERT_NE(held[tag], nullptr);
    }
    EXPECT_GT(segment_.passes(), 1000U);
    std::shuffle(tags.begin(), tags.end(), random);
    for (const PageTag tag : tags) {
      for (const auto& [other, entry] : held) {
        if (random() % 16 != 0) continue;
        ASSERT_EQ(Find(other), entry);
      }
      ASSERT_TRUE(LetGo(tag));
      ASSERT_EQ(Find(tag), nullptr);
      ASSERT_FALSE(LetGo(tag));
      held.erase(tag);
    }
    EXPECT_EQ(segment_.passes(), 0U);
    EXPECT_TRUE(segment_.is_empty());
  }
}

TEST_F(HashSegmentTest, TakesSoManyAsItMayAndNoMore) {
  Make(1000);
  std::vector<PageTag> tags;
  for (uint64_t page = 0; tags.size() < segment_.entries_max(); ++page) {
    tags.push_back(TagOf({2, page}));
    ASSERT_NE(Take(tags.back()), nullptr);
  }
  EXPECT_EQ(Take(TagOf({3, 0})), nullptr);
  EXPECT_EQ(segment_.Take(TagOf({3, 0}), HashOf(TagOf({3, 0})), 1), nullptr);
  for (const PageTag tag : tags) ASSERT_NE(Find(tag), nullptr);
  ASSERT_TRUE(LetGo(tags.back()));
  EXPECT_NE(Take(TagOf({3, 0})), nullptr);
}

TEST_F(HashSegmentTest, WithoutAFreeSlotItIsAsItWasBefore) {
  Make(100);
  std::vector<PageTag> tags;
  const auto take = [&](PageTag tag) { return segment_.Take(tag, HashOf(tag), 1'000'000); };
  for (uint64_t page = 0;; ++page) {
    const uint64_t passes = segment_.passes();
    if (take(TagOf({2, page})) == nullptr) {
      EXPECT_EQ(segment_.passes(), passes);
      break;
    }
    tags.push_back(TagOf({2, page}));
  }
  EXPECT_GT(tags.size(), segment_.entries_max());
  for (const PageTag tag : tags) ASSERT_NE(Find(tag), nullptr);
  EXPECT_EQ(Find(TagOf({3, 0})), nullptr);
  for (const PageTag tag : tags) ASSERT_TRUE(LetGo(tag));
  EXPECT_EQ(segment_.passes(), 0U);
  EXPECT_TRUE(segment_.is_empty());
}

TEST_F(HashSegmentTest, PagesThatComeAndGoLeaveNothingThatSearchesWouldHaveToStepOver) {
  Make(1000);
  std::mt19937_64 random(RandomTestSeed());
  std::vector<PageTag> held;
  for (int step = 0; step < 200'000; ++step) {
    if (held.size() < 1000) {
      held.push_back(TagOf({1, random() % kPagesMax}));
      ASSERT_NE(Take(held.back()), nullptr);
    } else {
      std::swap(held[random() % held.size()], held.back());
      ASSERT_TRUE(LetGo(held.back()));
      held.pop_back();
    }
  }
  // As many as if they had just come: one page in five or so of a table that is two thirds full.
  EXPECT_LT(segment_.passes(), 300U);
  for (const PageTag tag : held) ASSERT_TRUE(LetGo(tag));
  EXPECT_EQ(segment_.passes(), 0U);
}

TEST_F(HashSegmentTest, NeighboursStridesAndFilesAreSpreadAlike) {
  const auto passes_of = [&](auto tag_of) {
    HashSegment segment;
    EXPECT_TRUE(segment.Reserve(10'000, nullptr));
    segment.Show();
    for (uint64_t i = 0; i < 10'000; ++i) {
      const PageTag tag = tag_of(i);
      EXPECT_NE(segment.Take(tag, HashOf(tag), segment.entries_max()), nullptr);
    }
    return segment.passes();
  };
  EXPECT_LT(passes_of([](uint64_t i) { return TagOf({0, i}); }), 2000U);
  EXPECT_LT(passes_of([](uint64_t i) { return TagOf({0, i << 9}); }), 2000U);
  EXPECT_LT(passes_of([](uint64_t i) { return TagOf({0, i << 26}); }), 2000U);
  EXPECT_LT(passes_of([](uint64_t i) { return TagOf({0, i * 1000}); }), 2000U);
  EXPECT_LT(passes_of([](uint64_t i) { return TagOf({static_cast<FileId>(i), 0}); }), 2000U);
  EXPECT_LT(passes_of([](uint64_t i) {
              return TagOf({static_cast<FileId>(i / 10), i % 10});
            }),
            2000U);
}

// --- A slot that goes from page to page ---------------------------------------------------------

// One slot and two pages, of which a thread asks for the first while others have the slot go from
// one to the other. The frame's content is the page that is in it: always the same frame, which is
// the hardest case.
struct SharedSlot {
  static constexpr PageTag kFirst = 11;
  static constexpr PageTag kSecond = 22;
  static constexpr FrameIndex kFrame = 5;

  BasicHashSlot<StepAtomic> slot;
  StepAtomic<uint64_t> content{0};
  bool is_right = true;

  void Bring(PageTag tag) {
    // Who brings a page has its turn; two different pages do not wait for each other.
    if (!slot.TryTake(tag)) return;
    if (!slot.entry().BeginLoad(1)) {
      is_right = false;
      return;
    }
    content.store(tag, std::memory_order_relaxed);
    (void)slot.entry().EndLoad(kFrame, BasicPageEntry<StepAtomic>::Loaded::kUnpinned);
  }
  // As PoolParts::TryExclusive and FrameSupply::TryEvict.
  void Evict(PageTag tag) {
    if (!slot.Has(tag)) return;
    const EntryState seen = slot.entry().Load();
    if (!seen.is_readable() || !slot.Has(tag) || !slot.entry().TryExclusive(seen)) return;
    is_right = is_right && content.load(std::memory_order_relaxed) == tag;
    (void)slot.entry().Evict(kFrame);
    slot.Leave();
  }
  // As BasicBufferPool::FixSharedFor.
  void Fix(PageTag tag) {
    if (!slot.Has(tag)) return;
    const EntryState before = slot.entry().Pin();
    if (before.was_pinned() && slot.Has(tag)) {
      is_right = is_right && content.load(std::memory_order_relaxed) == tag;
    }
    (void)slot.entry().Unpin();
  }
  // As BasicBufferPool::TryPeek and OptimisticPage::Validate.
  void Peek(PageTag tag) {
    if (!slot.Has(tag)) return;
    const EntryState seen = slot.entry().Load();
    if (!seen.is_readable() || !slot.Has(tag)) return;
    const uint64_t read = content.load(std::memory_order_relaxed);
    if (slot.entry().LoadAfterReads().is_same_page_as(seen)) is_right = is_right && read == tag;
  }
  // As BufferPoolCore::FixExclusiveSlow.
  void Claim(PageTag tag) {
    if (!slot.Has(tag) || !slot.entry().ClaimExclusive()) return;
    if (slot.Has(tag) && slot.entry().Load().pins() == 0) {
      is_right = is_right && content.load(std::memory_order_relaxed) == tag;
    }
    (void)slot.entry().ReleaseExclusive(false);
  }
};

using Asking = void (*)(SharedSlot&);
constexpr std::array<Asking, 4> kAsking = {
    [](SharedSlot& shared) { shared.Fix(SharedSlot::kFirst); },
    [](SharedSlot& shared) { shared.Peek(SharedSlot::kFirst); },
    [](SharedSlot& shared) { shared.Claim(SharedSlot::kFirst); },
    [](SharedSlot& shared) { shared.Evict(SharedSlot::kFirst); },
};

struct SlotCase {
  SlotCase(Asking asks, bool* all_right)
      : asking(asks), right(all_right), shared(std::make_unique<SharedSlot>()) {
    shared->Bring(SharedSlot::kFirst);
  }
  void Run(int thread) {
    if (thread == 0) return asking(*shared);
    // To the other page, and back.
    shared->Evict(SharedSlot::kFirst);
    shared->Bring(SharedSlot::kSecond);
    shared->Evict(SharedSlot::kSecond);
    shared->Bring(SharedSlot::kFirst);
  }
  bool Check() {
    const EntryState end = shared->slot.entry().Load();
    *right = *right && shared->is_right && end.pins() == 0 && !end.is_exclusive();
    return *right;
  }

  Asking asking;
  bool* right;
  std::unique_ptr<SharedSlot> shared;
};

TEST(HashSlotTest, InNoOrderDoesWhoAsksForAPageGetTheOneThatHasItsSlotNow) {
  size_t orders = 0;
  for (size_t asks = 0; asks < kAsking.size(); ++asks) {
    for (const bool stores_are_delayed : {false, true}) {
      bool is_right = true;
      orders += Interleaving::Explore({.threads = 2,
                                       .interruptions_max = kCheckedBuild ? 3 : 4,
                                       .stores_are_delayed = stores_are_delayed},
                                      [&] { return SlotCase(kAsking[asks], &is_right); });
      ASSERT_TRUE(is_right) << "who asks in way " << asks;
    }
  }
  EXPECT_GT(orders, 1'000U);
}

}  // namespace
}  // namespace granary::buffer
