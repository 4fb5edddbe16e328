#include "bench/buffer/miss_cases.h"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "bench/buffer/bare_rings.h"
#include "bench/buffer/direct_readers.h"
#include "bench/buffer/fio.h"
#include "bench/buffer/miss_readers.h"
#include "bench/buffer/orders.h"
#include "bench/buffer/page_orders.h"
#include "bench/buffer/prepared.h"
#include "bench/program.h"
#include "bench/threads.h"

namespace granary::bench {
namespace {

constexpr size_t kFrames = 4'000;
constexpr size_t kPages = 4 * kFrames;

// Ends the program if anybody has read anything else than what is in the pages.
template <class Reader>
double SecondsOfMisses(Reader& reader, const Orders& orders, size_t batches) {
  return SecondsOnThreads(orders.threads(), [&](size_t thread, StartLine& line) {
    uint64_t words = 0;
    line.Wait();
    for (size_t i = 0; i < batches; ++i) words += reader.ReadAll(orders.PagesOf(thread));
    const auto end = StartLine::Clock::now();
    if (words != batches * orders.WordsOf(thread)) {
      Die(std::string(Reader::kName) + " has read what is in no page");
    }
    return end;
  });
}

template <class Reader>
void Register(const std::string& operation, size_t thread_count) {
  const std::string name = "buffer/" + operation +
                           "/shuffled/threads:" + std::to_string(thread_count) + "/" +
                           Reader::kName;
  benchmark::RegisterBenchmark(name.c_str(), [operation, thread_count](benchmark::State& state) {
    Reader& reader = Prepared::Get<Reader>(
        operation + Reader::kName, [] { return std::make_unique<Reader>(kPages, kFrames); });
    if (!reader.why_skipped().empty()) {
      state.SkipWithError(("skipped: " + reader.why_skipped()).c_str());
      return;
    }
    const Orders orders(Distribution::kShuffled, kPages, thread_count, kPages);
    // Fills the pool.
    SecondsOfMisses(reader, orders, 1);
    const uint64_t brought_before = reader.brought();
    const auto batches = static_cast<size_t>(state.max_iterations);
    while (state.KeepRunningBatch(state.max_iterations)) {
      state.SetIterationTime(SecondsOfMisses(reader, orders, batches));
    }
    state.SetItemsProcessed(static_cast<int64_t>(reader.brought() - brought_before));
  })->UseManualTime();
}

// A file that is much larger than the pool, whose pages are all on the disk.
constexpr size_t kDirectFrames = 4'000;
constexpr size_t kDirectPages = 16 * kDirectFrames;
constexpr size_t kDirectReads = size_t{1} << 14;

// What others read is granary's file, which is there as long as the pool is. Nothing, if the
// benchmark is skipped.
DirectPool* PrepareDirect(benchmark::State& state) {
  auto& pool = Prepared::Get<DirectPool>(
      "direct", [] { return std::make_unique<DirectPool>(kDirectPages, kDirectFrames); });
  if (pool.why_skipped().empty()) return &pool;
  state.SkipWithError(("skipped: " + pool.why_skipped()).c_str());
  return nullptr;
}

// Always others: what was read the last time would be there the next.
Orders NextDirectOrders(size_t thread_count) {
  static size_t round = 0;
  return Orders(Distribution::kUniform, kDirectPages, thread_count, kDirectReads, ++round);
}

template <class Reader>
void ReadDirectly(benchmark::State& state, size_t thread_count) {
  DirectPool* const pool = PrepareDirect(state);
  if (pool == nullptr) return;
  Reader reader{*pool};
  const uint64_t before = pool->brought();
  for (auto iteration : state) {
    state.SetIterationTime(SecondsOfMisses(reader, NextDirectOrders(thread_count), 1));
  }
  state.SetItemsProcessed(static_cast<int64_t>(pool->brought() - before));
}

void ReadByRings(benchmark::State& state, size_t thread_count) {
  DirectPool* const pool = PrepareDirect(state);
  if (pool == nullptr) return;
  BareRings rings(pool->path(), thread_count, kDirectFrames, DirectDepthOf(thread_count));
  if (!rings.why_skipped().empty()) {
    state.SkipWithError(("skipped: " + rings.why_skipped()).c_str());
    return;
  }
  for (auto iteration : state) {
    state.SetIterationTime(SecondsOfMisses(rings, NextDirectOrders(thread_count), 1));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(thread_count * kDirectReads));
}

void ReadByFio(benchmark::State& state, size_t thread_count) {
  DirectPool* const pool = PrepareDirect(state);
  if (pool == nullptr) return;
  uint64_t reads = 0;
  for (auto iteration : state) {
    const FioReads done =
        RunFio(pool->path(), thread_count, kDirectReads, DirectDepthOf(thread_count));
    if (!done.why_not.empty()) {
      state.SkipWithError(("skipped: " + done.why_not).c_str());
      return;
    }
    reads += done.reads;
    state.SetIterationTime(done.seconds);
  }
  state.SetItemsProcessed(static_cast<int64_t>(reads));
}

void RegisterDirect(const std::string& implementation, size_t thread_count,
                    void (*read)(benchmark::State&, size_t)) {
  const std::string name =
      "buffer/miss_direct/uniform/threads:" + std::to_string(thread_count) + "/" + implementation;
  benchmark::RegisterBenchmark(name.c_str(), read, thread_count)->UseManualTime();
}

}  // namespace

void RegisterMisses() {
  for (const size_t thread_count : {1u, 2u}) {
    Register<FilePoolPosix>("miss", thread_count);
    Register<BareIntoOnePage>("miss", thread_count);
    Register<BareIntoFrames>("miss", thread_count);
  }
  Register<FilePoolPosixAhead>("miss_ahead", 1);
  Register<FilePoolUringAhead>("miss_ahead", 1);
  Register<BareIntoOnePage>("miss_ahead", 1);
  Register<BareIntoFrames>("miss_ahead", 1);
  for (const size_t thread_count : {1u, 2u}) {
    RegisterDirect(StartedReader::kName, thread_count, ReadDirectly<StartedReader>);
    // Two would take turns at the store's one ring.
    if (thread_count == 1) {
      RegisterDirect(AwaitedReader::kName, thread_count, ReadDirectly<AwaitedReader>);
    }
    RegisterDirect(BareRings::kName, thread_count, ReadByRings);
    RegisterDirect("fio", thread_count, ReadByFio);
  }
}

}  // namespace granary::bench
