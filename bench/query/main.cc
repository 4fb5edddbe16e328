// A program of the query suite: the example's queries on the memory that it is built with.
//
//   query/CASE/threads:N       each thread runs the query again and again, in memory of its own
//   query/resident_CASE        by how much the query makes the process's resident memory grow at
//   most
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

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

// A line of /proc/self/status, in bytes.
size_t StatusBytes(const std::string& key) {
  std::ifstream lines("/proc/self/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + ":")) return std::stoul(line.substr(key.size() + 1)) << 10;
  }
  Die("/proc/self/status has no line " + key);
}

// What the child that MeasureResident starts does.
constexpr const char* kResidentFlag = "--measure_resident=";

template <class Memory>
void PrintResidentGrowth(const QueryCase& query) {
  (void)QueryTables();
  const auto engine = std::make_unique<typename Memory::Engine>();
  const size_t before = StatusBytes("VmRSS");
  RunQuery<Memory>(*engine, query.text);
  std::printf("%zu\n", StatusBytes("VmHWM") - before);
}

// In a process of its own, so that nothing is there of queries before.
size_t MeasureResident(const std::string& name) {
  const std::string command =
      "'" + std::filesystem::read_symlink("/proc/self/exe").string() + "' " + kResidentFlag + name;
  FILE* const child = ::popen(command.c_str(), "r");
  size_t growth = 0;
  const bool is_read = child != nullptr && std::fscanf(child, "%zu", &growth) == 1;
  if (child == nullptr || ::pclose(child) != 0 || !is_read) Die(command + " failed");
  return growth;
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
    if (!query.is_large) continue;
    const std::string name = NameOf<Memory>(std::string("resident_") + query.name);
    benchmark::RegisterBenchmark(name.c_str(), [name](benchmark::State& state) {
      size_t growth = 0;
      for (auto iteration : state) growth = MeasureResident(name);
      state.counters["resident_mib"] = static_cast<double>(growth) / (1 << 20);
    })->Iterations(1);
  }
}

// Calls `visit.operator()<Memory>()` for all that this program measures.
template <class Visitor>
void ForEachMemory(const Visitor& visit) {
  visit.template operator()<HeapMemory>();
#ifndef GRANARY_BENCH_MALLOC_ONLY
  visit.template operator()<GranaryMemory>();
  visit.template operator()<UncountedMemory>();
  visit.template operator()<MonotonicMemory>();
#endif
}

int MainOfChild(const std::string& name) {
  bool is_found = false;
  ForEachMemory([&]<class Memory>() {
    for (const QueryCase& query : kQueryCases) {
      if (name != NameOf<Memory>(std::string("resident_") + query.name)) continue;
      PrintResidentGrowth<Memory>(query);
      is_found = true;
    }
  });
  return is_found ? 0 : 1;
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first.starts_with(kResidentFlag)) {
    return MainOfChild(std::string(first.substr(std::string_view(kResidentFlag).size())));
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  AddProgramContext();
  ForEachMemory([]<class Memory>() { RegisterFor<Memory>(); });
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) { return granary::bench::Main(argc, argv); }
