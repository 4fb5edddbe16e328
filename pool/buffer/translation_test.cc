// What every translation does, whatever it keeps entries in: against a map, with threads, without
// memory.
#include "pool/buffer/translation.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_budget.h"
#include "memory/sanitizer.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/random_seed.h"
#include "pool/buffer/array_translation.h"
#include "pool/buffer/fix_sections.h"
#include "pool/buffer/hash_translation.h"
#include "pool/buffer/page_guard.h"

namespace granary::buffer {
namespace {

constexpr uint64_t kPages = uint64_t{1} << 30;

// Each page is in a frame that says which page it is.
FrameIndex FrameOf(PageId id) {
  return static_cast<FrameIndex>(HashOf(TagOf(id)) >> (64 - EntryState::kFrameBits));
}

template <class Tested>
class TranslationTest : public ::testing::Test {
 protected:
  void Make(const TranslationOptions& options = {.files_max = 4, .frames = 32}) {
    auto made = Tested::Create(options);
    ASSERT_TRUE(made) << made.error().message;
    translation_ = std::move(*made);
    const auto added = translation_->AddFile(1, kPages);
    ASSERT_TRUE(added) << added.error().message;
  }

  MemoryBudget& MakeBudget(size_t bytes) {
    return budget_.emplace(MemoryBudgetOptions{.name = "entries", .hard_limit_bytes = bytes});
  }

  PageEntry* Find(PageId id) {
    const FixSections::Inside inside(sections_);
    return translation_->FindEntry(id);
  }
  // As a pool does with a page that is not there. False if it is, or somebody else brings it, or
  // there is no memory.
  bool Bring(PageId id) {
    PageEntry* const entry = translation_->Hold(id);
    if (entry == nullptr) return false;
    if (!entry->BeginLoad(seed_.fetch_add(0x9E3779B1) % (uint64_t{1} << 21))) {
      translation_->LetGo(id);
      return false;
    }
    (void)entry->EndLoad(FrameOf(id), PageEntry::Loaded::kUnpinned);
    return true;
  }
  bool Evict(PageId id) {
    {
      const FixSections::Inside inside(sections_);
      PageEntry* const entry = translation_->FindEntry(id);
      if (entry == nullptr) return false;
      const EntryState seen = entry->Load();
      if (!seen.is_readable() || !translation_->IsEntryOf(*entry, id)) return false;
      if (!entry->TryExclusive(seen)) return false;
      EXPECT_EQ(seen.frame(), FrameOf(id));
      (void)entry->Evict(seen.frame());
    }
    translation_->LetGo(id);
    return true;
  }

  FixSections sections_;
  std::optional<MemoryBudget> budget_;
  std::unique_ptr<Tested> translation_;
  std::atomic<uint64_t> seed_ = 1;
};

using Translations = ::testing::Types<ArrayTranslation, HashTranslation>;
TYPED_TEST_SUITE(TranslationTest, Translations);

TYPED_TEST(TranslationTest, APageThatIsHeldIsFoundWhereItIsHeld) {
  this->Make();
  EXPECT_EQ(this->Find({1, 7}), nullptr);
  PageEntry* const entry = this->translation_->Hold({1, 7});
  ASSERT_NE(entry, nullptr);
  EXPECT_TRUE(entry->Load().is_absent());
  EXPECT_EQ(this->Find({1, 7}), entry);
  EXPECT_EQ(this->translation_->MakeView().Look({1, 7}), entry);
  EXPECT_TRUE(this->translation_->IsEntryOf(*entry, {1, 7}));
  EXPECT_EQ(this->translation_->Hold({1, 7}), entry);
  this->translation_->LetGo({1, 7});
  EXPECT_EQ(this->Find({1, 7}), entry);
  this->translation_->LetGo({1, 7});
}

TYPED_TEST(TranslationTest, PagesWithTheLastNumbersThatThereAreHaveEntriesOfTheirOwn) {
  this->Make({.files_max = 3, .frames = 32});
  if (const auto added = this->translation_->AddFile(2, kPagesMax); !added) {
    ASSERT_EQ(added.error().code, ErrorCode::kOutOfMemory) << added.error().message;
    GTEST_SKIP() << "no such range of addresses: " << added.error().message;
  }
  EXPECT_EQ(this->translation_->PagesOf(2), kPagesMax);
  PageEntry* const last = this->translation_->Hold({2, kPagesMax - 1});
  PageEntry* const first = this->translation_->Hold({2, 0});
  ASSERT_NE(last, nullptr);
  ASSERT_NE(first, nullptr);
  EXPECT_NE(last, first);
  EXPECT_EQ(this->Find({2, kPagesMax - 1}), last);
  // None is taken for another file's.
  EXPECT_EQ(this->Find({1, kPagesMax}), nullptr);
  EXPECT_EQ(this->Find({2 + kFilesMax, 0}), nullptr);
  EXPECT_EQ(this->Find({3, 0}), nullptr);
  this->translation_->LetGo({2, kPagesMax - 1});
  this->translation_->LetGo({2, 0});
}

TYPED_TEST(TranslationTest, FilesThatMakeNoSenseAreRefused) {
  this->Make({.files_max = 4, .frames = 32});
  const auto code = [&](FileId file, uint64_t pages) {
    const auto added = this->translation_->AddFile(file, pages);
    return added ? std::nullopt : std::optional(added.error().code);
  };
  EXPECT_EQ(code(4, 10), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(2, 0), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(2, kPagesMax + 1), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(1, 10), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(2, 10), std::nullopt);
  EXPECT_EQ(this->translation_->PagesOf(2), 10U);
  EXPECT_EQ(this->translation_->PagesOf(3), 0U);
  EXPECT_EQ(this->translation_->PagesOf(4), 0U);
  EXPECT_FALSE(TypeParam::Create({.files_max = 0, .frames = 32}));
  EXPECT_FALSE(TypeParam::Create({.files_max = kFilesMax + 1, .frames = 32}));
}

TYPED_TEST(TranslationTest, AFileGoesWhenNobodyIsInside) {
  this->Make();
  ASSERT_TRUE(this->Bring({1, 3}));
  ASSERT_TRUE(this->Evict({1, 3}));
  {
    const FixSections::Inside inside(this->sections_);
    EXPECT_FALSE(this->translation_->RemoveFile(1, this->sections_));
    EXPECT_EQ(this->translation_->PagesOf(1), kPages);
    EXPECT_EQ(this->translation_->GiveBackEmpty(this->sections_), 0U);
  }
  EXPECT_TRUE(this->translation_->RemoveFile(1, this->sections_));
  EXPECT_EQ(this->translation_->PagesOf(1), 0U);
  EXPECT_EQ(this->translation_->held_bytes(), 0U);
  EXPECT_TRUE(this->translation_->RemoveFile(1, this->sections_));
  ASSERT_TRUE(this->translation_->AddFile(1, 5));
  EXPECT_TRUE(this->Bring({1, 3}));
  EXPECT_TRUE(this->Evict({1, 3}));
}

TYPED_TEST(TranslationTest, MemoryOfEntriesIsChargedAndGivenBack) {
  MemoryBudget& budget = this->MakeBudget(size_t{1} << 20);
  this->Make({.files_max = 4, .frames = 32, .budget = &budget});
  EXPECT_EQ(this->translation_->held_bytes(), 0U);
  for (uint64_t page = 0; page < 32; ++page) ASSERT_TRUE(this->Bring({1, page << 20}));
  EXPECT_GT(this->translation_->held_bytes(), 0U);
  EXPECT_EQ(budget.Stats().taken_bytes, this->translation_->held_bytes());
  EXPECT_EQ(this->translation_->empty_bytes(), 0U);
  EXPECT_EQ(this->translation_->GiveBackEmpty(this->sections_), 0U);
  for (uint64_t page = 0; page < 32; ++page) ASSERT_TRUE(this->Evict({1, page << 20}));
  const size_t held = this->translation_->held_bytes();
  EXPECT_EQ(this->translation_->empty_bytes(), held);
  EXPECT_EQ(this->translation_->GiveBackEmpty(this->sections_), held);
  EXPECT_EQ(this->translation_->held_bytes(), 0U);
  EXPECT_EQ(budget.Stats().taken_bytes, 0U);
  ASSERT_TRUE(this->Bring({1, 3}));
  EXPECT_GT(budget.Stats().taken_bytes, 0U);
  this->translation_.reset();
  EXPECT_EQ(budget.Stats().taken_bytes, 0U);
}

TYPED_TEST(TranslationTest, WithoutMemoryThereIsNoEntryAndWhatWasThereStays) {
  MemoryBudget& budget = this->MakeBudget(size_t{5} << 12);
  this->Make({.files_max = 4, .frames = 32, .budget = &budget});
  std::vector<PageId> brought;
  for (uint64_t page = 0; page < 100'000; page += 1000) {
    for (uint64_t i = page; i < page + 100; ++i) {
      if (this->Bring({1, i})) brought.push_back({1, i});
    }
  }
  EXPECT_GT(brought.size(), 250U);
  EXPECT_LT(brought.size(), 10'000U);
  EXPECT_EQ(this->translation_->Hold({1, kPages - 1}), nullptr);
  for (const PageId id : brought) {
    PageEntry* const entry = this->Find(id);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->Load().frame(), FrameOf(id));
    ASSERT_TRUE(this->Evict(id));
  }
  EXPECT_EQ(this->translation_->empty_bytes(), this->translation_->held_bytes());
}

TYPED_TEST(TranslationTest, MemoryThatTheSystemRefusesIsAnErrorAndLeavesNothingBehind) {
  for (size_t nth = 1;; ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth) + " is refused");
    FailingCalls calls;
    calls.RefuseCall(nth, ENOMEM);
    {
      auto made = TypeParam::Create({.files_max = 4, .frames = 32, .system_calls = &calls});
      if (made) {
        FixSections sections;
        const auto added = (*made)->AddFile(1, uint64_t{1} << 22);
        EXPECT_TRUE(added || added.error().code == ErrorCode::kOutOfMemory);
        if (added) {
          std::vector<PageId> held;
          for (uint64_t page = 0; page < 300; ++page) {
            const PageId id = {1, page << 13};
            if ((*made)->Hold(id) != nullptr) held.push_back(id);
          }
          EXPECT_GT(held.size(), 32U);
          for (const PageId id : held) (*made)->LetGo(id);
          (void)(*made)->GiveBackEmpty(sections);
          EXPECT_TRUE((*made)->RemoveFile(1, sections));
        }
      } else {
        EXPECT_EQ(made.error().code, ErrorCode::kOutOfMemory) << made.error().message;
      }
    }
    // Of those that are refused, an unmap leaves its memory.
    if (!calls.refused()) {
      EXPECT_EQ(calls.mapped_bytes(), 0);
      return;
    }
  }
}

// Holds, finds and lets go at random, of pages that are next to each other and of pages that are
// anywhere, beside a map that says which are held how often.
TYPED_TEST(TranslationTest, DoesAsAMapDoes) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  this->Make({.files_max = 4, .frames = 100});
  ASSERT_TRUE(this->translation_->AddFile(2, kPages));
  struct Held {
    PageEntry* entry;
    int count;
    bool is_resident;
  };
  std::map<PageId, Held> model;
  const int steps = kCheckedBuild ? 40'000 : 300'000;
  // Up to so many, and down again, so that tables grow and become empty.
  size_t most = 50;
  for (int step = 0; step < steps; ++step) {
    if (step % 2000 == 0) most = random() % 3 == 0 ? 1500 : random() % 60;
    const uint64_t any = random() % 3000;
    const PageId id = {static_cast<FileId>(1 + any % 2), any % 4 < 2 ? any : HashOf(any) % kPages};
    const auto at = model.find(id);
    switch (random() % 8) {
      case 0:
      case 1:
      case 2:
        if (at == model.end() && model.size() < most) {
          PageEntry* const entry = this->translation_->Hold(id);
          ASSERT_NE(entry, nullptr);
          ASSERT_TRUE(entry->BeginLoad(random() % (uint64_t{1} << 21)));
          const bool is_resident = random() % 4 != 0;
          if (is_resident) {
            (void)entry->EndLoad(FrameOf(id), PageEntry::Loaded::kUnpinned);
          } else {
            (void)entry->FailLoad();
          }
          model[id] = {entry, 1, is_resident};
        } else if (at != model.end()) {
          ASSERT_EQ(this->translation_->Hold(id), at->second.entry);
          ++at->second.count;
        }
        break;
      case 3:
      case 4:
        if (at == model.end()) {
          ASSERT_FALSE(this->Evict(id));
        } else if (at->second.count == 1 && at->second.is_resident) {
          ASSERT_TRUE(this->Evict(id));
          model.erase(at);
        } else {
          this->translation_->LetGo(id);
          if (--at->second.count == 0) model.erase(at);
        }
        break;
      case 5:
        // Below what there may be, some go.
        for (auto gone = model.begin(); gone != model.end() && model.size() > most;) {
          for (; gone->second.count > 1; --gone->second.count) {
            this->translation_->LetGo(gone->first);
          }
          if (gone->second.is_resident) {
            ASSERT_TRUE(this->Evict(gone->first));
          } else {
            this->translation_->LetGo(gone->first);
          }
          gone = model.erase(gone);
        }
        if (random() % 16 == 0) (void)this->translation_->GiveBackEmpty(this->sections_);
        break;
      default: {
        PageEntry* const entry = this->Find(id);
        if (at != model.end()) {
          ASSERT_EQ(entry, at->second.entry);
          ASSERT_TRUE(this->translation_->IsEntryOf(*entry, id));
          ASSERT_EQ(entry->Load().is_resident(), at->second.is_resident);
          if (at->second.is_resident) {
            ASSERT_EQ(entry->Load().frame(), FrameOf(id));
          }
        } else if (entry != nullptr) {
          ASSERT_TRUE(entry->Load().is_absent());
        }
      }
    }
  }
  for (const auto& [id, held] : model) {
    for (int i = 1; i < held.count; ++i) this->translation_->LetGo(id);
    if (held.is_resident) {
      ASSERT_TRUE(this->Evict(id));
    } else {
      this->translation_->LetGo(id);
    }
  }
  (void)this->translation_->GiveBackEmpty(this->sections_);
  EXPECT_EQ(this->translation_->held_bytes(), 0U);
  EXPECT_EQ(this->translation_->empty_bytes(), 0U);
}

// Threads that bring, evict, pin and look at the same few pages. Slots go from page to page under
// the hands of who has found them, and whoever believes an entry finds its own page's frame there.
TYPED_TEST(TranslationTest, ThreadsFindNoOtherPageThanTheyAskFor) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  this->Make({.files_max = 4, .frames = 8});
  constexpr uint64_t kAsked = 400;
  const int steps = kCheckedBuild ? 15'000 : 150'000;
  std::atomic<uint64_t> pinned = 0;
  std::atomic<uint64_t> looked = 0;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + t);
      std::vector<PageId> mine;
      for (int step = 0; step < steps; ++step) {
        const uint64_t any = random() % kAsked;
        const PageId id = {1, any % 2 == 0 ? any : HashOf(any) % kPages};
        switch (random() % 8) {
          case 0:
          case 1:
            if (this->Bring(id)) mine.push_back(id);
            break;
          case 2:
          case 3:
            if (mine.size() > 20 || (!mine.empty() && random() % 2 == 0)) {
              const size_t which = random() % mine.size();
              // Others may have it pinned.
              if (this->Evict(mine[which])) {
                mine[which] = mine.back();
                mine.pop_back();
              }
            }
            break;
          case 4:
            if (random() % 64 == 0) (void)this->translation_->GiveBackEmpty(this->sections_);
            break;
          case 5: {
            if (kOptimisticReadsPin) break;
            const auto view = this->translation_->MakeView();
            const PageEntry* const entry = view.Look(id);
            if (entry == nullptr) break;
            const EntryState seen = entry->Load();
            if (!seen.is_readable() || !view.Has(*entry, id)) break;
            const FrameIndex frame = seen.frame();
            if (!entry->LoadAfterReads().is_same_page_as(seen)) break;
            ASSERT_EQ(frame, FrameOf(id));
            looked.fetch_add(1, std::memory_order_relaxed);
            break;
          }
          default: {
            const FixSections::Inside inside(this->sections_);
            PageEntry* const entry = this->translation_->FindEntry(id);
            if (entry == nullptr) break;
            const EntryState before = entry->Pin();
            if (before.was_pinned() && this->translation_->IsEntryOf(*entry, id)) {
              ASSERT_EQ(before.frame(), FrameOf(id));
              pinned.fetch_add(1, std::memory_order_relaxed);
            }
            (void)entry->Unpin();
          }
        }
      }
      for (const PageId id : mine) {
        while (!this->Evict(id)) std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(pinned.load(), 0U);
  EXPECT_TRUE(kOptimisticReadsPin || looked.load() > 0);
  EXPECT_EQ(this->translation_->empty_bytes(), this->translation_->held_bytes());
  (void)this->translation_->GiveBackEmpty(this->sections_);
  EXPECT_EQ(this->translation_->held_bytes(), 0U);
}

// --- The table that is found by hash ------------------------------------------------------------

using HashTranslationTest = TranslationTest<HashTranslation>;

TEST_F(HashTranslationTest, GrowsWithThePagesThatAreHeldAndLeavesEachWhereItIs) {
  Make({.files_max = 4, .frames = 16});
  constexpr uint64_t kHeld = 20'000;
  std::vector<PageEntry*> entries;
  size_t last_bytes = 0;
  size_t times = 0;
  for (uint64_t page = 0; page < kHeld; ++page) {
    entries.push_back(translation_->Hold({1, HashOf(page) % kPages}));
    ASSERT_NE(entries.back(), nullptr);
    times += translation_->held_bytes() != last_bytes;
    last_bytes = translation_->held_bytes();
  }
  EXPECT_GE(times, 5U);
  EXPECT_LE(times, 8U);
  // What is in the table and in those before it, of less than twice its size together.
  EXPECT_LT(last_bytes, kHeld * 19 * 5);
  for (uint64_t page = 0; page < kHeld; ++page) {
    ASSERT_EQ(Find({1, HashOf(page) % kPages}), entries[page]);
  }
  for (uint64_t page = 0; page < kHeld; ++page) translation_->LetGo({1, HashOf(page) % kPages});
  EXPECT_EQ(translation_->GiveBackEmpty(sections_), last_bytes);
  // And the largest is there again.
  ASSERT_TRUE(Bring({1, 5}));
  EXPECT_GT(translation_->held_bytes(), kHeld * 16);
  EXPECT_TRUE(Evict({1, 5}));
}

TEST_F(HashTranslationTest, AnEntryThatHasGoneToAnotherPageSaysSo) {
  Make({.files_max = 4, .frames = 16});
  const PageId first = {1, 77};
  ASSERT_TRUE(Bring(first));
  PageEntry* const entry = Find(first);
  ASSERT_NE(entry, nullptr);
  const EntryState seen = entry->Load();
  ASSERT_TRUE(Evict(first));
  EXPECT_FALSE(translation_->IsEntryOf(*entry, first));
  PageId other = {1, 100};
  for (;; ++other.page) {
    ASSERT_TRUE(Bring(other));
    if (Find(other) == entry) break;
    ASSERT_TRUE(Evict(other));
  }
  EXPECT_FALSE(translation_->IsEntryOf(*entry, first));
  EXPECT_TRUE(translation_->IsEntryOf(*entry, other));
  EXPECT_FALSE(translation_->MakeView().Has(*entry, first));
  // Back again, in the same frame, and yet not as it was.
  ASSERT_TRUE(Evict(other));
  ASSERT_TRUE(Bring(first));
  ASSERT_EQ(Find(first), entry);
  EXPECT_EQ(entry->Load().frame(), seen.frame());
  EXPECT_FALSE(entry->Load().is_same_page_as(seen));
}

TEST_F(HashTranslationTest, IsMadeForItsFramesAndTakesLittleForEach) {
  constexpr size_t kFrames = 100'000;
  Make({.files_max = 4, .frames = kFrames});
  for (uint64_t page = 0; page < kFrames; ++page) {
    ASSERT_NE(translation_->Hold({1, HashOf(page) % kPages}), nullptr);
  }
  EXPECT_LE(translation_->held_bytes(), kFrames * 29);
}

TEST_F(HashTranslationTest, ThereIsOneFileLess) {
  EXPECT_FALSE(HashTranslation::Create({.files_max = kFilesMax, .frames = 1}));
  EXPECT_FALSE(HashTranslation::Create({.files_max = 1, .frames = 0}));
}

}  // namespace
}  // namespace granary::buffer
