// How long a million free ranges take to save and to load, beside writing and reading the same
// bytes raw. Prints; fails only where the bytes are too many or not the same.
#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/file.h"
#include "memory/region/region_snapshot.h"

namespace granary {
namespace {

constexpr uint64_t kFreeRanges = 1'000'000;
constexpr size_t kBytesMax = 6'000'000;
constexpr int kRepetitions = 9;

// The median is what to expect; the least is what the work takes where others use the machine.
struct Times {
  double median_ms;
  double least_ms;
};

template <class Action>
Times Measure(const Action& action) {
  std::vector<double> times;
  for (int i = 0; i < kRepetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    action();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    times.push_back(took.count());
  }
  std::sort(times.begin(), times.end());
  return {.median_ms = times[kRepetitions / 2], .least_ms = times[0]};
}

// Ranges of up to `grains_max` with a used one between them, freed from low to high or in any
// order.
RegionAllocator Fragmented(uint64_t grains_max, bool in_order) {
  std::mt19937_64 random(1);
  std::vector<Range> ranges;
  uint64_t at = 0;
  for (uint64_t i = 0; i < kFreeRanges; ++i) {
    const uint64_t free = 16 * (1 + random() % grains_max);
    ranges.push_back({at, free});
    at += free + 16 * (1 + random() % grains_max);
  }
  auto region = RegionAllocator::Create(at, {.grain = 16});
  EXPECT_TRUE(region->Reserve({0, at}));
  if (!in_order) std::shuffle(ranges.begin(), ranges.end(), random);
  for (const Range& range : ranges) EXPECT_EQ(region->Free(range), FreeStatus::kOk);
  return std::move(*region);
}

void Report(const char* what, uint64_t grains_max, bool in_order) {
  const RegionAllocator region = Fragmented(grains_max, in_order);
  ASSERT_EQ(region.Stats().free_ranges, kFreeRanges);
  const SnapshotLabel label = {.identity = 1, .epoch = 1};
  const std::string path = ::testing::TempDir() + "/region_snapshot_nightly_test";

  const Times take_image = Measure([&] { (void)region.Image(); });
  const RegionImage image = region.Image();
  const Times encode = Measure([&] { (void)EncodeSnapshot(image, label); });
  const EncodedSnapshot encoded = EncodeSnapshot(image, label);
  const Times decode = Measure([&] { (void)DecodeSnapshot(encoded.bytes); });
  const Times rebuild = Measure([&] { (void)RegionAllocator::FromImage(image); });
  const Times save = Measure([&] { ASSERT_TRUE(SaveSnapshot(region, path, label)); });
  const Times load = Measure([&] { ASSERT_TRUE(LoadSnapshot(path)); });
  // The same bytes, with the same care for what is on the disk.
  const Times write = Measure([&] {
    {
      auto file = File::Open(path + ".raw.new", O_WRONLY | O_CREAT | O_TRUNC);
      ASSERT_TRUE(file->WriteAt(0, encoded.bytes));
      ASSERT_TRUE(file->Sync());
    }
    ASSERT_TRUE(RenameDurably(path + ".raw.new", path + ".raw"));
  });
  const Times read = Measure([&] {
    auto file = File::Open(path + ".raw", O_RDONLY);
    std::vector<std::byte> bytes(static_cast<size_t>(*file->Size()));
    ASSERT_TRUE(file->ReadAt(0, bytes));
  });
  std::printf("%s: %zu bytes, %.2f a range\n", what, encoded.bytes.size(),
              static_cast<double>(encoded.bytes.size()) / static_cast<double>(kFreeRanges));
  const auto print = [](const char* name, const Times& times, const Times& raw) {
    std::printf("  %-8s %6.1f ms, least %6.1f ms: %.1f times raw\n", name, times.median_ms,
                times.least_ms, times.least_ms / raw.least_ms);
  };
  print("image", take_image, write);
  print("encode", encode, write);
  print("save", save, write);
  print("raw", write, write);
  print("decode", decode, read);
  print("rebuild", rebuild, read);
  print("load", load, read);
  print("raw", read, read);
  EXPECT_LE(encoded.bytes.size(), kBytesMax);
  const auto loaded = LoadSnapshot(path);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(EncodeSnapshot(loaded->region.Image(), label).bytes, encoded.bytes);
}

TEST(RegionSnapshotNightlyTest, SmallRangesFreedInOrder) { Report("small, in order", 60, true); }
TEST(RegionSnapshotNightlyTest, SmallRangesFreedInAnyOrder) {
  Report("small, in any order", 60, false);
}
TEST(RegionSnapshotNightlyTest, LargeRangesFreedInAnyOrder) {
  Report("large, in any order", 2000, false);
}

}  // namespace
}  // namespace granary
