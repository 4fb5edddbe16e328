// That no change of a page is lost, and that what is said of latencies is so.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "bench/buffer/latencies.h"
#include "bench/buffer/orders.h"
#include "bench/buffer/page_orders.h"
#include "bench/buffer/update_pool.h"
#include "bench/buffer/update_run.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

constexpr size_t kFrames = 400;
constexpr size_t kPages = 2 * kFrames;

TEST(UpdatePoolTest, EveryChangeIsThereInTheEnd) {
  constexpr size_t kThreads = 3;
  constexpr size_t kFixes = 10'000;
  UpdatePool pool(kPages, kFrames);
  Latencies latencies;
  const Orders orders(Distribution::kZipf, kPages, kThreads, kFixes);
  for (const Changes changes : {Changes::kNone, Changes::kHalf, Changes::kAll}) {
    EXPECT_GT(SecondsOfUpdates(pool, changes, orders, 1, latencies), 0);
  }
  uint64_t changed = 0;
  for (size_t page = 0; page < kPages; ++page) {
    changed += pool.Read(page, [&](const std::byte* bytes) { return ReadCount(bytes, page); });
  }
  EXPECT_EQ(changed, kThreads * (kFixes / 2 + kFixes));
}

TEST(LatenciesTest, PercentilesAreThoseOfTheSortedTimesToWithinThreePercent) {
  std::mt19937_64 random(1);
  std::vector<uint64_t> times;
  Latencies latencies;
  for (size_t i = 0; i < 100'000; ++i) {
    const uint64_t ns = random() >> (20 + random() % 44);
    times.push_back(ns);
    latencies.Add(ns);
  }
  std::ranges::sort(times);
  for (const double share : {0.001, 0.25, 0.5, 0.99, 0.999, 1.0}) {
    const auto exact = static_cast<double>(
        times[static_cast<size_t>(share * static_cast<double>(times.size())) - 1]);
    const auto found = static_cast<double>(latencies.Percentile(share));
    EXPECT_GE(found, exact) << share;
    EXPECT_LE(found, exact * 1.032 + 1) << share;
  }
}

TEST(LatenciesTest, OfNoneThereIsNone) { EXPECT_EQ(Latencies().Percentile(0.999), 0u); }

}  // namespace
}  // namespace granary::bench
