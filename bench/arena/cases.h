// The families of cases. Each function registers its own, under
// `arena/CASE/VARIANT/IMPLEMENTATION`.
#ifndef GRANARY_BENCH_ARENA_CASES_H_
#define GRANARY_BENCH_ARENA_CASES_H_

#include <benchmark/benchmark.h>

#include <functional>
#include <memory>
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

// An implementation where engines have theirs: on the heap, at an address that others may know, so
// that all state is in memory whenever a result goes to DoNotOptimize. All are reached in the same
// way; as local variables some were, and others, whose code is too large to be inlined, were not.
template <class Implementation>
class Subject {
 public:
  Subject() : owner_(std::make_unique<Implementation>()) {
    benchmark::DoNotOptimize(static_cast<void*>(owner_.get()));
  }
  Implementation& operator*() const { return *owner_; }

 private:
  std::unique_ptr<Implementation> owner_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_CASES_H_
