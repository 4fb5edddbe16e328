// The policies of pool/buffer make exactly the hits of their plain models, and drive out exactly
// the same pages, over random traces.
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/cache_sim/eviction_cache.h"
#include "bench/cache_sim/models.h"
#include "bench/cache_sim/simulation.h"
#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"

namespace granary::bench {
namespace {

constexpr int kRounds = kCheckedBuild ? 20 : 200;
constexpr int kRequests = 10'000;

// Requests of a kind that changes now and then: hot pages, loops, scans, pages that come back once,
// and a set that moves.
class RandomTrace {
 public:
  RandomTrace(std::mt19937_64& random, PageKey pages) : random_(random), pages_(pages) {}

  PageKey Next() {
    if (random_() % 3000 == 0) {
      kind_ = static_cast<int>(random_() % 5);
      base_ = random_() % pages_;
    }
    ++clock_;
    switch (kind_) {
      case 0:
        return Skewed();
      case 1:
        return base_ + clock_ % (pages_ / 3 + 1);
      case 2:
        return random_() % 2 == 0 ? Skewed() : clock_;
      case 3:
        return clock_ / 2 + random_() % (pages_ / 4 + 1);
      default:
        return base_ + Skewed() + clock_ / 100;
    }
  }

 private:
  PageKey Skewed() {
    const double uniform = static_cast<double>(random_() >> 11) * 0x1p-53;
    return static_cast<PageKey>(std::pow(static_cast<double>(pages_), uniform));
  }

  std::mt19937_64& random_;
  PageKey pages_;
  PageKey base_ = 0;
  PageKey clock_ = 0;
  int kind_ = 0;
};

class ModelTest : public testing::TestWithParam<EvictionKind> {
 protected:
  // `hinted` of 16 requests say that they are of a scan.
  static void Compare(uint64_t hinted) {
    const uint64_t seed = RandomTestSeed();
    SCOPED_TRACE(HowToReplay(seed));
    std::mt19937_64 random(seed);
    for (int round = 0; round < kRounds; ++round) {
      const size_t frames = round < 8 ? static_cast<size_t>(round + 1) : 1 + random() % 700;
      RandomTrace trace(random, 1 + random() % 4000);
      auto cache = *EvictionCache::Create(GetParam(), frames);
      const auto model = MakeModel(GetParam(), frames);
      for (int i = 0; i < kRequests; ++i) {
        const PageKey page = trace.Next();
        const auto access = random() % 16 < hinted ? Access::kScan : Access::kNormal;
        ASSERT_EQ(cache->Access(page, access), model->Access(page, access))
            << "page " << page << ", request " << i << ", " << frames << " frames";
        ASSERT_EQ(cache->driven_out(), model->driven_out())
            << "page " << page << ", request " << i << ", " << frames << " frames";
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Policies, ModelTest, testing::ValuesIn(kEvictionKinds),
                         [](const auto& kind) { return EvictionKindName(kind.param); });

TEST_P(ModelTest, MakesTheSameHitsAndDrivesOutTheSamePages) { Compare(0); }

TEST_P(ModelTest, DoesSoWithHintsInTheMix) { Compare(3); }

TEST_P(ModelTest, ALoopThatFitsIsAllHits) {
  std::vector<uint64_t> trace;
  for (uint64_t i = 0; i < 5000; ++i) trace.push_back(i % 500);
  EXPECT_EQ(Simulate(trace, {}, **EvictionCache::Create(GetParam(), 500)).trace.misses(), 500U);
  EXPECT_EQ(Simulate(trace, {}, *MakeModel(GetParam(), 500)).trace.misses(), 500U);
}

double Misses(const std::vector<uint64_t>& trace, CacheUnderTest& cache) {
  return static_cast<double>(Simulate(trace, {}, cache).trace.misses());
}

double Misses(const std::vector<uint64_t>& trace, EvictionKind kind, size_t frames) {
  return Misses(trace, **EvictionCache::Create(kind, frames));
}

// Where what is hot changes all the time LRU is best, and a small queue that stays at a tenth loses
// much.
TEST(S3FifoModelTest, FollowsASetThatMoves) {
  constexpr size_t kFrames = 8000;
  std::mt19937_64 random(RandomTestSeed());
  std::vector<uint64_t> trace;
  for (uint64_t phase = 0; phase < 10; ++phase) {
    for (int i = 0; i < 30'000; ++i) {
      const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;
      trace.push_back(phase * 5000 + static_cast<uint64_t>(std::pow(10'000.0, uniform)));
    }
  }
  const double misses = Misses(trace, EvictionKind::kS3Fifo, kFrames);
  EXPECT_LE(misses, 1.25 * Misses(trace, EvictionKind::kLru, kFrames));
  EXPECT_LE(misses, 0.9 * Misses(trace, *MakePublishedS3Fifo(kFrames)));
}

TEST(S3FifoModelTest, HoldsOnToALoopThatDoesNotFit) {
  std::vector<uint64_t> trace;
  for (uint64_t i = 0; i < 100'000; ++i) trace.push_back(i % 5000);
  EXPECT_LE(Misses(trace, EvictionKind::kS3Fifo, 4500),
            0.35 * Misses(trace, EvictionKind::kLru, 4500));
}

}  // namespace
}  // namespace granary::bench
