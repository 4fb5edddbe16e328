// The page entry, in every interleaving of two threads of a few operations each.
#include "pool/buffer/page_entry.h"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "pool/testing/interleaving.h"

namespace granary::buffer {
namespace {

using testing::Interleaving;
using testing::StepAtomic;
using Entry = BasicPageEntry<StepAtomic>;
using Loaded = Entry::Loaded;

// What holds whatever the threads do: nobody has the page beside who has it exclusively, one brings
// it at a time, and what an optimistic reader validates is one content of one page. The page's
// content is how often it was changed or brought, in two words that a writer changes one after the
// other.
struct Checked {
  Entry entry;
  StepAtomic<uint64_t> first{0};
  StepAtomic<uint64_t> second{0};
  // Outside of the modelled memory: nobody interrupts what stands between two steps.
  int readers = 0;
  int writers = 0;
  int loaders = 0;
  bool is_right = true;

  void Require(bool condition) { is_right = is_right && condition; }
  void Check() {
    Require(readers >= 0 && writers >= 0 && loaders >= 0);
    Require(writers + loaders <= 1);
    Require(writers == 0 || readers == 0);
  }

  void Read() {
    const EntryState before = entry.Pin();
    if (before.was_pinned()) {
      ++readers;
      Check();
      Require(first.load(std::memory_order_relaxed) == second.load(std::memory_order_relaxed));
      Check();
      --readers;
    }
    (void)entry.Unpin();
  }

  void Change() {
    const uint64_t next = first.load(std::memory_order_relaxed) + 1;
    first.store(next, std::memory_order_relaxed);
    second.store(next, std::memory_order_relaxed);
  }

  void WriteNow(bool evicts) {
    if (!entry.TryExclusive()) return;
    ++writers;
    Check();
    if (!evicts) Change();
    Check();
    --writers;
    if (evicts) {
      (void)entry.Evict(entry.Load().frame());
    } else {
      (void)entry.ReleaseExclusive(true);
    }
  }

  void WriteWhenFree() {
    if (!entry.ClaimExclusive()) return;
    // A bounded wait, as every order is tried: where it would go on, the claim is given back.
    for (int looks = 0; looks < 2; ++looks) {
      if (entry.Load().pins() != 0) continue;
      ++writers;
      Check();
      Change();
      Check();
      --writers;
      break;
    }
    (void)entry.ReleaseExclusive(true);
  }

  void Upgrade() {
    const EntryState before = entry.Pin();
    if (!before.was_pinned()) {
      (void)entry.Unpin();
      return;
    }
    ++readers;
    Check();
    if (!entry.TryUpgrade()) {
      --readers;
      (void)entry.Unpin();
      return;
    }
    --readers;
    ++writers;
    Check();
    Change();
    --writers;
    ++readers;
    (void)entry.Downgrade(true);
    Check();
    --readers;
    (void)entry.Unpin();
  }

  void Load(FrameIndex frame, Loaded as) {
    if (!entry.BeginLoad(1)) return;
    ++loaders;
    Check();
    Change();
    --loaders;
    if (as == Loaded::kShared) ++readers;
    if (as == Loaded::kExclusive) ++writers;
    (void)entry.EndLoad(frame, as);
    Check();
    if (as == Loaded::kShared) {
      --readers;
      (void)entry.Unpin();
    } else if (as == Loaded::kExclusive) {
      --writers;
      (void)entry.ReleaseExclusive(true);
    }
  }

  void FailToLoad() {
    if (!entry.BeginLoad(1)) return;
    ++loaders;
    Check();
    --loaders;
    (void)entry.FailLoad();
  }

  void Peek() {
    const EntryState seen = entry.Load();
    if (!seen.is_readable()) return;
    const uint64_t a = first.load(std::memory_order_relaxed);
    const uint64_t b = second.load(std::memory_order_relaxed);
    if (entry.LoadAfterReads().is_same_page_as(seen)) Require(a == b);
  }

  void PeekAndWrite() {
    const EntryState seen = entry.Load();
    if (!seen.is_readable()) return;
    const uint64_t a = first.load(std::memory_order_relaxed);
    if (!entry.TryExclusive(seen)) return;
    ++writers;
    Check();
    Require(first.load(std::memory_order_relaxed) == a);
    Change();
    --writers;
    (void)entry.ReleaseExclusive(true);
  }
};

using Operation = void (*)(Checked&);
constexpr std::array<Operation, 10> kOperations = {
    [](Checked& page) { page.Read(); },
    [](Checked& page) { page.WriteNow(false); },
    [](Checked& page) { page.WriteNow(true); },
    [](Checked& page) { page.WriteWhenFree(); },
    [](Checked& page) { page.Upgrade(); },
    [](Checked& page) { page.Load(3, Loaded::kUnpinned); },
    [](Checked& page) { page.Load(5, Loaded::kShared); },
    [](Checked& page) { page.FailToLoad(); },
    [](Checked& page) { page.Peek(); },
    [](Checked& page) { page.PeekAndWrite(); },
};

// Two threads, one of which makes `first` and then `second`, the other one `other`.
struct Script {
  std::array<Operation, 2> mine;
  Operation other;
  bool is_resident;
};

struct Case {
  explicit Case(const Script& tried) : script(tried), page(std::make_unique<Checked>()) {
    if (script.is_resident) {
      (void)page->entry.BeginLoad(1);
      (void)page->entry.EndLoad(9, Loaded::kUnpinned);
    }
  }
  void Run(int thread) {
    if (thread == 0) {
      for (const Operation operation : script.mine) operation(*page);
    } else {
      script.other(*page);
    }
  }
  bool Check() {
    const EntryState end = page->entry.Load();
    page->Require(end.pins() == 0 && !end.is_exclusive() && !end.is_loading());
    page->Require(end.is_resident() || end.frame() == 0);
    return page->is_right;
  }

  Script script;
  std::unique_ptr<Checked> page;
};

TEST(PageEntryTest, NoOrderOfAnyThreeOperationsOfTwoThreadsBreaksIt) {
  size_t orders = 0;
  for (const bool is_resident : {false, true}) {
    for (size_t a = 0; a < kOperations.size(); ++a) {
      for (size_t b = 0; b < kOperations.size(); ++b) {
        for (size_t c = 0; c < kOperations.size(); ++c) {
          // A part of them where it takes long; optimised builds try them all.
          if (kCheckedBuild && (a + 3 * b + 7 * c) % 8 != 0) continue;
          const Script script = {{kOperations[a], kOperations[b]}, kOperations[c], is_resident};
          bool is_right = true;
          orders += Interleaving::Explore({.threads = 2, .interruptions_max = 2}, [&] {
            struct Watched : Case {
              Watched(const Script& tried, bool* right) : Case(tried), all_right(right) {}
              bool Check() {
                *all_right = Case::Check() && *all_right;
                return *all_right;
              }
              bool* all_right;
            };
            return Watched(script, &is_right);
          });
          ASSERT_TRUE(is_right) << "operations " << a << " and " << b << " beside " << c
                                << (is_resident ? ", resident" : ", absent");
        }
      }
    }
  }
  EXPECT_GT(orders, 1'000U);
}

TEST(PageEntryTest, EveryFieldKeepsToItsBits) {
  PageEntry entry;
  EXPECT_TRUE(entry.Load().is_absent());
  ASSERT_TRUE(entry.BeginLoad(7));
  EXPECT_TRUE(entry.Load().is_loading());
  EXPECT_FALSE(entry.BeginLoad(8));
  constexpr FrameIndex kLast = (FrameIndex{1} << EntryState::kFrameBits) - 1;
  (void)entry.EndLoad(kLast, PageEntry::Loaded::kShared);
  EXPECT_EQ(entry.Load().frame(), kLast);
  EXPECT_EQ(entry.Load().pins(), 1U);
  EXPECT_EQ(entry.Load().version(), 8U);
  EXPECT_FALSE(entry.TryExclusive());
  ASSERT_TRUE(entry.TryUpgrade());
  EXPECT_EQ(entry.Load().pins(), 0U);
  (void)entry.Evict(kLast);
  EXPECT_TRUE(entry.Load().is_absent());
  EXPECT_EQ(entry.Load().frame(), 0U);
}

TEST(PageEntryTest, TheVersionComesRoundAndDisturbsNothing) {
  PageEntry entry;
  ASSERT_TRUE(entry.BeginLoad(EntryState::kVersions >> EntryState::kVersionShift));
  (void)entry.EndLoad(5, PageEntry::Loaded::kUnpinned);
  EXPECT_EQ(entry.Load().version(), 0U);
  EXPECT_EQ(entry.Load().frame(), 5U);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(entry.TryExclusive());
    (void)entry.ReleaseExclusive(true);
  }
  EXPECT_EQ(entry.Load().version(), 3U);
}

TEST(PageEntryTest, MorePinsThanThereMayBeAreRefused) {
  PageEntry entry;
  ASSERT_TRUE(entry.BeginLoad(1));
  (void)entry.EndLoad(5, PageEntry::Loaded::kUnpinned);
  for (uint64_t i = 0; i < EntryState::kPinLimit; ++i) ASSERT_TRUE(entry.Pin().was_pinned());
  EXPECT_FALSE(entry.Pin().was_pinned());
  (void)entry.Unpin();
  (void)entry.Unpin();
  EXPECT_TRUE(entry.Pin().was_pinned());
}

}  // namespace
}  // namespace granary::buffer
