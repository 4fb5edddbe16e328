#include "bench/buffer/tree_cases.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <typeinfo>
#include <vector>

#include "bench/buffer/orders.h"
#include "bench/buffer/prepared.h"
#include "bench/buffer/tree_entries.h"
#include "bench/buffer/tree_runs.h"

namespace granary::bench {
namespace {

constexpr size_t kScanned = 100;

// About 100 MiB of pages.
constexpr size_t kEntries = 4'000'000;

// Of a tree that is larger than memory: granary's has about 5,700 leaves, LMDB's 8,700, where there
// is room for 2,000 pages.
constexpr size_t kLargeEntries = 1'350'000;
constexpr size_t kFrames = 2'000;
constexpr size_t kLargeAsked = 2'048;
constexpr size_t kLargeAskedBefore = 8'192;

constexpr size_t kInserted = 500'000;

struct Case {
  Distribution distribution;
  size_t threads;
  // Entries that an operation reads, from one on.
  size_t count = 1;
};

constexpr Case kCases[] = {
    {Distribution::kUniform, 1}, {Distribution::kUniform, 2},           {Distribution::kZipf, 1},
    {Distribution::kZipf, 2},    {Distribution::kUniform, 1, kScanned},
};

constexpr Case kLargeCases[] = {
    {Distribution::kUniform, 1},
    {Distribution::kZipf, 1},
    {Distribution::kUniform, 1, kScanned},
    {Distribution::kZipf, 1, kScanned},
};

// Made when first asked for, and then kept: a few MiB.
const EntryOrders& OrdersOf(const Case& c, size_t entries, size_t asked) {
  static std::map<std::tuple<Distribution, size_t, size_t, size_t, size_t>, EntryOrders> made;
  return made
      .try_emplace({c.distribution, c.threads, c.count, entries, asked}, c.distribution, entries,
                   c.threads, asked, c.count)
      .first->second;
}

std::string NameOf(const Case& c, const char* where, const char* implementation) {
  const std::string operation = c.count == 1 ? "btree_lookup" : "btree_scan";
  return "buffer/" + operation + "/" + where + "/" + NameOf(c.distribution) +
         "/threads:" + std::to_string(c.threads) + "/" + implementation;
}

template <class Implementation>
void RegisterInMemory(const Case& c) {
  using Tree = typename Implementation::Tree;
  const std::string name = NameOf(c, "in_memory", Implementation::kName);
  benchmark::RegisterBenchmark(name.c_str(), [c](benchmark::State& state) {
    // One tree serves all cases, and both ways to read LMDB's.
    Tree& tree = Prepared::Get<Tree>(std::string("in_memory") + typeid(Tree).name(), [] {
      auto filled = std::make_unique<Tree>(kEntries);
      filled->Fill(kEntries);
      return filled;
    });
    const EntryOrders& orders = OrdersOf(c, kEntries, kOrderReads / c.count);
    const auto batches = static_cast<size_t>(state.max_iterations);
    while (state.KeepRunningBatch(state.max_iterations)) {
      state.SetIterationTime(SecondsOfLookups<Implementation>(tree, orders, batches));
    }
    state.SetItemsProcessed(static_cast<int64_t>(batches * orders.asked()));
  })->UseManualTime();
}

template <class Implementation>
void RegisterLarge(const Case& c) {
  using Tree = typename Implementation::Tree;
  const std::string name = NameOf(c, "larger_than_memory", Implementation::kName);
  const std::string key = NameOf(c, "larger_than_memory", typeid(Tree).name());
  benchmark::RegisterBenchmark(name.c_str(), [c, key](benchmark::State& state) {
    Tree& tree = Prepared::Get<Tree>(key, [&] {
      auto filled = std::make_unique<Tree>(kLargeEntries, kFrames);
      if (filled->why_skipped().empty()) {
        filled->Fill(kLargeEntries);
        filled->Settle(kFrames);
        // What is asked for often is in memory then.
        SecondsOfLimitedLookups<Implementation>(*filled,
                                                OrdersOf(c, kLargeEntries, kLargeAskedBefore));
      }
      return filled;
    });
    if (!tree.why_skipped().empty()) {
      state.SkipWithError(("skipped: " + tree.why_skipped()).c_str());
      return;
    }
    // Always others: what was asked for the last time would be there the next.
    static size_t round = 0;
    size_t asked = 0;
    for (auto iteration : state) {
      const EntryOrders orders(c.distribution, kLargeEntries, c.threads, kLargeAsked, c.count,
                               ++round);
      state.SetIterationTime(SecondsOfLimitedLookups<Implementation>(tree, orders));
      asked += kLargeAsked;
    }
    state.SetItemsProcessed(static_cast<int64_t>(asked));
  })->UseManualTime();
}

template <class Implementation>
void RegisterInsert() {
  const std::string name =
      std::string("buffer/btree_insert/in_memory/uniform/threads:1/") + Implementation::kName;
  benchmark::RegisterBenchmark(name.c_str(), [](benchmark::State& state) {
    // What another case has would be in the way.
    Prepared::Forget();
    std::vector<uint32_t> entries(kInserted);
    std::iota(entries.begin(), entries.end(), 0u);
    std::ranges::shuffle(entries, std::mt19937_64(1));
    uint64_t values = 0;
    for (const uint32_t entry : entries) values += ValueOf(entry);
    for (auto iteration : state) {
      state.SetIterationTime(SecondsOfInserts<Implementation>(entries, values));
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kInserted));
  })->UseManualTime();
}

}  // namespace

void RegisterTrees() {
  // What one tree serves stands together: it is made once for that.
  for (const Case& c : kCases) RegisterInMemory<TreeOfGranary>(c);
  for (const Case& c : kCases) {
    RegisterInMemory<TreeOfLmdb>(c);
    RegisterInMemory<CursorOfLmdb>(c);
  }
  for (const Case& c : kLargeCases) {
    RegisterLarge<TreeOfGranary>(c);
    RegisterLarge<TreeOfLmdb>(c);
    RegisterLarge<CursorOfLmdb>(c);
  }
  RegisterInsert<TreeOfGranary>();
  RegisterInsert<TreeOfLmdb>();
}

}  // namespace granary::bench
