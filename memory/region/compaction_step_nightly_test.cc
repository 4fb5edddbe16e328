// How long steps of a defragmentation take, beside copying as many bytes: the distribution is
// printed, and what a step may do is held to. Times are for a person to read: -c opt, on a machine
// that does nothing else.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/compacting_heap.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

constexpr uint64_t kStepBytes = 64 << 10;

using Clock = std::chrono::steady_clock;

double MicrosecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

void Print(const std::string& what, std::vector<double>& times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[std::min(times.size() - 1,
                          static_cast<size_t>(share * static_cast<double>(times.size())))];
  };
  std::printf("%-28s %7zu times: p50 %7.1f us, p90 %7.1f, p99 %7.1f, p99.9 %7.1f, max %7.1f\n",
              what.c_str(), times.size(), at(.5), at(.9), at(.99), at(.999), times.back());
}

class CompactionStepTest : public testing::TestWithParam<uint64_t> {};

// A heap of 512 MiB of blocks of this size and its double, of which a random half is free.
TEST_P(CompactionStepTest, TakesAboutAsLongAsCopyingItsBytes) {
  const uint64_t bytes_min = GetParam();
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const auto heap = CompactingHeap::Create({.limit_bytes = uint64_t{1} << 30}).value();
  std::vector<BlockHandle> blocks;
  for (uint64_t total = 0; total < uint64_t{512} << 20;) {
    const uint64_t bytes = bytes_min + random() % bytes_min;
    blocks.push_back(heap->Allocate(bytes).value());
    ASSERT_TRUE(heap->Fill(blocks.back(), 0, bytes, std::byte{1}));
    total += bytes;
  }
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (size_t i = 0; i < blocks.size() / 2; ++i) ASSERT_TRUE(heap->Free(blocks[i]));

  std::vector<double> copies;
  std::vector<std::byte> from(uint64_t{256} << 20, std::byte{1});
  std::vector<std::byte> to(from.size(), std::byte{2});
  for (int i = 0; i < 2000; ++i) {
    const size_t source = random() % (from.size() - kStepBytes);
    const size_t target = random() % (to.size() - kStepBytes);
    const auto begin = Clock::now();
    std::memcpy(&to[target], &from[source], kStepBytes);
    copies.push_back(MicrosecondsSince(begin));
  }
  Print("memcpy of 64 KiB", copies);

  const MoveBudget budget = MoveBudget::Step(kStepBytes);
  std::vector<double> steps;
  uint64_t moved = 0;
  DefragReport report;
  do {
    const auto begin = Clock::now();
    report = heap->Defragment(budget);
    steps.push_back(MicrosecondsSince(begin));
    ASSERT_LE(report.moved_bytes(), kStepBytes);
    ASSERT_LE(report.moved_blocks(), budget.moves);
    moved += report.moved_bytes();
  } while (report.stop == DefragStop::kBudget && steps.size() < 200'000);
  Print("step, blocks of " + std::to_string(bytes_min), steps);
  std::printf("    %.1f MiB moved, fragmentation %.4f, %s\n",
              static_cast<double>(moved) / (1 << 20), heap->Fragmentation(),
              DefragStopName(report.stop));
}

INSTANTIATE_TEST_SUITE_P(Sizes, CompactionStepTest, testing::Values(100, 1000, 10'000, 100'000),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace granary
