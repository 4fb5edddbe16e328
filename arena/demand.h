// Demand: how much memory the uses of an arena take, as an estimate that follows them.
#ifndef GRANARY_ARENA_DEMAND_H_
#define GRANARY_ARENA_DEMAND_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace granary {

// Estimates the 90th percentile of a stream of sizes in two words, old sizes counting ever less.
// Stochastic approximation in steps proportional to the estimate: a size above raises it by 9/64, a
// size below lowers it by 1/64, so that it rests where one size in ten is above. Three sizes in a
// row above it mean that the demand itself has moved, and the estimate follows at once.
class Demand {
 public:
  void Add(size_t bytes) noexcept {
    if (bytes > percentile_bytes_) {
      const size_t step = percentile_bytes_ / 64 * 9;
      const bool moved = ++above_in_a_row_ >= 3 || percentile_bytes_ == 0;
      percentile_bytes_ = moved ? bytes : std::min(bytes, percentile_bytes_ + step);
    } else {
      percentile_bytes_ = std::max(bytes, percentile_bytes_ - percentile_bytes_ / 64);
      above_in_a_row_ = 0;
    }
  }

  // The estimate, in bytes; 0 before the first size.
  size_t percentile_bytes() const noexcept { return percentile_bytes_; }

  // What is worth keeping for the next use: half as much again.
  size_t target_bytes() const noexcept { return percentile_bytes_ + percentile_bytes_ / 2; }

 private:
  size_t percentile_bytes_ = 0;
  uint32_t above_in_a_row_ = 0;
};

}  // namespace granary

#endif  // GRANARY_ARENA_DEMAND_H_
