// Any sequence of calls on a RegionAllocator, with any ranges, sizes and alignments: it does what
// its oracle says, and what it says of itself is true.
#include <cstdint>
#include <cstdio>

#include "memory/region/testing/region_exercise.h"
#include "memory/testing/fuzz_input.h"

namespace {

// Takes as many of the fuzzer's bytes as a number needs.
class FuzzSource {
 public:
  explicit FuzzSource(granary::FuzzInput& input) : input_(input) {}

  uint64_t Below(uint64_t limit) {
    const size_t bytes = limit <= 0x100 ? 1 : limit <= 0x10000 ? 2 : 8;
    return input_.Number(bytes) % limit;
  }

 private:
  granary::FuzzInput& input_;
};

template <class Map>
void Run(uint64_t size, uint64_t size_max, const granary::RegionOptions& options,
         granary::FuzzInput& input) {
  FuzzSource source(input);
  granary::region::RegionExercise<Map, FuzzSource> exercise(size, size_max, options, source);
  const auto check = [&](bool holds) {
    if (!holds) std::fprintf(stderr, "%s\n", exercise.error().c_str());
    granary::FuzzCheck(holds);
  };
  while (!input.empty()) check(exercise.Step());
  check(exercise.CheckAll());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kGrains[] = {1, 3, 16, 4096};
  granary::FuzzInput input(data, size);
  const uint64_t choice = input.Number(1);
  const uint64_t few = input.Number(1);
  const granary::RegionOptions options = {
      .grain = kGrains[choice % 4],
      .fit = static_cast<granary::Fit>(few % 3),
      .track_used = (choice & 4) != 0,
      .lowest_among_equals = (choice & 8) != 0,
      .max_ranges = (choice & 16) != 0 ? 1 + few / 4 : uint64_t{1} << 16};
  if ((choice & 32) == 0) {
    const uint64_t units = input.Number(1);
    Run<granary::region::GrainArray>(units * options.grain, 300 * options.grain, options, input);
  } else {
    // Compact records or wide ones, and the former may become the latter.
    const uint64_t units = uint64_t{1} << input.Number(1) % 50;
    Run<granary::region::GrainRuns>(units * options.grain, (uint64_t{1} << 50) * options.grain,
                                    options, input);
  }
  return 0;
}
