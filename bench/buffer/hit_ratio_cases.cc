#include "bench/buffer/hit_ratio_cases.h"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/buffer/prepared.h"
#include "bench/buffer/rocksdb_hit_caches.h"
#include "bench/cache_sim/pool_cache.h"
#include "bench/cache_sim/recordings.h"
#include "bench/cache_sim/simulation.h"
#include "bench/compaction/checked.h"
#include "bench/traces/page_trace.h"
#include "pool/buffer/eviction.h"

namespace granary::bench {
namespace {

struct Recording {
  const char* name;
  const char* file;
  uint64_t page_bytes;
  std::vector<size_t> pages;
};

const Recording kRecordings[] = {
    {"oltp", "OLTP.lis.zst", 512, {1'000, 2'000, 5'000, 10'000, 15'000}},
    {"p3", "P3.lis.zst", 4096, {1'023, 5'117, 10'234, 20'469}},
};

struct Cache {
  const char* name;
  std::function<std::unique_ptr<CacheUnderTest>(size_t)> make;
};

Cache PoolWith(const char* name, EvictionKind kind) {
  return {name, [kind](size_t pages) { return Surely(PoolCache::Create(kind, pages)); }};
}

std::vector<Cache> Caches() {
  return {PoolWith("granary", EvictionKind::kS3Fifo),
          PoolWith("granary_2q", EvictionKind::kTwoQ),
          PoolWith("granary_clock", EvictionKind::kClock),
          PoolWith("granary_lru", EvictionKind::kLru),
          {"rocksdb_hyper_clock", RocksdbHitCache::HyperClock},
          {"rocksdb_lru", RocksdbHitCache::Lru}};
}

void Register(const Recording& recording, size_t pages, const Cache& cache) {
  const std::string name = std::string("buffer/hit_ratio/") + recording.name +
                           "/pages:" + std::to_string(pages) + "/" + cache.name;
  benchmark::RegisterBenchmark(name.c_str(), [&recording, pages, cache](benchmark::State& state) {
    const auto path = RecordingPath(recording.file, "bench/buffer/README.md");
    if (!std::filesystem::exists(path)) {
      state.SkipWithError("skipped: the recording is not there; GRANARY_TRACES names its folder");
      return;
    }
    const auto& trace = Prepared::Get<std::vector<uint64_t>>(recording.file, [&] {
      return std::make_unique<std::vector<uint64_t>>(
          Surely(ReadPageTrace(path.string(), {.page_bytes = recording.page_bytes})));
    });
    double hit_ratio = 0;
    for (auto iteration : state)
      hit_ratio = Simulate(trace, {}, *cache.make(pages)).trace.hit_ratio();
    state.counters["miss_percent"] = 100 * (1 - hit_ratio);
  })->Iterations(1);
}

}  // namespace

void RegisterHitRatios() {
  for (const Recording& recording : kRecordings) {
    for (const size_t pages : recording.pages) {
      for (const Cache& cache : Caches()) Register(recording, pages, cache);
    }
  }
}

}  // namespace granary::bench
