// How long each of many operations took, and what all but a few of them took at most.
#ifndef GRANARY_BENCH_BUFFER_LATENCIES_H_
#define GRANARY_BENCH_BUFFER_LATENCIES_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace granary::bench {

// Counts of times that are alike: exact below 64 ns, to 3 % above.
class Latencies {
 public:
  void Add(uint64_t ns) {
    ++counts_[BucketOf(ns)];
    ++total_;
  }
  void Add(const Latencies& others) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += others.counts_[i];
    total_ += others.total_;
  }

  // The time that this share of all, 0 to 1, did not exceed, to within 3 %; 0 if there are none.
  uint64_t Percentile(double share) const {
    const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(total_)));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen != 0) return LastOf(i);
    }
    return 0;
  }

 private:
  // Of each doubling so many.
  static constexpr unsigned kBits = 5;
  static constexpr size_t kBuckets = (64 - kBits) << kBits;

  static size_t BucketOf(uint64_t ns) {
    const auto width = static_cast<unsigned>(std::bit_width(ns));
    if (width <= kBits + 1) return ns;
    const unsigned shift = width - kBits - 1;
    return (size_t{shift} << kBits) + (ns >> shift);
  }
  static uint64_t LastOf(size_t bucket) {
    if (bucket < (size_t{2} << kBits)) return bucket;
    const size_t shift = (bucket >> kBits) - 1;
    return ((((bucket & ((1u << kBits) - 1)) + (1u << kBits)) + 1) << shift) - 1;
  }

  std::array<uint64_t, kBuckets + (size_t{1} << kBits)> counts_ = {};
  uint64_t total_ = 0;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_LATENCIES_H_
