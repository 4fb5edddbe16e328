// Reads and changes pages, and times each fix.
#ifndef GRANARY_BENCH_BUFFER_UPDATE_RUN_H_
#define GRANARY_BENCH_BUFFER_UPDATE_RUN_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/buffer/latencies.h"
#include "bench/buffer/page_orders.h"
#include "bench/buffer/pages.h"
#include "bench/buffer/update_pool.h"
#include "bench/program.h"
#include "bench/threads.h"

namespace granary::bench {

// Which of the pages that come are changed; the others are read.
enum class Changes : uint8_t { kNone, kHalf, kAll };

constexpr bool IsChanged(Changes changes, size_t i) {
  return changes == Changes::kAll || (changes == Changes::kHalf && i % 2 == 1);
}

// Each thread goes through its order `batches` times; returns the seconds. A fix is from the call
// until the page's bytes are there. Ends the program if a page is not what it should be.
inline double SecondsOfUpdates(UpdatePool& pool, Changes changes, const Orders& orders,
                               size_t batches, Latencies& latencies) {
  using Clock = std::chrono::steady_clock;
  std::vector<Latencies> of_threads(orders.threads());
  const double seconds = SecondsOnThreads(orders.threads(), [&](size_t thread, StartLine& line) {
    const std::span<const uint32_t> pages = orders.PagesOf(thread);
    Latencies& mine = of_threads[thread];
    uint64_t words = 0;
    Clock::time_point fixed;
    line.Wait();
    for (size_t batch = 0; batch < batches; ++batch) {
      for (size_t i = 0; i < pages.size(); ++i) {
        const uint64_t page = pages[i];
        const auto start = Clock::now();
        words += IsChanged(changes, i) ? pool.Change(page,
                                                     [&](std::byte* bytes) {
                                                       fixed = Clock::now();
                                                       CountChange(bytes, page);
                                                       return ReadWord(bytes, page);
                                                     })
                                       : pool.Read(page, [&](const std::byte* bytes) {
                                           fixed = Clock::now();
                                           return ReadWord(bytes, page);
                                         });
        const std::chrono::nanoseconds spent = fixed - start;
        mine.Add(static_cast<uint64_t>(spent.count()));
      }
    }
    const auto end = StartLine::Clock::now();
    if (words != batches * orders.WordsOf(thread)) {
      Die(std::string(UpdatePool::kName) + " has read what is in no page");
    }
    return end;
  });
  for (const Latencies& mine : of_threads) latencies.Add(mine);
  return seconds;
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_UPDATE_RUN_H_
