#include "bench/buffer/miss_cases.h"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

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

}  // namespace

void RegisterMisses() {
  for (const size_t thread_count : {1u, 2u}) {
    Register<FilePoolPosix>("miss", thread_count);
    Register<BarePreadv>("miss", thread_count);
  }
  Register<FilePoolPosixAhead>("miss_ahead", 1);
  Register<FilePoolUringAhead>("miss_ahead", 1);
  Register<BarePreadv>("miss_ahead", 1);
}

}  // namespace granary::bench
