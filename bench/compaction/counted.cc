#include "bench/compaction/counted.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "bench/program.h"

namespace granary::bench {
namespace {

// This program, started to count.
Counts CountsOfChild(const std::string& name) {
  const std::string command =
      "'" + std::filesystem::read_symlink("/proc/self/exe").string() + "' " + kCountFlag + name;
  FILE* const child = ::popen(command.c_str(), "r");
  if (child == nullptr) Die(command + " cannot be started");
  Counts counts;
  char counter[64];
  double value = 0;
  while (std::fscanf(child, "%63s %lf", counter, &value) == 2) counts[counter] = value;
  if (::pclose(child) != 0 || counts.empty()) Die(command + " failed");
  return counts;
}

}  // namespace

bool PrintCounts(const std::vector<CountedCase>& cases, const std::string& name) {
  const auto found = std::ranges::find(cases, name, &CountedCase::name);
  if (found == cases.end()) return false;
  for (const auto& [counter, value] : found->count()) {
    std::printf("%s %.17g\n", counter.c_str(), value);
  }
  return true;
}

void RegisterCounted(const std::vector<CountedCase>& cases) {
  for (const CountedCase& counted : cases) {
    benchmark::RegisterBenchmark(counted.name.c_str(), [name =
                                                            counted.name](benchmark::State& state) {
      Counts counts;
      for (auto iteration : state) counts = CountsOfChild(name);
      for (const auto& [counter, value] : counts) state.counters[counter] = value;
    })->Iterations(1);
  }
}

}  // namespace granary::bench
