// The cases of the suite, registered for one implementation under `region/CASE/IMPLEMENTATION`.
#ifndef GRANARY_BENCH_REGION_CASES_H_
#define GRANARY_BENCH_REGION_CASES_H_

#include <benchmark/benchmark.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "bench/region/implementations.h"
#include "bench/region/runs.h"
#include "bench/traces/rep_trace.h"

namespace granary::bench {

inline constexpr const char* kRecordings[] = {"sqlite_analytics", "rocksdb_mixed"};

inline std::string& TracesDirectory() {
  static std::string directory;
  return directory;
}

// Read when first asked for, and then kept.
inline const Expected<RepTrace>& Recording(const std::string& name) {
  static std::map<std::string, Expected<RepTrace>> recordings;
  const auto found = recordings.find(name);
  if (found != recordings.end()) return found->second;
  return recordings.emplace(name, ReadRepTrace(TracesDirectory() + "/" + name + ".rep.gz"))
      .first->second;
}

template <class Implementation>
std::string NameOf(const std::string& case_name) {
  return "region/" + case_name + "/" + Implementation::kName;
}

// The library calls a benchmark again and again until it knows how often to run it; what it runs is
// prepared for the first of these calls, and kept until another benchmark's takes its place.
inline void Time(benchmark::State& state, const std::string& name,
                 const std::function<std::unique_ptr<Run>()>& prepare) {
  static std::string prepared_name;
  static std::unique_ptr<Run> prepared;
  if (prepared_name != name) {
    prepared.reset();
    prepared = prepare();
    prepared_name = name;
  }
  Run& run = *prepared;
  for (auto iteration : state) run.RunBatch();
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(run.operations_per_batch()));
}

template <class Implementation, class R, class... Arguments>
void RegisterTimed(const std::string& case_name, const Arguments&... arguments) {
  const std::string name = NameOf<Implementation>(case_name);
  benchmark::RegisterBenchmark(name.c_str(), [name, arguments...](benchmark::State& state) {
    // Orders are made when they are first needed.
    Time(state, name, [&] { return std::make_unique<R>(arguments()...); });
  });
}

template <class Implementation>
void RegisterTimedCases() {
  using I = Implementation;
  RegisterTimed<I, ReplacementRun<I, false>>("log_uniform", LogUniform);
  RegisterTimed<I, ReplacementRun<I, false>>("small_exact", SmallExact);
  RegisterTimed<I, ReplacementRun<I, true>>("aligned", Aligned);
  RegisterTimed<I, LifoRun<I>>("lifo");
  RegisterTimed<I, BetweenRun<I>>("between");
  if constexpr (kIsRegion<I>) {
    RegisterTimed<I, ReplacementRun<I, false>>("million_free", MillionFree);
  }
  for (const std::string recording : kRecordings) {
    const std::string name = NameOf<I>("trace_" + recording);
    benchmark::RegisterBenchmark(name.c_str(), [name, recording](benchmark::State& state) {
      const auto& trace = Recording(recording);
      if (!trace) {
        state.SkipWithError(trace.error().message.c_str());
        return;
      }
      Time(state, name, [&] { return std::make_unique<TraceRun<I>>(*trace); });
    });
  }
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_CASES_H_
