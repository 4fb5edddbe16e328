#include "memory/region/region_image.h"

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/region_allocator.h"
#include "memory/region/testing/region_driver.h"
#include "memory/sanitizer.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

constexpr int kOperations = kCheckedBuild ? 20'000 : 200'000;

void ExpectSame(const RegionImage& a, const RegionImage& b) {
  EXPECT_EQ(a.size, b.size);
  EXPECT_EQ(a.peak_used, b.peak_used);
  EXPECT_EQ(a.high_water, b.high_water);
  EXPECT_EQ(a.failures, b.failures);
  EXPECT_EQ(a.failed_bytes, b.failed_bytes);
  EXPECT_EQ(a.free, b.free);
  EXPECT_EQ(a.bin_order, b.bin_order);
  EXPECT_EQ(a.pending, b.pending);
  EXPECT_EQ(a.live, b.live);
}

class RegionImageTest : public ::testing::TestWithParam<int> {
 protected:
  RegionOptions Options() const {
    return {.grain = (GetParam() & 4) != 0 ? 48U : 16U,
            .track_used = (GetParam() & 1) != 0,
            .lowest_among_equals = (GetParam() & 2) != 0};
  }
};

TEST_P(RegionImageTest, RegionOfAnImageGivesTheSameOffsetsFromThenOn) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const RegionOptions options = Options();
  auto region = RegionAllocator::Create(options.grain * 100'000, options);
  ASSERT_TRUE(region);
  RegionDriver driver(random, options.grain, options.grain * 200'000, options.grain * 100);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < kOperations / 10; ++i) {
      const RegionCall call = driver.Next(region->size_bytes());
      driver.Did(call, Do(*region, call));
    }
    const RegionImage image = region->Image();
    auto twin = RegionAllocator::FromImage(image);
    ASSERT_TRUE(twin) << twin.error().message;
    ASSERT_TRUE(twin->Validate()) << twin->Validate().error().message;
    ASSERT_EQ(twin->Stats(), region->Stats());
    ExpectSame(twin->Image(), image);
    for (int i = 0; i < kOperations / 10; ++i) {
      const RegionCall call = driver.Next(region->size_bytes());
      const RegionAnswer answer = Do(*region, call);
      ASSERT_EQ(Do(*twin, call), answer) << "call " << i << " after image " << round;
      driver.Did(call, answer);
    }
    ASSERT_TRUE(twin->Validate());
    ASSERT_EQ(twin->Stats(), region->Stats());
    ExpectSame(twin->Image(), region->Image());
    // The next round goes on with the one that came from an image.
    region = std::move(twin);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, RegionImageTest, ::testing::Range(0, 8));

TEST(RegionImagePlainTest, TreesOfAnySizeAreRedBlackTrees) {
  for (const bool is_large : {false, true}) {
    for (uint64_t count = 0; count < 300; ++count) {
      RegionImage image;
      image.options = {.grain = 1, .lowest_among_equals = true};
      const uint64_t length = is_large ? 1000 : 1;
      for (uint64_t i = 0; i < count; ++i) {
        image.free.push_back({.offset = i * 2000, .length = length + i % 7});
      }
      image.size = 2000 * 300;
      const auto region = RegionAllocator::FromImage(image);
      ASSERT_TRUE(region) << region.error().message;
      ASSERT_TRUE(region->Validate()) << count << ": " << region->Validate().error().message;
      EXPECT_EQ(region->Stats().free_ranges, count);
    }
  }
}

TEST(RegionImagePlainTest, ManyOfOneClassAreInOrder) {
  std::mt19937_64 random(1);
  RegionImage image;
  image.options = {.grain = 1};
  for (uint64_t i = 0; i < 5000; ++i) {
    image.free.push_back(
        {.offset = i << 41, .length = (uint64_t{1} << 40) + random() % (uint64_t{1} << 36)});
  }
  image.size = uint64_t{1} << 54;
  const auto region = RegionAllocator::FromImage(image);
  ASSERT_TRUE(region) << region.error().message;
  EXPECT_TRUE(region->Validate()) << region->Validate().error().message;
}

TEST(RegionImagePlainTest, WideRegionThatWasTruncatedComesBack) {
  auto region = RegionAllocator::Create(uint64_t{1} << 40, {.grain = 1});
  ASSERT_TRUE(region->Reserve({uint64_t{1} << 39, 100}));
  ASSERT_EQ(region->Free({uint64_t{1} << 39, 100}), FreeStatus::kOk);
  ASSERT_TRUE(region->Truncate(5000));
  const auto twin = RegionAllocator::FromImage(region->Image());
  ASSERT_TRUE(twin);
  EXPECT_EQ(twin->Stats(), region->Stats());
  EXPECT_EQ(twin->Stats().high_water_bytes, (uint64_t{1} << 39) + 100);
}

RegionImage SmallImage() {
  auto region = RegionAllocator::Create(1000, {.grain = 1, .track_used = true});
  (void)region->Reserve({0, 100});
  (void)region->Reserve({100, 100});
  (void)region->Reserve({300, 200});
  (void)region->Reserve({510, 100});
  (void)region->Reserve({620, 100});
  EXPECT_EQ(region->FreeDeferred({300, 10}, 3), FreeStatus::kOk);
  EXPECT_EQ(region->FreeDeferred({400, 10}, 4), FreeStatus::kOk);
  return region->Image();
}

TEST(RegionImagePlainTest, RefusesWhatNoRegionIs) {
  using Change = std::function<void(RegionImage&)>;
  ASSERT_TRUE(RegionAllocator::FromImage(SmallImage()));
  const std::pair<const char*, Change> changes[] = {
      {"grain", [](auto& image) { image.options.grain = 0; }},
      {"size", [](auto& image) { image.size = UINT64_MAX; }},
      {"max_ranges 0", [](auto& image) { image.options.max_ranges = 0; }},
      {"max_ranges", [](auto& image) { image.options.max_ranges = 3; }},
      {"empty free", [](auto& image) { image.free[0].length = 0; }},
      {"free outside", [](auto& image) { image.free.back().length += 1; }},
      {"free far outside", [](auto& image) { image.free.back().offset = UINT64_MAX; }},
      {"free order", [](auto& image) { std::swap(image.free[0], image.free[1]); }},
      {"free touches",
       [](auto& image) {
         image.free[1] = {300, 5};
       }},
      {"bin order missing", [](auto& image) { image.bin_order.pop_back(); }},
      {"bin order twice", [](auto& image) { image.bin_order[0] = image.bin_order[1]; }},
      {"bin order large", [](auto& image) { image.bin_order[0] = 0; }},
      {"bin order outside", [](auto& image) { image.bin_order[0] = 1000; }},
      {"pending twice", [](auto& image) { image.pending[1] = image.pending[0]; }},
      {"pending is live", [](auto& image) { image.pending[0].piece.offset += 1; }},
      {"pending lost", [](auto& image) { image.pending.pop_back(); }},
      {"live order", [](auto& image) { std::swap(image.live[0], image.live[1]); }},
      {"live lost", [](auto& image) { image.live.pop_back(); }},
      {"empty live",
       [](auto& image) {
         image.live.push_back({720, 0});
       }},
      {"live is not tracked", [](auto& image) { image.options.track_used = false; }},
      {"end lost", [](auto& image) { image.free.pop_back(); }},
  };
  for (const auto& [what, change] : changes) {
    RegionImage image = SmallImage();
    change(image);
    const auto region = RegionAllocator::FromImage(image);
    ASSERT_FALSE(region) << what;
    EXPECT_EQ(region.error().code, ErrorCode::kInvalidArgument) << what;
    EXPECT_FALSE(region.error().message.empty());
  }
}

TEST(RegionImagePlainTest, ReportsThatThereIsNoAddressSpace) {
  const RegionImage image = SmallImage();
  FailingCalls calls;
  calls.RefuseCall(1, ENOMEM);
  const auto region = RegionAllocator::FromImage(image, calls);
  ASSERT_FALSE(region);
  EXPECT_EQ(region.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(calls.mapped_bytes(), 0);
}

}  // namespace
}  // namespace granary
