// Reads pages that are all in memory, on some threads, and times it by the clock on the wall: from
// the moment at which all of them are ready until the last has done its batches.
#ifndef GRANARY_BENCH_BUFFER_HIT_RUN_H_
#define GRANARY_BENCH_BUFFER_HIT_RUN_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "bench/buffer/page_orders.h"
#include "bench/program.h"
#include "bench/threads.h"

namespace granary::bench {

// Whether a thread knows which page comes next before it has read the one before.
enum class Reads : uint8_t {
  kKnown,    // A processor that looks ahead reads several at once.
  kChained,  // It is what was read that says so, as in a tree.
};

// A function of its own: nothing of the benchmark's loop competes for its registers.
template <Reads kReads, class Implementation>
[[gnu::noinline]] uint64_t ReadAll(Implementation& implementation,
                                   std::span<const uint32_t> pages) {
  uint64_t words = 0;
  uint64_t word = 0;
  for (size_t i = 0; i < pages.size(); ++i) {
    // No word has this bit, which neither the compiler nor the processor knows.
    const size_t next = kReads == Reads::kChained ? i + (word >> 63) : i;
    word = implementation.Read(pages[next]);
    words += word;
  }
  // The pages may be others the next time: without this a compiler that sees all of Read calls it
  // once for all batches.
  benchmark::ClobberMemory();
  return words;
}

// Each thread reads its order `batches` times, after once that is not timed; returns the seconds.
// Ends the program if anybody has read anything else than what is in the pages.
template <Reads kReads = Reads::kKnown, class Implementation>
double SecondsOfReads(Implementation& implementation, const Orders& orders, size_t batches) {
  return SecondsOnThreads(orders.threads(), [&](size_t thread, StartLine& line) {
    const std::span<const uint32_t> pages = orders.PagesOf(thread);
    uint64_t words = ReadAll<kReads>(implementation, pages);
    line.Wait();
    for (size_t i = 0; i < batches; ++i) words += ReadAll<kReads>(implementation, pages);
    const auto end = StartLine::Clock::now();
    if (words != (batches + 1) * orders.WordsOf(thread)) {
      Die(std::string(Implementation::kName) + " has read what is in no page");
    }
    return end;
  });
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_HIT_RUN_H_
