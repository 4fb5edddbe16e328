// Standard containers on a resource: built, dropped, and the resource reset; once before the timed
// rounds. An operation is one such round.
//
// The containers' destructors run, as most programs let them. The resource is known to the compiler
// as a std::pmr::memory_resource only, as it is to code that is given one.
#include <cstddef>
#include <map>
#include <memory_resource>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"

namespace granary::bench {
namespace {

constexpr size_t kBlockBytes = 64 << 10;
constexpr int kElements = 1000;
constexpr size_t kStrings = 200;

void BuildVector(std::pmr::memory_resource* resource) {
  std::pmr::vector<int> vector(resource);
  for (int i = 0; i < kElements; ++i) vector.push_back(i);
  benchmark::DoNotOptimize(vector.data());
}

void BuildStrings(std::pmr::memory_resource* resource) {
  for (size_t i = 0; i < kStrings; ++i) {
    // 10 to 60 characters; the shortest are stored in the object itself.
    const std::pmr::string string(10 + i * 37 % 51, 'x', resource);
    benchmark::DoNotOptimize(string.data());
  }
}

// A factor that is prime to the count visits every key once, and not in order.
int Scattered(int i) { return i * 389 % kElements; }

template <class Map>
void BuildMap(std::pmr::memory_resource* resource) {
  Map map(resource);
  for (int i = 0; i < kElements; ++i) map.emplace(Scattered(i), i);
  benchmark::DoNotOptimize(&map);
}

template <class Implementation>
void RunContainer(benchmark::State& state, void (*build)(std::pmr::memory_resource*)) {
  const Subject<Implementation> subject;
  Implementation& implementation = *subject;
  const auto run_round = [&] {
    std::pmr::memory_resource* resource = implementation.Resource();
    benchmark::DoNotOptimize(resource);
    build(resource);
    implementation.Reset();
  };
  run_round();
  for (auto _ : state) run_round();
  SetOperations(state, 1);
}

struct Container {
  const char* name;
  void (*build)(std::pmr::memory_resource*);
};

constexpr Container kContainers[] = {
    {"vector", BuildVector},
    {"string", BuildStrings},
    {"map", BuildMap<std::pmr::map<int, int>>},
    {"unordered_map", BuildMap<std::pmr::unordered_map<int, int>>},
};

}  // namespace

void RegisterContainerCases() {
  ForEach<kBlockBytes>(ContainerImplementations(), []<class I>() {
    for (const Container& container : kContainers) {
      Register(std::string("containers/") + container.name, I::kName,
               [container](benchmark::State& state) { RunContainer<I>(state, container.build); });
    }
  });
}

}  // namespace granary::bench
