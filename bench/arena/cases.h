// The families of cases. Each function registers its own, under
// `arena/CASE/VARIANT/IMPLEMENTATION`.
#ifndef GRANARY_BENCH_ARENA_CASES_H_
#define GRANARY_BENCH_ARENA_CASES_H_

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <utility>

namespace granary::bench {

void RegisterAlignedCases();
void RegisterBytesCases();
void RegisterMemtableCases();
void RegisterTraceCases();
void RegisterQueryCases();
void RegisterResetCases();
void RegisterContainerCases();
void RegisterSpaceCases();

// Registers one benchmark of the suite.
inline void Register(const std::string& name, const char* implementation,
                     std::function<void(benchmark::State&)> run) {
  benchmark::RegisterBenchmark(("arena/" + name + "/" + implementation).c_str(), std::move(run));
}

// Makes the compiler believe that anybody may read and write `object`: its state then has to be in
// memory whenever a pointer goes to DoNotOptimize.
template <class T>
void LetEscape(T& object) {
  benchmark::DoNotOptimize(static_cast<void*>(&object));
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_CASES_H_
