#include "bench/buffer/update_cases.h"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "bench/buffer/latencies.h"
#include "bench/buffer/orders.h"
#include "bench/buffer/page_orders.h"
#include "bench/buffer/prepared.h"
#include "bench/buffer/update_pool.h"
#include "bench/buffer/update_run.h"

namespace granary::bench {
namespace {

constexpr size_t kFrames = 4'000;
constexpr size_t kPages = 2 * kFrames;
// Enough that the next time round is no different from the first.
constexpr size_t kFixes = size_t{1} << 16;

struct Case {
  const char* name;
  Changes changes;
};

constexpr Case kCases[] = {
    {"readonly", Changes::kNone}, {"half_writes", Changes::kHalf}, {"writes", Changes::kAll}};

void Register(const Case& c, size_t thread_count) {
  const std::string name = std::string("buffer/update/uniform/") + c.name +
                           "/threads:" + std::to_string(thread_count) + "/" + UpdatePool::kName;
  benchmark::RegisterBenchmark(name.c_str(), [c, thread_count](benchmark::State& state) {
    auto& pool = Prepared::Get<UpdatePool>(
        "update", [] { return std::make_unique<UpdatePool>(kPages, kFrames); });
    const Orders orders(Distribution::kUniform, kPages, thread_count, kFixes);
    Latencies latencies;
    // Fills the pool, and has as much of it changed as is changed in a long run.
    SecondsOfUpdates(pool, c.changes, orders, 1, latencies);
    latencies = {};
    const auto batches = static_cast<size_t>(state.max_iterations);
    while (state.KeepRunningBatch(state.max_iterations)) {
      state.SetIterationTime(SecondsOfUpdates(pool, c.changes, orders, batches, latencies));
    }
    state.SetItemsProcessed(static_cast<int64_t>(batches * orders.reads()));
    const auto us = [&](double share) {
      return static_cast<double>(latencies.Percentile(share)) / 1e3;
    };
    state.counters["fix_us_p50"] = us(0.5);
    state.counters["fix_us_p99"] = us(0.99);
    state.counters["fix_us_p99.9"] = us(0.999);
  })->UseManualTime();
}

}  // namespace

void RegisterUpdates() {
  for (const size_t thread_count : {1u, 2u}) {
    for (const Case& c : kCases) Register(c, thread_count);
  }
}

}  // namespace granary::bench
