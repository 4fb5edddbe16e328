// The policies once more, as plainly as their authors tell them: lists of pages and a table of
// which page is where. They share no code with pool/buffer, and say what it has to do.
#ifndef GRANARY_BENCH_CACHE_SIM_MODELS_H_
#define GRANARY_BENCH_CACHE_SIM_MODELS_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>

#include "bench/cache_sim/simulated_cache.h"
#include "pool/buffer/eviction.h"

namespace granary::bench {

// What the pool's policy of this kind is to do, hit for hit and page for page.
std::unique_ptr<CacheUnderTest> MakeModel(EvictionKind kind, size_t pages);

// S3-FIFO as published, but promoting at two hits: the small queue is a tenth, the ghosts are 0.9
// of the pages that are still away. The reference that S3Fifo is compared with.
std::unique_ptr<CacheUnderTest> MakePublishedS3Fifo(size_t pages);

// 2Q as published: the ghosts are the last half of the capacity that are still away.
std::unique_ptr<CacheUnderTest> MakePublishedTwoQ(size_t pages);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CACHE_SIM_MODELS_H_
