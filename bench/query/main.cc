// A program of the query suite: the example's queries on the memory that it is built with.
//
//   query/CASE/threads:N       each thread runs the query again and again, in memory of its own
//   query/empty                a query's memory, made and ended without a query
//   query/resident_CASE        by how much the query makes the process's resident memory grow at most
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "bench/program.h"
#include "bench/query/heap_memory.h"
#include "bench/query/queries.h"
#include "bench/threads.h"
#ifndef GRANARY_BENCH_MALLOC_ONLY
#include "bench/query/arena_memory.h"
#endif

namespace granary::bench {
namespace {

template <class Memory>
std::string NameOf(const std::string& name) {
  return "query/" + name + "/" + Memory::kName;
}

template <class Memory>
void RunOnThreads(benchmark::State& state, const QueryCase& query, size_t thread_count) {
  (void)QueryTables();
  const auto engine = std::make_unique<typename Memory::Engine>();
  const auto queries = static_cast<size_t>(state.max_iterations) * query.queries_per_iteration;
  while (state.KeepRunningBatch(state.max_iterations)) {
    state.SetIterationTime(SecondsOnThreads(thread_count, [&](size_t, StartLine& line) {
      // One that is not timed has touched what is touched.
      RunQuery<Memory>(*engine, query.text);
      line.Wait();
      for (size_t i = 0; i < queries; ++i) {
        benchmark::DoNotOptimize(RunQuery<Memory>(*engine, query.text));
      }
      return StartLine::Clock::now();
    }));
  }
  state.SetItemsProcessed(static_cast<int64_t>(queries * thread_count));
}

template <class Memory>
void RunEmpty(benchmark::State& state) {
  const auto engine = std::make_unique<typename Memory::Engine>();
  for (auto iteration : state) {
    Memory memory(*engine);
    benchmark::DoNotOptimize(&memory);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

// A line of /proc/self/status, in bytes.
size_t StatusBytes(const std::string& key) {
  std::ifstream lines("/proc/self/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + ":")) return std::stoul(line.substr(key.size() + 1)) << 10;
  }
  Die("/proc/self/status has no line " + key);
}

// In a child of its own, so that nothing is left of those before.
template <class Memory>
size_t ResidentGrowth(const QueryCase& query) {
  (void)QueryTables();
  int ends[2];
  if (::pipe(ends) != 0) Die("no pipe");
  const pid_t child = ::fork();
  if (child < 0) Die("no child");
  if (child == 0) {
    const auto engine = std::make_unique<typename Memory::Engine>();
    const size_t before = StatusBytes("VmRSS");
    RunQuery<Memory>(*engine, query.text);
    const size_t growth = StatusBytes("VmHWM") - before;
    const bool is_written = ::write(ends[1], &growth, sizeof growth) == sizeof growth;
    ::_exit(is_written ? 0 : 1);
  }
  size_t growth = 0;
  const bool is_read = ::read(ends[0], &growth, sizeof growth) == sizeof growth;
  ::close(ends[0]);
  ::close(ends[1]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!is_read || status != 0) Die(std::string("the query failed in its child: ") + query.text);
  return growth;
}

template <class Memory>
void RegisterResident(const QueryCase& query) {
  const std::string name = NameOf<Memory>(std::string("resident_") + query.name);
  benchmark::RegisterBenchmark(name.c_str(), [&query](benchmark::State& state) {
    size_t growth = 0;
    for (auto iteration : state) growth = ResidentGrowth<Memory>(query);
    state.counters["resident_bytes"] = static_cast<double>(growth);
  })->Iterations(1);
}

template <class Memory>
void RegisterFor() {
  for (const QueryCase& query : kQueryCases) {
    for (const size_t threads : {size_t{1}, size_t{2}}) {
      const std::string name =
          NameOf<Memory>(std::string(query.name) + "/threads:" + std::to_string(threads));
      benchmark::RegisterBenchmark(name.c_str(), [&query, threads](benchmark::State& state) {
        RunOnThreads<Memory>(state, query, threads);
      })->UseManualTime();
    }
    if (query.is_large) RegisterResident<Memory>(query);
  }
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  AddProgramContext();
  RegisterFor<HeapMemory>();
#ifndef GRANARY_BENCH_MALLOC_ONLY
  RegisterFor<GranaryMemory>();
  RegisterFor<UncountedMemory>();
  RegisterFor<MonotonicMemory>();
#endif
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) { return granary::bench::Main(argc, argv); }
