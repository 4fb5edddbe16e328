// A program of the pool suite: registers the cases for the implementations that it is built with,
// and runs those that Google Benchmark's flags select.
//
//   PATTERN/PAGE/threads:N           untouched
//   PATTERN_touched/PAGE/threads:N   the first word of each page is written after it is allocated
//
// All patterns have pages of 4 KiB; larger ones change what an allocator does with a page, not what
// the pattern is, and so have two patterns alone.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <string>

#include "bench/pool/implementations.h"
#include "bench/pool/pattern_run.h"
#include "bench/pool/patterns.h"
#include "bench/program.h"

namespace granary::bench {
namespace {

template <class Pool, template <class, bool> class Pattern, bool kTouch>
void Register(const std::string& pattern, const std::string& page, size_t thread_count) {
  const std::string name = "pool/" + pattern + (kTouch ? "_touched/" : "/") + page +
                           "/threads:" + std::to_string(thread_count) + "/" + Pool::kName;
  benchmark::RegisterBenchmark(name.c_str(), [thread_count](benchmark::State& state) {
    if constexpr (requires { Pool::WhySkipped(); }) {
      if (!Pool::WhySkipped().empty()) {
        state.SkipWithError(("skipped: " + Pool::WhySkipped()).c_str());
        return;
      }
    }
    RunPattern<Pool, Pattern<HandleOf<Pool>, kTouch>>(state, thread_count);
  })->UseManualTime();
}

// A pattern in one page size, for some numbers of threads.
template <template <class, bool> class Pattern, size_t kPageKib, bool kTouch, class List>
void RegisterCase(List list, const std::string& pattern, size_t thread_count) {
  ForEach<(kPageKib << 10)>(list, [&]<class I>() {
    Register<I, Pattern, kTouch>(pattern, std::to_string(kPageKib) + "KiB", thread_count);
  });
}

template <class Pool, bool kTouch>
using BurstInOrder = Burst<Pool, kTouch, false>;
template <class Pool, bool kTouch>
using BurstReverse = Burst<Pool, kTouch, true>;

void RegisterCases() {
  RegisterCase<Lifo, 4, false>(OneThread(), "lifo", 1);
  RegisterCase<Lifo, 4, false>(ManyThreads(), "lifo", 2);
  RegisterCase<Lifo, 4, false>(ManyThreads(), "lifo", 8);
  RegisterCase<Lifo, 16, false>(OneThread(), "lifo", 1);
  RegisterCase<Lifo, 64, false>(OneThread(), "lifo", 1);
  RegisterCase<Lifo, 4, true>(OneThread(), "lifo", 1);
  RegisterCase<Lifo, 4, true>(ManyThreads(), "lifo", 2);

  RegisterCase<RandomReplacement, 4, false>(OneThread(), "random", 1);
  RegisterCase<RandomReplacement, 4, false>(ManyThreads(), "random", 2);
  RegisterCase<RandomReplacement, 4, false>(ManyThreads(), "random", 8);
  RegisterCase<RandomReplacement, 16, false>(OneThread(), "random", 1);
  RegisterCase<RandomReplacement, 16, false>(ManyThreads(), "random", 2);
  RegisterCase<RandomReplacement, 64, false>(OneThread(), "random", 1);
  RegisterCase<RandomReplacement, 64, false>(ManyThreads(), "random", 2);
  RegisterCase<RandomReplacement, 4, true>(OneThread(), "random", 1);
  RegisterCase<RandomReplacement, 4, true>(ManyThreads(), "random", 2);
  RegisterCase<RandomReplacement, 64, true>(OneThread(), "random", 1);

  RegisterCase<BurstInOrder, 4, false>(OneThread(), "burst", 1);
  RegisterCase<BurstInOrder, 4, false>(ManyThreads(), "burst", 2);
  RegisterCase<BurstInOrder, 4, false>(ManyThreads(), "burst", 8);
  RegisterCase<BurstInOrder, 4, true>(OneThread(), "burst", 1);
  RegisterCase<BurstReverse, 4, false>(OneThread(), "burst_reverse", 1);
  RegisterCase<BurstReverse, 4, false>(ManyThreads(), "burst_reverse", 2);

  RegisterCase<ProducerConsumer, 4, false>(HandingOver(), "producer_consumer", 2);
  RegisterCase<ProducerConsumer, 4, false>(HandingOver(), "producer_consumer", 8);
  RegisterCase<ProducerConsumer, 4, true>(HandingOver(), "producer_consumer", 2);
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  AddProgramContext();
  RegisterCases();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) { return granary::bench::Main(argc, argv); }
