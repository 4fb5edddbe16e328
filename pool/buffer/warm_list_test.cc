#include "pool/buffer/warm_list.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/crc32c.h"
#include "memory/little_endian.h"
#include "memory/testing/random_seed.h"
#include "memory/testing/simulated_files.h"

namespace granary {
namespace {

constexpr char kPath[] = "warm/list";

WarmList SomeList(size_t pages, std::mt19937_64& random, size_t heats = 5) {
  std::map<PageKey, uint8_t> chosen;
  while (chosen.size() < pages) {
    const PageId id = {static_cast<FileId>(random() % 3), random() % (4 * pages)};
    chosen[KeyOf(id)] = static_cast<uint8_t>(random() % heats);
  }
  WarmList list = {.page_bytes = 4096};
  for (const auto& [key, heat] : chosen) list.pages.push_back({.key = key, .heat = heat});
  std::shuffle(list.pages.begin(), list.pages.end(), random);
  return list;
}

// As the file has them.
std::vector<WarmPage> InOrder(std::vector<WarmPage> pages) {
  std::sort(pages.begin(), pages.end(), [](const WarmPage& a, const WarmPage& b) {
    return a.heat != b.heat ? a.heat > b.heat : a.key < b.key;
  });
  return pages;
}

// With checksums that are right.
void Seal(std::vector<std::byte>& bytes) {
  using Format = WarmListFormat;
  const auto body = std::span<const std::byte>(bytes).subspan(Format::kHeaderBytes);
  PutFixed(bytes.data() + Format::kBodyBytesOffset, uint64_t{body.size()});
  PutFixed(bytes.data() + Format::kBodyChecksumOffset, Crc32c(body));
  PutFixed(bytes.data() + Format::kChecksumOffset, Crc32c({bytes.data(), Format::kChecksumOffset}));
}

TEST(WarmListTest, ComesBackTheHottestFirst) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (const size_t pages : {0U, 1U, 2U, 127U, 128U, 129U, 5000U}) {
    const WarmList list = SomeList(pages, random);
    const auto bytes = EncodeWarmList(list);
    ASSERT_TRUE(bytes) << bytes.error().message;
    const auto decoded = DecodeWarmList(*bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->page_bytes, 4096U);
    EXPECT_EQ(decoded->pages, InOrder(list.pages));
    EXPECT_EQ(*EncodeWarmList(*decoded), *bytes);
  }
}

TEST(WarmListTest, HasRoomForEveryKey) {
  const WarmList list = {.page_bytes = UINT32_MAX,
                         .pages = {{UINT64_MAX, 255}, {0, 255}, {1, 254}, {UINT64_MAX - 1, 0}}};
  const auto decoded = DecodeWarmList(*EncodeWarmList(list));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->pages, InOrder(list.pages));
}

TEST(WarmListTest, APageBesideItsNeighbourIsAByte) {
  WarmList list = {.page_bytes = 4096};
  for (uint64_t page = 0; page < 10'000; ++page) list.pages.push_back({.key = KeyOf({3, page})});
  EXPECT_LT(EncodeWarmList(list)->size(), 10'000U + WarmListFormat::kHeaderBytes + 20);
}

TEST(WarmListTest, RefusesWhatCannotBeRight) {
  EXPECT_EQ(EncodeWarmList({.page_bytes = 0}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(EncodeWarmList({.page_bytes = size_t{1} << 32}).error().code,
            ErrorCode::kInvalidArgument);
  const auto twice =
      EncodeWarmList({.page_bytes = 512, .pages = {{KeyOf({1, 7}), 1}, {KeyOf({1, 7}), 2}}});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().message, "page 7 of file 1 is there twice");
}

TEST(WarmListTest, EveryFlippedBitIsFound) {
  std::mt19937_64 random(1);
  const auto bytes = *EncodeWarmList(SomeList(40, random));
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto decoded = DecodeWarmList(flipped);
    ASSERT_FALSE(decoded) << "bit " << bit;
    const bool is_version = bit / 8 >= 8 && bit / 8 < 12;
    EXPECT_EQ(decoded.error().code, is_version ? ErrorCode::kUnsupported : ErrorCode::kCorrupt);
    EXPECT_FALSE(decoded.error().message.empty());
  }
}

TEST(WarmListTest, EveryOtherLengthIsFound) {
  std::mt19937_64 random(2);
  auto bytes = *EncodeWarmList(SomeList(40, random));
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(DecodeWarmList(std::span(bytes).first(length)).error().code, ErrorCode::kCorrupt);
  }
  bytes.push_back(std::byte{0});
  EXPECT_EQ(DecodeWarmList(bytes).error().code, ErrorCode::kCorrupt);
}

TEST(WarmListTest, WhatIsSealedAndMakesNoSenseIsRefused) {
  // Heat, count, keys.
  const std::vector<std::vector<unsigned>> bodies = {
      {5},                                   // No count.
      {5, 0},                                // A group of none.
      {5, 1},                                // No page.
      {5, 2, 0},                             // One of two pages.
      {5, 1, 0, 5, 1, 1},                    // A group as hot as the one before.
      {5, 1, 0, 6, 1, 1},                    // A hotter one.
      {5, 1, 9, 4, 1, 9},                    // A page twice.
      {5, 1, 0x80, 0},                       // A number in more bytes than it needs.
      {5, 0x80 | 100, 0x80, 0x80, 0x80, 1},  // More pages than there are bytes.
      {5, 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0},  // A page behind the last key.
      {5, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2},     // More than 64 bits.
  };
  for (size_t i = 0; i < bodies.size(); ++i) {
    for (const uint64_t count : {1U, 2U, 3U}) {
      auto bytes = *EncodeWarmList({.page_bytes = 4096});
      for (const unsigned byte : bodies[i]) bytes.push_back(static_cast<std::byte>(byte));
      PutFixed(bytes.data() + WarmListFormat::kPagesOffset, count);
      Seal(bytes);
      const auto decoded = DecodeWarmList(bytes);
      ASSERT_FALSE(decoded) << "body " << i;
      EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt);
    }
  }
}

class WarmListFileTest : public ::testing::Test {
 protected:
  WarmListFileTest() {
    old_ = SomeList(300, random_);
    new_ = SomeList(400, random_);
  }
  static std::vector<WarmPage> Loaded(SimulatedFiles& files) {
    const auto list = LoadWarmList(kPath, files);
    EXPECT_TRUE(list) << list.error().message;
    return list ? list->pages : std::vector<WarmPage>();
  }

  std::mt19937_64 random_{RandomTestSeed()};
  WarmList old_;
  WarmList new_;
};

TEST_F(WarmListFileTest, IsReplacedWhole) {
  SimulatedFiles files;
  EXPECT_EQ(LoadWarmList(kPath, files).error().system_errno, ENOENT);
  ASSERT_TRUE(SaveWarmList(old_, kPath, files));
  EXPECT_EQ(Loaded(files), InOrder(old_.pages));
  const auto saved = SaveWarmList(new_, kPath, files);
  ASSERT_TRUE(saved);
  EXPECT_EQ(*saved, files.Contents(kPath)->size());
  EXPECT_EQ(Loaded(files), InOrder(new_.pages));
  EXPECT_EQ(files.Paths(), std::vector<std::string>{kPath});
  EXPECT_EQ(files.open_files(), 0U);
}

TEST_F(WarmListFileTest, AnyCallThatFailsLeavesAWholeList) {
  SimulatedFiles counted;
  ASSERT_TRUE(SaveWarmList(old_, kPath, counted));
  counted.ForgetCalls();
  ASSERT_TRUE(SaveWarmList(new_, kPath, counted));
  const size_t calls = counted.calls();
  ASSERT_GE(calls, 6U);
  size_t refused = 0;
  for (size_t nth = 1; nth <= calls; ++nth) {
    SimulatedFiles files;
    ASSERT_TRUE(SaveWarmList(old_, kPath, files));
    files.FailCall(nth, ENOSPC);
    const auto saved = SaveWarmList(new_, kPath, files);
    files.FailCall(0, 0);
    refused += !saved;
    if (!saved) {
      EXPECT_EQ(saved.error().code, ErrorCode::kIo);
      EXPECT_EQ(saved.error().system_errno, ENOSPC);
      EXPECT_NE(saved.error().message.find("warm"), std::string::npos) << saved.error().message;
    }
    const auto found = Loaded(files);
    EXPECT_TRUE(found == InOrder(old_.pages) || found == InOrder(new_.pages)) << nth;
    if (saved) {
      EXPECT_EQ(found, InOrder(new_.pages));
    }
    EXPECT_EQ(files.Paths(), std::vector<std::string>{kPath}) << nth;
    EXPECT_EQ(files.open_files(), 0U);
  }
  // All but the closing of the folder, after which nothing depends on it.
  EXPECT_GE(refused + 1, calls);
}

TEST_F(WarmListFileTest, APowerCutAtAnyCallLeavesAWholeList) {
  SimulatedFiles counted;
  ASSERT_TRUE(SaveWarmList(new_, kPath, counted));
  const size_t calls = counted.calls();
  for (size_t nth = 1; nth <= calls; ++nth) {
    for (int i = 0; i < 10; ++i) {
      SimulatedFiles files;
      ASSERT_TRUE(SaveWarmList(old_, kPath, files));
      files.CutPower(nth);
      (void)SaveWarmList(new_, kPath, files);
      files.Reboot(random_);
      const auto found = Loaded(files);
      EXPECT_TRUE(found == InOrder(old_.pages) || found == InOrder(new_.pages)) << nth;
    }
  }
}

TEST_F(WarmListFileTest, AnyCallThatFailsIsToldByLoading) {
  SimulatedFiles files;
  ASSERT_TRUE(SaveWarmList(old_, kPath, files));
  files.ForgetCalls();
  EXPECT_EQ(Loaded(files), InOrder(old_.pages));
  const size_t calls = files.calls();
  for (size_t nth = 1; nth < calls; ++nth) {  // The last one closes.
    files.FailCall(nth, EIO);
    const auto loaded = LoadWarmList(kPath, files);
    files.FailCall(0, 0);
    ASSERT_FALSE(loaded) << nth;
    EXPECT_EQ(loaded.error().code, ErrorCode::kIo);
    EXPECT_EQ(files.open_files(), 0U);
  }
}

TEST_F(WarmListFileTest, ABadFileIsNamed) {
  SimulatedFiles files;
  auto bytes = *EncodeWarmList(old_);
  bytes.pop_back();
  files.Put(kPath, bytes);
  const auto loaded = LoadWarmList(kPath, files);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(loaded.error().message.find("warm/list: there are "), 0U) << loaded.error().message;
}

}  // namespace
}  // namespace granary
