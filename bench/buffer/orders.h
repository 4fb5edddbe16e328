// Which page is read after which: made before anything is timed, from fixed seeds.
#ifndef GRANARY_BENCH_BUFFER_ORDERS_H_
#define GRANARY_BENCH_BUFFER_ORDERS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace granary::bench {

enum class Distribution : uint8_t {
  kUniform,   // Each page as likely as any other.
  kZipf,      // The k-th most wanted page with a probability proportional to k^-0.99, as YCSB has
              // it. Which page that is, is random, and the same for all threads.
  kHot,       // One page, always the same.
  kShuffled,  // Each page once, in random order, and again in the same.
};

// "uniform", "zipf", "hot", "shuffled".
const char* NameOf(Distribution distribution);

// Long enough that the processor does not learn it by heart.
inline constexpr size_t kOrderReads = size_t{1} << 17;

// `reads` pages out of `pages`; for each thread another order.
std::vector<uint32_t> MakeOrder(Distribution distribution, size_t pages, size_t thread,
                                size_t reads = kOrderReads);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_ORDERS_H_
