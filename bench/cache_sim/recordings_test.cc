// Hit ratios on the two recordings: what other people's programs found for the published policies,
// and what is asked of granary's own.
//
// The recordings are N. Megiddo and D. S. Modha's ("ARC: A Self-Tuning, Low Overhead Replacement
// Cache", FAST 2003) and not in the repository: GRANARY_TRACES names the folder that has
// cache/OLTP.lis.zst and cache/P3.lis.zst; without it they are looked for in ../shared/traces
// beside the workspace. Where they are not, the tests are skipped.
#include "bench/cache_sim/recordings.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/cache_sim/eviction_cache.h"
#include "bench/cache_sim/models.h"
#include "bench/cache_sim/simulation.h"
#include "bench/traces/page_trace.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

fs::path PathOf(const std::string& name) {
  const char* const runfiles = std::getenv("TEST_SRCDIR");
  return RecordingPath(
      name, fs::path(runfiles == nullptr ? "." : runfiles) / "granary/bench/cache_sim/README.md");
}

// A row of the reference table, in percent.
struct Row {
  size_t pages;
  double lru;
  double clock;
  double two_q;
  double s3_fifo;
  // What is asked of granary's S3Fifo.
  double wanted;
};

class RecordingsTest : public testing::Test {
 protected:
  // False if the recording is not there, and the test skipped.
  bool Load(const std::string& name, uint64_t page_bytes) {
    const fs::path path = PathOf(name);
    if (!fs::exists(path)) return false;
    auto trace = ReadPageTrace(path.string(), {.page_bytes = page_bytes});
    EXPECT_TRUE(trace) << trace.error().message;
    if (trace) trace_ = *std::move(trace);
    return trace.has_value();
  }

  double Percent(const ScanMix& scan, CacheUnderTest& cache) const {
    return 100 * Simulate(trace_, scan, cache).trace.hit_ratio();
  }

  double Percent(EvictionKind kind, size_t pages) const {
    return Percent({}, **EvictionCache::Create(kind, pages));
  }

  void Check(std::span<const Row> rows) const {
    // The table has two digits.
    constexpr double kHalfDigit = 0.0051;
    for (const Row& row : rows) {
      SCOPED_TRACE(std::to_string(row.pages) + " pages");
      EXPECT_NEAR(Percent(EvictionKind::kLru, row.pages), row.lru, kHalfDigit);
      EXPECT_NEAR(Percent(EvictionKind::kClock, row.pages), row.clock, kHalfDigit);
      EXPECT_NEAR(Percent({}, *MakePublishedTwoQ(row.pages)), row.two_q, kHalfDigit);
      EXPECT_NEAR(Percent({}, *MakePublishedS3Fifo(row.pages)), row.s3_fifo, kHalfDigit);
      EXPECT_NEAR(Percent(EvictionKind::kTwoQ, row.pages), row.two_q, 0.1);
      const double s3_fifo = Percent(EvictionKind::kS3Fifo, row.pages);
      EXPECT_GE(s3_fifo, row.wanted);
      EXPECT_GE(s3_fifo, row.s3_fifo + 0.05) << "the small queue's size should gain something";
    }
  }

  ScanMix OneToOne(granary::Access access) const {
    return {.after_requests = 1,
            .scan_requests = 1,
            .access = access,
            .first_page = *FirstScanPage(trace_)};
  }

  std::vector<uint64_t> trace_;
};

constexpr const char* kAbsent = "the recording is not there; GRANARY_TRACES names its folder";

TEST_F(RecordingsTest, OltpIsAsInTheTable) {
  if (!Load("OLTP.lis.zst", 512)) GTEST_SKIP() << kAbsent;
  ASSERT_EQ(trace_.size(), 914'145U);
  constexpr Row kRows[] = {{1000, 32.83, 33.27, 40.53, 40.84, 40.5},
                           {2000, 42.47, 43.03, 46.51, 47.01, 46.7},
                           {5000, 53.65, 53.83, 55.73, 55.88, 55.6},
                           {10000, 60.70, 60.98, 62.58, 62.64, 62.4},
                           {15000, 64.63, 64.77, 65.72, 66.04, 65.8}};
  Check(kRows);
}

TEST_F(RecordingsTest, P3IsAsInTheTable) {
  if (!Load("P3.lis.zst", 4096)) GTEST_SKIP() << kAbsent;
  ASSERT_EQ(trace_.size(), 611'918U);
  constexpr Row kRows[] = {{1023, 11.47, 11.38, 13.42, 13.28, 13.28 - 0.3},
                           {5117, 15.06, 15.58, 25.63, 28.71, 28.71 - 0.3},
                           {10234, 26.50, 28.54, 39.00, 41.60, 41.60 - 0.3},
                           {20469, 57.20, 57.79, 57.23, 60.10, 60.10 - 0.3}};
  Check(kRows);
}

TEST_F(RecordingsTest, AScanDrivesOutLittle) {
  if (!Load("OLTP.lis.zst", 512)) GTEST_SKIP() << kAbsent;
  const auto with_scan = [&](granary::Access access) {
    return Percent(OneToOne(access), **EvictionCache::Create(EvictionKind::kS3Fifo, 5000));
  };
  EXPECT_GE(with_scan(granary::Access::kNormal), 52.77);
  EXPECT_GE(with_scan(granary::Access::kScan), 55.3);
}

}  // namespace
}  // namespace granary::bench
