#include "bench/buffer/hit_cases.h"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "bench/buffer/hit_run.h"
#include "bench/buffer/implementations.h"
#include "bench/buffer/orders.h"
#include "bench/buffer/page_orders.h"
#include "bench/buffer/prepared.h"

namespace granary::bench {
namespace {

struct Case {
  Distribution distribution;
  size_t pages;
  size_t threads;
  Reads reads = Reads::kKnown;
};

// 1,000 pages of which one line each is read fit into a processor's caches with all that is known
// about them; 64,000 do not, nor do their addresses fit into what translates them.
constexpr size_t kFewPages = 1'000;
constexpr size_t kManyPages = 64'000;

constexpr Case kCases[] = {
    {Distribution::kUniform, kFewPages, 1},
    {Distribution::kUniform, kFewPages, 2},
    {Distribution::kUniform, kManyPages, 1},
    {Distribution::kUniform, kManyPages, 2},
    {Distribution::kZipf, kFewPages, 1},
    {Distribution::kZipf, kFewPages, 2},
    {Distribution::kZipf, kManyPages, 1},
    {Distribution::kZipf, kManyPages, 2},
    {Distribution::kHot, kFewPages, 1},
    {Distribution::kHot, kFewPages, 2},
    {Distribution::kUniform, kFewPages, 1, Reads::kChained},
    {Distribution::kUniform, kManyPages, 1, Reads::kChained},
};

// Made when first asked for, and then kept: 1 MiB at most.
const Orders& OrdersOf(const Case& c) {
  static std::map<std::tuple<Distribution, size_t, size_t>, Orders> made;
  return made.try_emplace({c.distribution, c.pages, c.threads}, c.distribution, c.pages, c.threads)
      .first->second;
}

template <class Implementation>
void Register(const std::string& operation, const Case& c) {
  if (c.threads > Implementation::kThreadsMax) return;
  const std::string name = "buffer/" + operation + "/" + NameOf(c.distribution) +
                           (c.reads == Reads::kChained ? "_chained" : "") +
                           "/pages:" + std::to_string(c.pages) +
                           "/threads:" + std::to_string(c.threads) + "/" + Implementation::kName;
  benchmark::RegisterBenchmark(name.c_str(), [operation, c](benchmark::State& state) {
    // What serves all cases of an operation with so many pages is made once.
    const std::string key = operation + Implementation::kName + std::to_string(c.pages);
    auto& implementation = Prepared::Get<Implementation>(
        key, [&] { return std::make_unique<Implementation>(c.pages); });
    const Orders& orders = OrdersOf(c);
    const auto batches = static_cast<size_t>(state.max_iterations);
    while (state.KeepRunningBatch(state.max_iterations)) {
      state.SetIterationTime(c.reads == Reads::kChained
                                 ? SecondsOfReads<Reads::kChained>(implementation, orders, batches)
                                 : SecondsOfReads(implementation, orders, batches));
    }
    state.SetItemsProcessed(static_cast<int64_t>(batches * orders.reads()));
  })->UseManualTime();
}

template <class List>
void RegisterOperation(List list, const std::string& operation) {
  for (const Case& c : kCases) {
    ForEach(list, [&]<class Implementation>() { Register<Implementation>(operation, c); });
  }
}

}  // namespace

void RegisterHits() {
  RegisterOperation(FixUnfix(), "fix_unfix");
  RegisterOperation(Peek(), "peek");
}

}  // namespace granary::bench
