// Interleaving: runs a few small threads in every order of their atomic steps, within a bound.
//
// For the lock-free parts, whose atomics are a template parameter: a test puts StepAtomic in. Every
// access is a step; between two steps the explorer may let another thread go on. It tries all
// orders that interrupt a thread up to `interruptions_max` times, one after the other, always the
// same ones. A store may be kept in its thread's store buffer until the thread ends, makes a
// read-modify-write or passes a fence, as x86-64 may do it; loads find their own thread's stores.
// Weaker processors' reorderings are not tried.
//
//   const size_t orders = Interleaving::Explore({.threads = 2}, [] { return Case(); });
//
// A case has Run(thread), which is called once on each thread, and Check(), which is called when
// all have ended.
#ifndef GRANARY_POOL_TESTING_INTERLEAVING_H_
#define GRANARY_POOL_TESTING_INTERLEAVING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace granary::testing {

// A word as StepAtomic has it in the memory of the modelled machine.
struct StepWord {
  uint64_t value;
};

class Interleaving {
 public:
  struct Options {
    int threads = 2;
    int interruptions_max = 2;
    bool stores_are_delayed = false;
  };

  // Makes a case, runs it in one order, checks it; again, until every order was tried. Returns how
  // many there were. A Check() that returns false ends it.
  template <class Make>
  static size_t Explore(const Options& options, const Make& make) {
    return ExploreRuns(options, [&]() -> Run {
      auto tried = make();
      auto shared = std::make_shared<decltype(tried)>(std::move(tried));
      return {[shared](int thread) { shared->Run(thread); }, [shared] { return shared->Check(); }};
    });
  }

  // For the atomics. Outside of a thread of Explore they act at once.
  static uint64_t Load(const StepWord& word);
  static void Store(StepWord& word, uint64_t value);
  // Before a read-modify-write: the step, and the thread's stores reach memory.
  static void BeginReadModifyWrite();
  // All threads' stores reach memory, as after membarrier(2).
  static void ProcessFence();

 private:
  struct Run {
    std::function<void(int)> body;
    // False ends the exploration.
    std::function<bool()> check;
  };
  static size_t ExploreRuns(const Options& options, const std::function<Run()>& make);
};

// std::atomic for the explorer.
template <class T>
class StepAtomic {
 public:
  StepAtomic(T value) noexcept : word_{static_cast<uint64_t>(value)} {}  // NOLINT: as std::atomic

  T load(std::memory_order) const noexcept { return static_cast<T>(Interleaving::Load(word_)); }
  void store(T value, std::memory_order) noexcept {
    Interleaving::Store(word_, static_cast<uint64_t>(value));
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order,
                             std::memory_order) noexcept {
    Interleaving::BeginReadModifyWrite();
    const T found = static_cast<T>(word_.value);
    if (found == expected) {
      word_.value = static_cast<uint64_t>(desired);
      return true;
    }
    expected = found;
    return false;
  }

  T fetch_add(T difference, std::memory_order) noexcept {
    return Modify([&](uint64_t value) { return value + static_cast<uint64_t>(difference); });
  }
  T fetch_sub(T difference, std::memory_order) noexcept {
    return Modify([&](uint64_t value) { return value - static_cast<uint64_t>(difference); });
  }
  T fetch_or(T bits, std::memory_order) noexcept {
    return Modify([&](uint64_t value) { return value | static_cast<uint64_t>(bits); });
  }
  T fetch_and(T bits, std::memory_order) noexcept {
    return Modify([&](uint64_t value) { return value & static_cast<uint64_t>(bits); });
  }

 private:
  template <class Change>
  T Modify(const Change& change) noexcept {
    Interleaving::BeginReadModifyWrite();
    const T before = static_cast<T>(word_.value);
    word_.value = change(word_.value);
    return before;
  }

  StepWord word_;
};

}  // namespace granary::testing

#endif  // GRANARY_POOL_TESTING_INTERLEAVING_H_
