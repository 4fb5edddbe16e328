// Random sequences of calls on a RegionAllocator against an oracle that looks at every grain.
//
// GRANARY_TEST_OPERATIONS sets the number of operations, a million unless told, and
// GRANARY_TEST_SEED the sequence.
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "memory/region/testing/region_exercise.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"

namespace granary::region {
namespace {

constexpr uint64_t kOperationsPerRound = 5000;
constexpr uint64_t kOperationsPerCheck = 64;

uint64_t Operations() {
  const char* const chosen = std::getenv("GRANARY_TEST_OPERATIONS");
  if (chosen != nullptr) return std::strtoull(chosen, nullptr, 10);
  return kCheckedBuild ? 100'000 : 1'000'000;
}

class RandomSource {
 public:
  explicit RandomSource(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t limit) { return random_() % limit; }

 private:
  std::mt19937_64 random_;
};

// Every combination of tracked or not, lowest_among_equals or not, and few ranges or as many as
// there are, in turn; and every fit.
RegionOptions OptionsOf(uint64_t round, uint64_t grain, uint64_t few, RandomSource& source) {
  return {.grain = grain,
          .fit = static_cast<Fit>(source.Below(3) == 0 ? source.Below(3) : 0),
          .track_used = (round & 1) != 0,
          .lowest_among_equals = (round & 2) != 0,
          .max_ranges = (round & 4) != 0 ? 1 + source.Below(few) : uint64_t{1} << 20};
}

template <class Map>
void Exercise(uint64_t operations, uint64_t size, uint64_t size_max, const RegionOptions& options,
              RandomSource& source) {
  RegionExercise<Map, RandomSource> exercise(size, size_max, options, source);
  for (uint64_t i = 0; i < operations; ++i) {
    ASSERT_TRUE(exercise.Step()) << "operation " << i << ": " << exercise.error();
    if (i % kOperationsPerCheck != 0) continue;
    ASSERT_TRUE(exercise.CheckAll()) << "operation " << i << ": " << exercise.error();
  }
  ASSERT_TRUE(exercise.CheckAll()) << exercise.error();
}

TEST(RegionModelTest, SmallRegionsAgreeWithTheirGrains) {
  constexpr uint64_t kGrains[] = {1, 3, 16, 4096};
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  RandomSource source(seed);
  const uint64_t rounds = Operations() / kOperationsPerRound;
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    const RegionOptions options = OptionsOf(round, kGrains[round / 8 % 4], 60, source);
    const uint64_t units_max = 1 + source.Below(source.Below(4) == 0 ? 2000 : 400);
    const uint64_t units = source.Below(units_max + 1);
    Exercise<GrainArray>(kOperationsPerRound, units * options.grain, units_max * options.grain,
                         options, source);
  }
}

// Offsets and sizes of more than 32 bits, up to the largest that there are.
TEST(RegionModelTest, WideRegionsAgreeWithTheirRanges) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  RandomSource source(seed);
  const uint64_t rounds = Operations() / kOperationsPerRound / 8;
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    const RegionOptions options = OptionsOf(round, 1, 200, source);
    Exercise<GrainRuns>(kOperationsPerRound, uint64_t{1} << 62, uint64_t{1} << 63, options, source);
  }
}

// Regions that begin with compact records and come to need wide ones, at any moment.
TEST(RegionModelTest, RegionsThatBecomeWideAgreeWithTheirRanges) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  RandomSource source(seed);
  const uint64_t rounds = Operations() / kOperationsPerRound / 8;
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    const RegionOptions options = OptionsOf(round, 1 + source.Below(3), 200, source);
    const uint64_t size = (uint64_t{1} << source.Below(33)) * options.grain;
    Exercise<GrainRuns>(kOperationsPerRound, size, (uint64_t{1} << 40) * options.grain, options,
                        source);
  }
}

}  // namespace
}  // namespace granary::region
