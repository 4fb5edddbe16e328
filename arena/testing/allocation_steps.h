// AllocationSteps: each function of an arena that takes memory, as one step of a test whose
// upstream refuses, and what has to be true of everything that the steps were given.
#ifndef GRANARY_ARENA_TESTING_ALLOCATION_STEPS_H_
#define GRANARY_ARENA_TESTING_ALLOCATION_STEPS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_resource.h"
#include "memory/testing/failing_resource.h"

namespace granary::testing {

struct Counter {
  explicit Counter(int* where) : destroyed(where) {}
  ~Counter() { ++*destroyed; }
  int* destroyed;
};

// For an Arena or what has its functions. One thread at a time.
template <class Arena>
class AllocationSteps {
 public:
  // True if it was served. A step that throws was refused.
  struct Step {
    const char* what;
    std::function<bool(Arena&)> run;
  };

  // The steps, once for each size.
  std::vector<Step> Of(const std::vector<size_t>& sizes) {
    std::vector<Step> steps;
    for (const size_t bytes : sizes) AddMemory(steps, bytes);
    for (const size_t bytes : sizes) AddObjects(steps, bytes);
    return steps;
  }

  // Runs a step; false if it was refused, by BudgetExceeded too.
  static bool Run(const Step& step, Arena& arena) {
    try {
      return step.run(arena);
    } catch (const BudgetExceeded& refusal) {
      EXPECT_EQ(refusal.scope_path(), FailingResource::kScopePath);
      return false;
    }
  }

  // Filled, so that a later step that wrote over it would be seen.
  bool Keep(void* p, size_t bytes) {
    if (p == nullptr) return false;
    std::memset(p, 0x5a, bytes);
    kept_.push_back({static_cast<std::byte*>(p), bytes});
    return true;
  }
  void ExpectKept() const {
    for (const auto& [p, bytes] : kept_) {
      for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(p[i], std::byte{0x5a});
    }
  }

  // How many cleanups the arena owes, and how many have run.
  int created = 0;
  int destroyed = 0;

 private:
  struct Kept {
    std::byte* p;
    size_t bytes;
  };

  void AddMemory(std::vector<Step>& steps, size_t bytes) {
    const std::string text(bytes, 'x');
    steps.push_back({"TryAllocate",
                     [=, this](Arena& arena) { return Keep(arena.TryAllocate(bytes, 8), bytes); }});
    steps.push_back({"TryAllocate of a page's alignment", [=, this](Arena& arena) {
                       return Keep(arena.TryAllocate(bytes, 4096), bytes);
                     }});
    steps.push_back(
        {"allocate", [=, this](Arena& arena) { return Keep(arena.allocate(bytes, 64), bytes); }});
    steps.push_back({"TryAllocateBytes", [=, this](Arena& arena) {
                       return Keep(arena.TryAllocateBytes(bytes), bytes);
                     }});
    steps.push_back({"AllocateBytes",
                     [=, this](Arena& arena) { return Keep(arena.AllocateBytes(bytes), bytes); }});
    steps.push_back({"TryCopy", [=](Arena& arena) {
                       const char* const copy = arena.TryCopy(text);
                       return copy != nullptr && std::string_view(copy, text.size()) == text;
                     }});
    steps.push_back({"Copy", [=](Arena& arena) { return arena.Copy(text) == text; }});
  }

  void AddObjects(std::vector<Step>& steps, size_t bytes) {
    steps.push_back({"TryCreate", [this](Arena& arena) {
                       return Owed(arena.template TryCreate<Counter>(&destroyed) != nullptr);
                     }});
    steps.push_back({"Create", [this](Arena& arena) {
                       return Owed(arena.template Create<Counter>(&destroyed) != nullptr);
                     }});
    steps.push_back({"TryCreateArray", [=](Arena& arena) {
                       return arena.template TryCreateArray<std::string>(bytes / 8) != nullptr;
                     }});
    steps.push_back({"CreateArray", [=](Arena& arena) {
                       return arena.template CreateArray<uint64_t>(bytes / 8).size() == bytes / 8;
                     }});
    steps.push_back({"TryDefer", [this](Arena& arena) {
                       return Owed(
                           arena.TryDefer([](void* p) { ++*static_cast<int*>(p); }, &destroyed));
                     }});
    steps.push_back({"Defer", [this](Arena& arena) {
                       arena.Defer([](void* p) { ++*static_cast<int*>(p); }, &destroyed);
                       return Owed(true);
                     }});
  }

  bool Owed(bool done) {
    created += done ? 1 : 0;
    return done;
  }

  std::vector<Kept> kept_;
};

}  // namespace granary::testing

#endif  // GRANARY_ARENA_TESTING_ALLOCATION_STEPS_H_
