// The lock-free parts of the pool in every order of their steps, and with faults put in on purpose,
// which have to be found.
#include "pool/testing/interleaving.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "memory/owner_gate.h"
#include "pool/index_stack.h"

namespace granary {
namespace {

using testing::Interleaving;
using testing::StepAtomic;

constexpr PageIndex kPages = 4;

struct LinkArray {
  std::vector<StepAtomic<PageIndex>>* links;
  PageIndex Load(PageIndex index) const noexcept {
    return (*links)[index].load(std::memory_order_relaxed);
  }
  void Store(PageIndex index, PageIndex next) const noexcept {
    (*links)[index].store(next, std::memory_order_relaxed);
  }
};

// Threads that pop and push; a page may be in one hand only.
template <Tagged kTagged>
struct StackCase {
  StackCase() {
    for (PageIndex page = kPages; page > 0; --page) stack->Push(Array(), page - 1, page - 1);
  }

  LinkArray Array() const { return {links.get()}; }

  // The first takes one page. The others take two, and give the first of them back.
  void Run(int thread) {
    std::array<PageIndex, 2> taken;
    if (thread == 0) {
      const size_t count = stack->Pop(Array(), 1, taken.data());
      for (size_t i = 0; i < count; ++i) held[0].push_back(taken[i]);
      return;
    }
    const size_t first = stack->Pop(Array(), 1, taken.data());
    const size_t second = stack->Pop(Array(), 1, taken.data() + 1);
    if (second == 1) held[static_cast<size_t>(thread)].push_back(taken[1]);
    if (first == 1) stack->Push(Array(), taken[0], taken[0]);
  }

  bool Check() {
    std::vector<PageIndex> all;
    for (const auto& hand : held) all.insert(all.end(), hand.begin(), hand.end());
    std::array<PageIndex, kPages + 1> rest;
    // A list that has gone wrong may be a ring.
    const size_t count = stack->Pop(Array(), rest.size(), rest.data());
    all.insert(all.end(), rest.begin(), rest.begin() + static_cast<ptrdiff_t>(count));
    std::sort(all.begin(), all.end());
    good = all.size() == kPages && std::unique(all.begin(), all.end()) == all.end();
    *failed |= !good;
    return good;
  }

  std::unique_ptr<std::vector<StepAtomic<PageIndex>>> links =
      std::make_unique<std::vector<StepAtomic<PageIndex>>>(kPages, kNoPage);
  std::unique_ptr<IndexStack<StepAtomic, kTagged>> stack =
      std::make_unique<IndexStack<StepAtomic, kTagged>>();
  std::array<std::vector<PageIndex>, 3> held;
  bool good = true;
  bool* failed = nullptr;
};

template <Tagged kTagged>
bool StackFails(const Interleaving::Options& options, size_t* orders) {
  bool failed = false;
  *orders = Interleaving::Explore(options, [&] {
    StackCase<kTagged> made;
    made.failed = &failed;
    return made;
  });
  return failed;
}

TEST(InterleavingTest, TheStackGivesEachPageToOne) {
  size_t orders = 0;
  EXPECT_FALSE(StackFails<Tagged::kYes>({.threads = 2, .interruptions_max = 4}, &orders));
  EXPECT_GT(orders, 500u);
  EXPECT_FALSE(StackFails<Tagged::kYes>({.threads = 3, .interruptions_max = 2}, &orders));
  EXPECT_GT(orders, 500u);
  EXPECT_FALSE(StackFails<Tagged::kYes>(
      {.threads = 2, .interruptions_max = 3, .stores_are_delayed = true}, &orders));
}

TEST(InterleavingTest, AStackWithoutTagsIsFoundOut) {
  size_t orders = 0;
  EXPECT_TRUE(StackFails<Tagged::kNo>({.threads = 2, .interruptions_max = 1}, &orders));
}

enum class Fault { kNone, kNoFence, kNoWait, kNoStop };

// An owner pushes a page and pops one, another stops it and takes what there is. The stack is what
// the gate guards: places 2, 4 and 6 have the pages 1, 2 and 3.
struct GateCase {
  using Cursor = OwnerGate<StepAtomic>::Cursor;
  static constexpr Cursor kLow = 2;
  static constexpr Cursor kHigh = 8;

  struct State {
    OwnerGate<StepAtomic> gate;
    std::array<StepAtomic<int>, 3> places = {1, 2, 0};
    // How often each page was seen, in whose hands or in the stack.
    std::array<int, 4> found = {};
  };

  GateCase() {
    state->gate.Start(kLow, kHigh);
    state->gate.Leave(kLow + 4);
  }

  StepAtomic<int>& At(Cursor at) { return state->places[(at - kLow) / 2]; }

  void Run(int thread) {
    if (thread == 0) {
      if (const Cursor at = state->gate.EnterBelow()) {
        At(at).store(3, std::memory_order_relaxed);
        state->gate.Leave(at + 2);
      } else {
        ++state->found[3];
      }
      for (int i = 0; i < 2; ++i) {
        if (const Cursor at = state->gate.EnterAbove()) {
          ++state->found[static_cast<size_t>(At(at - 2).load(std::memory_order_relaxed))];
          state->gate.Leave(at - 2);
        }
      }
      return;
    }
    if (fault != Fault::kNoStop) state->gate.Stop();
    if (fault != Fault::kNoFence) Interleaving::ProcessFence();
    const Cursor end = fault != Fault::kNoWait ? state->gate.WaitUntilOut() : state->gate.Look();
    for (Cursor at = kLow; at < end; at += 2) {
      ++state->found[static_cast<size_t>(At(at).load(std::memory_order_relaxed))];
    }
  }

  // Each page once, and no place that had none.
  bool Check() {
    const bool good = state->found == std::array{0, 1, 1, 1};
    *failed |= !good;
    return good;
  }

  std::unique_ptr<State> state = std::make_unique<State>();
  Fault fault = Fault::kNone;
  bool* failed = nullptr;
};

bool GateFails(Fault fault, bool stores_are_delayed, int interruptions_max) {
  bool failed = false;
  const size_t orders = Interleaving::Explore({.threads = 2,
                                               .interruptions_max = interruptions_max,
                                               .stores_are_delayed = stores_are_delayed},
                                              [&] {
                                                GateCase made;
                                                made.fault = fault;
                                                made.failed = &failed;
                                                return made;
                                              });
  EXPECT_GT(orders, 0u);
  return failed;
}

TEST(InterleavingTest, TheGateLetsOneIn) {
  EXPECT_FALSE(GateFails(Fault::kNone, false, 3));
  EXPECT_FALSE(GateFails(Fault::kNone, true, 3));
}

TEST(InterleavingTest, AGateWithoutItsFenceIsFoundOut) {
  EXPECT_FALSE(GateFails(Fault::kNoFence, false, 3)) << "without store buffers it is not needed";
  EXPECT_TRUE(GateFails(Fault::kNoFence, true, 3));
}

TEST(InterleavingTest, AGateThatDoesNotWaitIsFoundOut) {
  EXPECT_TRUE(GateFails(Fault::kNoWait, false, 3));
}

// An owner charges and releases bytes against its credit, as a BudgetAccount does: the cursor is
// twice the credit above kEmpty, and a charge enters where there is so much. What the credit does
// not cover goes by the lock, to what is free, and comes back with new credit. Another takes the
// credit for itself. Whatever the order, each byte is one's.
struct CreditCase {
  using Gate = OwnerGate<StepAtomic>;
  using Cursor = Gate::Cursor;
  static constexpr Cursor kEmpty = 2;
  static constexpr size_t kCreditMax = 16;
  static constexpr size_t kBytes = 12;

  struct State {
    Gate gate;
    StepAtomic<int> lock = 0;
    // With the lock.
    bool is_started = true;
    size_t free_bytes = 4;
    // Each a thread's alone.
    std::array<size_t, 2> held_bytes = {};
  };

  CreditCase() { Start(kBytes - state->free_bytes); }

  void Start(size_t credit) {
    state->is_started = true;
    state->gate.Start(kEmpty, kEmpty + 2 * kCreditMax, kEmpty + 2 * credit);
  }
  static size_t CreditAt(Cursor at) { return (at - kEmpty) / 2; }

  void Lock() {
    int open = 0;
    while (!state->lock.compare_exchange_weak(open, 1, std::memory_order_acquire,
                                              std::memory_order_relaxed)) {
      open = 0;
    }
  }
  void Unlock() { state->lock.store(0, std::memory_order_release); }

  // Of the owner's credit, by the owner or another.
  void TakeBack(bool by_owner) {
    if (!state->is_started) return;
    if (fault != Fault::kNoStop || by_owner) state->gate.Stop();
    if (fault != Fault::kNoFence && !by_owner) Interleaving::ProcessFence();
    const Cursor at = fault != Fault::kNoWait ? state->gate.WaitUntilOut() : state->gate.Look();
    state->is_started = false;
    state->free_bytes += CreditAt(at);
  }

  void Charge(size_t bytes) {
    if (const Cursor at = state->gate.EnterAbove(2 * bytes)) {
      state->gate.Leave(at - 2 * bytes);
      state->held_bytes[0] += bytes;
      return;
    }
    Lock();
    TakeBack(/*by_owner=*/true);
    if (state->free_bytes >= bytes) {
      state->held_bytes[0] += bytes;
      const size_t credit = (state->free_bytes - bytes) / 2;
      state->free_bytes -= bytes + credit;
      Start(credit);
    }
    Unlock();
  }

  void Release(size_t bytes) {
    if (state->held_bytes[0] < bytes) return;
    state->held_bytes[0] -= bytes;
    if (const Cursor at = state->gate.EnterBelow(2 * bytes)) {
      state->gate.Leave(at + 2 * bytes);
      return;
    }
    Lock();
    TakeBack(/*by_owner=*/true);
    state->free_bytes += bytes;
    Unlock();
  }

  void Run(int thread) {
    if (thread == 0) {
      Charge(5);
      Release(3);
      Charge(6);
      return;
    }
    Lock();
    TakeBack(/*by_owner=*/false);
    state->held_bytes[1] = state->free_bytes - state->free_bytes / 4;
    state->free_bytes /= 4;
    Unlock();
  }

  bool Check() {
    const size_t credit = state->is_started ? CreditAt(state->gate.Look()) : 0;
    const bool good =
        state->held_bytes[0] + state->held_bytes[1] + state->free_bytes + credit == kBytes;
    *failed |= !good;
    return good;
  }

  std::unique_ptr<State> state = std::make_unique<State>();
  Fault fault = Fault::kNone;
  bool* failed = nullptr;
};

bool CreditFails(Fault fault, bool stores_are_delayed, int interruptions_max) {
  bool failed = false;
  const size_t orders = Interleaving::Explore({.threads = 2,
                                               .interruptions_max = interruptions_max,
                                               .stores_are_delayed = stores_are_delayed},
                                              [&] {
                                                CreditCase made;
                                                made.fault = fault;
                                                made.failed = &failed;
                                                return made;
                                              });
  EXPECT_GT(orders, failed ? 0u : 500u);
  return failed;
}

TEST(InterleavingTest, CreditThatWasTakenIsNotUsed) {
  EXPECT_FALSE(CreditFails(Fault::kNone, false, 2));
  EXPECT_FALSE(CreditFails(Fault::kNone, true, 3));
}

TEST(InterleavingTest, CreditTakenWithoutAFenceIsFoundOut) {
  EXPECT_FALSE(CreditFails(Fault::kNoFence, false, 2)) << "without store buffers it is not needed";
  EXPECT_TRUE(CreditFails(Fault::kNoFence, true, 2));
}

TEST(InterleavingTest, CreditTakenFromWhoIsInsideIsFoundOut) {
  EXPECT_TRUE(CreditFails(Fault::kNoWait, false, 2));
}

TEST(InterleavingTest, CreditTakenWithoutAStopIsFoundOut) {
  EXPECT_TRUE(CreditFails(Fault::kNoStop, false, 2));
}

// The stop lasts: an owner that is in the middle of finding it out changes nothing, and has not to
// be waited for again. In the child of a fork it stays there for good.
TEST(InterleavingTest, AStoppedGateStaysStopped) {
  OwnerGate<> gate;
  EXPECT_EQ(gate.Enter(), 0u) << "a new one is";
  gate.Start(8, 16);
  EXPECT_EQ(gate.EnterAbove(), 0u) << "nothing is in it";
  EXPECT_EQ(gate.EnterBelow(), 8u);
  gate.Leave(16);
  EXPECT_EQ(gate.EnterBelow(), 0u) << "full";
  EXPECT_EQ(gate.Enter(), 16u);
  EXPECT_EQ(gate.Look(), 16u);
  gate.Leave(16);
  gate.Stop();
  EXPECT_EQ(gate.WaitUntilOut(), 16u);
  EXPECT_EQ(gate.EnterAbove(), 0u);
  EXPECT_EQ(gate.EnterBelow(), 0u);
  EXPECT_EQ(gate.Enter(), 0u);
  gate.Start(8, 16);
  EXPECT_EQ(gate.EnterBelow(), 8u);
}

// A distance is kept on both sides, and a stopped gate has room for none, however small or large.
TEST(InterleavingTest, AGateIsEnteredWhereThereIsTheDistance) {
  using Cursor = OwnerGate<>::Cursor;
  constexpr Cursor kFarthest = UINTPTR_MAX / 4 - 1;
  OwnerGate<> gate;
  gate.Start(2, 102, 42);
  EXPECT_EQ(gate.EnterAbove(42), 0u);
  EXPECT_EQ(gate.Look(), 42u) << "it is out again";
  EXPECT_EQ(gate.EnterBelow(62), 0u);
  EXPECT_EQ(gate.EnterAbove(kFarthest), 0u);
  EXPECT_EQ(gate.EnterBelow(kFarthest), 0u);
  EXPECT_EQ(gate.EnterAbove(40), 42u);
  gate.Leave(2);
  EXPECT_EQ(gate.EnterAbove(2), 0u);
  EXPECT_EQ(gate.EnterAbove(0), 2u);
  gate.Leave(2);
  EXPECT_EQ(gate.EnterBelow(100), 2u);
  gate.Leave(102);
  gate.Stop();
  EXPECT_EQ(gate.WaitUntilOut(), 102u);
  for (const Cursor distance : {Cursor{0}, Cursor{2}, Cursor{100}, kFarthest}) {
    EXPECT_EQ(gate.EnterAbove(distance), 0u) << distance;
    EXPECT_EQ(gate.EnterBelow(distance), 0u) << distance;
  }
}

TEST(InterleavingTest, AGateThatDoesNotStopIsFoundOut) {
  EXPECT_TRUE(GateFails(Fault::kNoStop, false, 3));
}

}  // namespace
}  // namespace granary
