#include "bench/compaction/workload_cases.h"

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

#include "bench/compaction/block_sources.h"
#include "bench/program.h"
#include "bench/region/held.h"
#include "bench/region/mapping.h"
#include "memory/region/workloads/fragmentation_workloads.h"

namespace granary::bench {
namespace {

// Timed, 5 MiB are allocated in each phase, and 1 MiB is live: hundredths of a second. Counted,
// once, five times as much: pages do not matter then.
constexpr uint64_t kTimedDivisor = 1000;
constexpr uint64_t kCountedDivisor = 200;

template <class Source>
inline constexpr bool kIsHeap = std::is_same_v<Source, HeapBlocks>;

// What happens when a workload has ended.
enum class Ending : uint8_t { kDefragmented, kUnmoved };

template <class Source>
std::string NameOf(const char* case_name, int number, Ending ending) {
  return "compaction/" + std::string(case_name) + "/W" + std::to_string(number) + "/" +
         Source::kName + (kIsHeap<Source> && ending == Ending::kUnmoved ? "_unmoved" : "");
}

FragmentationWorkload WorkloadOf(int number, uint64_t divisor) {
  return FragmentationWorkload({.number = number, .divisor = divisor, .seed = 1});
}

void RunSurely(FragmentationWorkload& workload, auto& target) {
  if (!workload.Run(target)) Die("there is no room for what a workload asks for");
}

// Memory that was written before, as a malloc's is that has run the workload.
class HeapMemory {
 public:
  explicit HeapMemory(uint64_t bytes) : mapping_(bytes), bytes_(bytes) {
    std::memset(mapping_.data(), 1, bytes);
  }

  std::span<std::byte> bytes() const { return {mapping_.data(), bytes_}; }

 private:
  Mapping mapping_;
  size_t bytes_;
};

template <class Source>
void TimeOn(benchmark::State& state, Source& source, int number, Ending ending) {
  CountingTarget<Source> target(source, true);
  const auto run = [&] {
    FragmentationWorkload workload = WorkloadOf(number, kTimedDivisor);
    RunSurely(workload, target);
    if constexpr (kIsHeap<Source>) {
      if (ending == Ending::kDefragmented) source.heap().Defragment();
    }
  };
  run();
  target.FreeLeft();
  const uint64_t operations_before = target.operations();
  for (auto iteration : state) {
    run();
    state.PauseTiming();
    target.FreeLeft();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(target.operations() - operations_before));
}

template <class Source>
void Time(benchmark::State& state, int number, Ending ending) {
  const uint64_t heap_bytes = WorkloadOf(number, kTimedDivisor).heap_bytes() / 4096 * 4096;
  if constexpr (kIsHeap<Source>) {
    const HeapMemory memory(heap_bytes);
    Source source(memory.bytes());
    TimeOn(state, source, number, ending);
  } else {
    Source source(heap_bytes);
    TimeOn(state, source, number, ending);
  }
}

template <class Source>
Counts Count(int number, Ending ending) {
  const size_t resident_before = StatusBytes("RssAnon");
  FragmentationWorkload workload = WorkloadOf(number, kCountedDivisor);
  Source source(workload.heap_bytes());
  CountingTarget<Source> target(source, false);
  RunSurely(workload, target);
  Counts counts;
  if constexpr (kIsHeap<Source>) {
    CompactingHeap& heap = source.heap();
    counts["fragmentation"] = heap.Fragmentation();
    if (ending == Ending::kDefragmented) {
      counts["fragmentation_before"] = heap.Fragmentation();
      const DefragReport report = heap.Defragment();
      counts["fragmentation"] = report.fragmentation_after;
      const auto moved = static_cast<double>(report.moved_bytes());
      const auto reclaimed = static_cast<double>(report.reclaimed_bytes);
      counts["moved_per_reclaimed"] = reclaimed > 0 ? moved / reclaimed : 0;
    }
    heap.Trim();
    counts["blocks_held_per_asked"] =
        static_cast<double>(heap.Stats().held_bytes - heap.Stats().record_bytes) /
        static_cast<double>(target.left_bytes());
  }
  // Gives back every page that is free as a whole, of whoever it was: the workload's lists too.
  ::malloc_trim(0);
  counts["held_per_asked"] = static_cast<double>(StatusBytes("RssAnon") - resident_before) /
                             static_cast<double>(target.left_bytes());
  return counts;
}

template <class Visitor>
void ForEachWorkload(const Visitor& visit) {
  for (int number = 0; number < kFragmentationWorkloads; ++number) {
    visit.template operator()<HeapBlocks>(number, Ending::kDefragmented);
    visit.template operator()<HeapBlocks>(number, Ending::kUnmoved);
    visit.template operator()<MallocBlocks>(number, Ending::kUnmoved);
  }
}

}  // namespace

void RegisterWorkloads() {
  ForEachWorkload([]<class Source>(int number, Ending ending) {
    benchmark::RegisterBenchmark(
        NameOf<Source>("workload", number, ending).c_str(),
        [number, ending](benchmark::State& state) { Time<Source>(state, number, ending); });
  });
}

std::vector<CountedCase> CountedWorkloads() {
  std::vector<CountedCase> cases;
  ForEachWorkload([&]<class Source>(int number, Ending ending) {
    cases.push_back({NameOf<Source>("space_workload", number, ending),
                     [number, ending] { return Count<Source>(number, ending); }});
  });
  return cases;
}

}  // namespace granary::bench
