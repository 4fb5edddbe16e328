// Looks for entries of trees, and puts them there, timed by the clock on the wall.
#ifndef GRANARY_BENCH_BUFFER_TREE_RUNS_H_
#define GRANARY_BENCH_BUFFER_TREE_RUNS_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "bench/buffer/granary_trees.h"
#include "bench/buffer/lmdb_readers.h"
#include "bench/buffer/lmdb_tree.h"
#include "bench/buffer/tree_entries.h"
#include "bench/program.h"
#include "bench/threads.h"

namespace granary::bench {

struct TreeOfGranary {
  static constexpr const char* kName = "granary";
  using Tree = GranaryTree;
  using Reader = GranaryTree::Reader;
};

struct TreeOfLmdb {
  static constexpr const char* kName = "lmdb";
  using Tree = LmdbTree;
  using Reader = LmdbReader;
};

struct CursorOfLmdb {
  static constexpr const char* kName = "lmdb_cursor";
  using Tree = LmdbTree;
  using Reader = LmdbCursorReader;
};

// A function of its own: nothing of the benchmark's loop competes for its registers.
template <class Reader>
[[gnu::noinline]] uint64_t FindAll(Reader& reader, std::span<const uint32_t> entries) {
  uint64_t values = 0;
  for (const uint32_t entry : entries) values += reader.Find(entry);
  return values;
}

template <class Reader>
[[gnu::noinline]] uint64_t ScanAll(Reader& reader, std::span<const uint32_t> entries,
                                   size_t count) {
  uint64_t values = 0;
  for (const uint32_t entry : entries) values += reader.Scan(entry, count);
  return values;
}

template <class Reader>
uint64_t ReadAll(Reader& reader, std::span<const uint32_t> entries, size_t count) {
  return count == 1 ? FindAll(reader, entries) : ScanAll(reader, entries, count);
}

inline void CheckValues(const char* name, uint64_t values, uint64_t expected) {
  if (values != expected) Die(std::string(name) + " has found what nobody put there");
}

// Each thread reads its order `batches` times, after once that is not timed; returns the seconds.
// Ends the program if what is found is not what was put there.
template <class Implementation>
double SecondsOfLookups(typename Implementation::Tree& tree, const EntryOrders& orders,
                        size_t batches) {
  return SecondsOnThreads(orders.threads(), [&](size_t thread, StartLine& line) {
    const std::span<const uint32_t> entries = orders.EntriesOf(thread);
    typename Implementation::Reader reader(tree);
    uint64_t values = ReadAll(reader, entries, orders.count());
    line.Wait();
    for (size_t i = 0; i < batches; ++i) values += ReadAll(reader, entries, orders.count());
    const auto end = StartLine::Clock::now();
    CheckValues(Implementation::kName, values, (batches + 1) * orders.ValuesOf(thread));
    return end;
  });
}

// The same of one thread in a tree that has a limit; not timed is what keeps it to that, a few
// lookups at a time.
template <class Implementation>
double SecondsOfLimitedLookups(typename Implementation::Tree& tree, const EntryOrders& orders) {
  constexpr size_t kAtOnce = 32;
  using Clock = std::chrono::steady_clock;
  typename Implementation::Reader reader(tree);
  std::span<const uint32_t> entries = orders.EntriesOf(0);
  uint64_t values = 0;
  Clock::duration spent{};
  while (!entries.empty()) {
    const auto some = entries.first(std::min(kAtOnce, entries.size()));
    entries = entries.subspan(some.size());
    const auto start = Clock::now();
    values += ReadAll(reader, some, orders.count());
    spent += Clock::now() - start;
    reader.KeepToLimit();
  }
  CheckValues(Implementation::kName, values, orders.ValuesOf(0));
  return std::chrono::duration<double>(spent).count();
}

// Puts the entries into an empty tree, in this order; returns the seconds. Ends the program if they
// are not all there afterwards. `values` is their sum.
template <class Implementation>
double SecondsOfInserts(std::span<const uint32_t> entries, uint64_t values) {
  using Clock = std::chrono::steady_clock;
  typename Implementation::Tree tree(entries.size());
  const auto start = Clock::now();
  for (const uint32_t entry : entries) tree.Insert(entry);
  tree.Finish();
  const std::chrono::duration<double> seconds = Clock::now() - start;
  typename Implementation::Reader reader(tree);
  CheckValues(Implementation::kName, reader.Scan(0, entries.size()), values);
  return seconds.count();
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_TREE_RUNS_H_
