// MagazineDepot: what goes in comes out, whole, up to its room, whoever asks.
#include "pool/magazine_depot.h"

#include <array>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace granary {
namespace {

class MagazineDepotTest : public testing::Test {
 protected:
  static constexpr uint32_t kPages = 8;
  using Pages = std::array<std::byte*, kPages>;

  // Pages of which each one's number tells the magazine's.
  static Pages Numbered(uintptr_t number) {
    Pages pages;
    for (uintptr_t i = 0; i < kPages; ++i) {
      pages[i] = reinterpret_cast<std::byte*>((number * kPages + i) << 12);
    }
    return pages;
  }
  static uintptr_t NumberOf(const Pages& pages) {
    return (reinterpret_cast<uintptr_t>(pages[0]) >> 12) / kPages;
  }

  const PagePoolOptions options_ = {.max_pages = 4096, .magazine_pages = kPages};
  std::vector<uint64_t> memory_ = std::vector<uint64_t>(MagazineDepot::BytesFor(options_) / 8);
  MagazineDepot depot_{options_, reinterpret_cast<std::byte*>(memory_.data())};
};

TEST_F(MagazineDepotTest, HasRoomForAQuarterOfThePages) {
  Pages out = {};
  EXPECT_FALSE(depot_.Pop(out.data()));
  uintptr_t count = 0;
  while (depot_.Push(Numbered(count).data())) ++count;
  EXPECT_EQ(count, 4096u / 4 / kPages);
  EXPECT_EQ(depot_.page_count(), 1024u);
  while (count > 0) {
    ASSERT_TRUE(depot_.Pop(out.data()));
    EXPECT_EQ(out, Numbered(--count)) << "the one put in last";
  }
  EXPECT_FALSE(depot_.Pop(out.data()));
  EXPECT_EQ(depot_.page_count(), 0u);
  EXPECT_TRUE(depot_.Push(Numbered(1).data())) << "its room can be used again";
}

TEST_F(MagazineDepotTest, SmallPoolsHaveRoomForSome) {
  const PagePoolOptions options = {.max_pages = 10, .magazine_pages = kPages};
  std::vector<uint64_t> memory(MagazineDepot::BytesFor(options) / 8 + 1);
  MagazineDepot depot(options, reinterpret_cast<std::byte*>(memory.data()));
  EXPECT_TRUE(depot.Push(Numbered(0).data()));
}

TEST_F(MagazineDepotTest, ThreadsGetEachMagazineOnce) {
  constexpr int kThreads = 4;
  constexpr int kSteps = 20'000;
  constexpr uintptr_t kMagazines = 16;
  for (uintptr_t i = 0; i < kMagazines; ++i) ASSERT_TRUE(depot_.Push(Numbered(i).data()));
  std::vector<std::vector<Pages>> held(kThreads);
  std::vector<std::thread> threads;
  for (auto& mine : held) {
    threads.emplace_back([&] {
      for (int i = 0; i < kSteps; ++i) {
        Pages pages;
        if (mine.size() < 3 && depot_.Pop(pages.data())) mine.push_back(pages);
        if (mine.size() > 1 && depot_.Push(mine.front().data())) mine.erase(mine.begin());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& mine : held) {
    for (const Pages& pages : mine) ASSERT_TRUE(depot_.Push(pages.data()));
  }
  std::array<int, kMagazines> seen = {};
  Pages pages;
  while (depot_.Pop(pages.data())) {
    const uintptr_t number = NumberOf(pages);
    ASSERT_LT(number, kMagazines);
    EXPECT_EQ(pages, Numbered(number)) << "whole";
    ++seen[number];
  }
  for (const int times : seen) EXPECT_EQ(times, 1);
}

}  // namespace
}  // namespace granary
