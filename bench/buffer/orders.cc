#include "bench/buffer/orders.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace granary::bench {
namespace {

constexpr double kZipfExponent = 0.99;

std::vector<uint32_t> Shuffled(size_t pages, std::mt19937_64& random) {
  std::vector<uint32_t> shuffled(pages);
  std::iota(shuffled.begin(), shuffled.end(), 0u);
  std::ranges::shuffle(shuffled, random);
  return shuffled;
}

// The pages, the most wanted one first.
std::vector<uint32_t> Ranking(size_t pages) {
  std::mt19937_64 random(1);
  return Shuffled(pages, random);
}

std::vector<uint32_t> MakeZipfOrder(size_t pages, size_t reads, std::mt19937_64& random) {
  std::vector<double> cumulative(pages);
  double sum = 0;
  for (size_t k = 0; k < pages; ++k) {
    cumulative[k] = sum += std::pow(static_cast<double>(k + 1), -kZipfExponent);
  }
  const std::vector<uint32_t> ranking = Ranking(pages);
  std::uniform_real_distribution<double> place(0, sum);
  std::vector<uint32_t> order(reads);
  std::ranges::generate(order, [&] {
    const auto found = std::ranges::upper_bound(cumulative, place(random));
    // A place may be rounded up to the sum.
    const auto rank = std::min(static_cast<size_t>(found - cumulative.begin()), pages - 1);
    return ranking[rank];
  });
  return order;
}

}  // namespace

const char* NameOf(Distribution distribution) {
  switch (distribution) {
    case Distribution::kUniform:
      return "uniform";
    case Distribution::kZipf:
      return "zipf";
    case Distribution::kHot:
      return "hot";
    case Distribution::kShuffled:
      return "shuffled";
  }
  return "";
}

std::vector<uint32_t> MakeOrder(Distribution distribution, size_t pages, size_t thread,
                                size_t reads) {
  std::mt19937_64 random(thread + 1);
  if (distribution == Distribution::kZipf) return MakeZipfOrder(pages, reads, random);
  std::vector<uint32_t> order(reads, static_cast<uint32_t>(pages / 2));
  if (distribution == Distribution::kUniform) {
    std::uniform_int_distribution<uint32_t> page(0, static_cast<uint32_t>(pages - 1));
    std::ranges::generate(order, [&] { return page(random); });
  }
  if (distribution == Distribution::kShuffled) {
    const std::vector<uint32_t> shuffled = Shuffled(pages, random);
    for (size_t i = 0; i < reads; ++i) order[i] = shuffled[i % pages];
  }
  return order;
}

}  // namespace granary::bench
