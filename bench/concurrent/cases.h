// The cases of the suite, under `concurrent/CASE/VARIANT/IMPLEMENTATION`.
#ifndef GRANARY_BENCH_CONCURRENT_CASES_H_
#define GRANARY_BENCH_CONCURRENT_CASES_H_

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <utility>

namespace granary::bench {

void RegisterCases();

// Registers one benchmark of the suite. It says itself what an iteration took: processor time is
// one thread's.
inline void Register(const std::string& name, const char* implementation,
                     std::function<void(benchmark::State&)> run) {
  benchmark::RegisterBenchmark(("concurrent/" + name + "/" + implementation).c_str(),
                               std::move(run))
      ->UseManualTime();
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CONCURRENT_CASES_H_
