// Which blobs the cases add, and in which order they remove them: the same in every run.
#ifndef GRANARY_BENCH_COMPACTION_BLOB_ORDERS_H_
#define GRANARY_BENCH_COMPACTION_BLOB_ORDERS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace granary::bench {

inline constexpr uint32_t kBlobs = 10'000;

// 10,000 blobs of 1 to 10,000 random bytes.
inline const std::vector<std::span<const std::byte>>& Blobs() {
  static const auto* const blobs = [] {
    constexpr size_t kBytesMax = 10'000;
    std::mt19937_64 random(1);
    auto* const content = new std::vector<std::byte>(2 * kBytesMax);
    std::ranges::generate(*content, [&] { return static_cast<std::byte>(random()); });
    auto* const made = new std::vector<std::span<const std::byte>>;
    for (uint32_t i = 0; i < kBlobs; ++i) {
      made->push_back(std::span(*content).subspan(random() % kBytesMax, 1 + random() % kBytesMax));
    }
    return made;
  }();
  return *blobs;
}

// A permutation of the blobs' numbers.
inline const std::vector<uint32_t>& RemovalOrder() {
  static const auto* const order = [] {
    std::mt19937_64 random(2);
    auto* const made = new std::vector<uint32_t>;
    for (uint32_t i = 0; i < kBlobs; ++i) made->push_back(i);
    // std::shuffle may do it differently elsewhere.
    for (uint32_t i = kBlobs - 1; i > 0; --i) std::swap((*made)[i], (*made)[random() % (i + 1)]);
    return made;
  }();
  return *order;
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_BLOB_ORDERS_H_
