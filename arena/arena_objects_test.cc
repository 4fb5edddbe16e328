// Objects that an arena makes: constructed in it, destroyed with it.
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "arena/arena.h"
#include "arena/testing/counting.h"
#include "gtest/gtest.h"

namespace granary {
namespace {

TEST(ArenaObjectsTest, DestroysObjectsInReverseOrderAtReset) {
  CountingUpstream upstream;
  std::vector<int> log;
  Arena arena(UncheckedOptions(upstream));
  for (int i = 0; i < 4; ++i) arena.Create<Counted>(&log, i);
  arena.Defer([](void* p) { static_cast<std::vector<int>*>(p)->push_back(99); }, &log);
  EXPECT_TRUE(log.empty());
  arena.Reset();
  EXPECT_EQ(log, (std::vector<int>{99, 3, 2, 1, 0}));
  arena.Reset();
  EXPECT_EQ(log.size(), 5u);
}

TEST(ArenaObjectsTest, DestroysObjectsAtItsEnd) {
  CountingUpstream upstream;
  std::vector<int> log;
  {
    Arena arena(UncheckedOptions(upstream));
    arena.Create<Counted>(&log, 1);
  }
  EXPECT_EQ(log, std::vector<int>{1});
}

TEST(ArenaObjectsTest, CreatesPlainObjectsWithoutARecord) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  struct Plain {
    int64_t a, b;
  };
  (void)arena.Create<Plain>(1, 2);
  EXPECT_EQ(arena.Stats().asked_bytes, sizeof(Plain));
}

TEST(ArenaObjectsTest, AThrowingConstructorRegistersNothing) {
  struct Throws {
    Throws() { throw 1; }
    ~Throws() { ADD_FAILURE() << "destroyed, but never constructed"; }
  };
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  EXPECT_THROW(arena.Create<Throws>(), int);
  arena.Reset();
}

TEST(ArenaObjectsTest, CreatesArraysOfValueInitialisedElements) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  for (int round = 0; round < 2; ++round) {
    const std::span<int> numbers = arena.CreateArray<int>(1000);
    for (int& number : numbers) {
      EXPECT_EQ(number, 0);
      number = 5;
    }
    const std::span<std::string> strings = arena.CreateArray<std::string>(100);
    for (std::string& string : strings) string = std::string(100, 'x');
    EXPECT_EQ(strings[99].size(), 100u);
    arena.Reset();
  }
  EXPECT_EQ(arena.TryCreateArray<std::string>(SIZE_MAX / 16), nullptr);
  EXPECT_NE(arena.TryCreateArray<std::string>(0), nullptr);
}

TEST(ArenaObjectsTest, DestroysArraysFromTheEnd) {
  static std::vector<int> log;
  struct Element {
    ~Element() { log.push_back(id); }
    int id = 0;
  };
  log.clear();
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  const auto array = arena.CreateArray<Element>(3);
  for (int i = 0; i < 3; ++i) array[static_cast<size_t>(i)].id = i;
  arena.Reset();
  EXPECT_EQ(log, (std::vector<int>{2, 1, 0}));
}

TEST(ArenaObjectsTest, CopiesText) {
  CountingUpstream upstream;
  Arena arena(UncheckedOptions(upstream));
  std::string text = "a plan";
  const std::string_view copy = arena.Copy(text);
  text = "gone!!";
  EXPECT_EQ(copy, "a plan");
  EXPECT_EQ(arena.Copy("").size(), 0u);
}

}  // namespace
}  // namespace granary
