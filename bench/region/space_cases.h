// How much is held for what is live: counted, in a process of its own, so that nothing is there of
// what was measured before.
#ifndef GRANARY_BENCH_REGION_SPACE_CASES_H_
#define GRANARY_BENCH_REGION_SPACE_CASES_H_

#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "bench/program.h"
#include "bench/region/cases.h"
#include "bench/region/held.h"
#include "bench/region/implementations.h"
#include "bench/region/orders.h"
#include "bench/region/runs.h"
#include "bench/region/trace_run.h"
#include "bench/traces/mapped_trace.h"

namespace granary::bench {

struct SpaceOrder {
  const char* name;
  const ReplacementOrder& (*order)();
};

inline constexpr SpaceOrder kSpaceOrders[] = {
    {"space_log_uniform", LogUniform},
    {"space_small_exact", SmallExact},
    {"space_aligned", Aligned},
};

// All of the order's replacements.
template <class Implementation>
double HeldForOrder(const ReplacementOrder& order) {
  struct Live {
    typename Implementation::Handle handle;
    size_t bytes;
  };
  std::vector<Live> live(order.first.size());
  Implementation implementation(kRegionBytes);
  HeldMeter held(implementation);
  LiveMeter asked;
  const auto allocate = [&](Live& slot, const Request& request) {
    slot = {AllocateSurely(implementation, request.bytes, request.alignment), request.bytes};
    held.Grew(slot.handle, request.bytes);
    asked.Changed(0, request.bytes);
  };
  for (size_t slot = 0; slot < live.size(); ++slot) allocate(live[slot], order.first[slot]);
  for (const Replacement& replacement : order.replacements) {
    Live& slot = live[replacement.slot];
    implementation.Free(slot.handle);
    asked.Changed(slot.bytes, 0);
    allocate(slot, replacement.request);
  }
  return static_cast<double>(held.HeldBytes()) / static_cast<double>(asked.peak_bytes());
}

// Meters a replay.
template <class Implementation>
class MeteringObserver {
 public:
  using Handle = typename Implementation::Handle;

  MeteringObserver(const Implementation& implementation, size_t id_count)
      : sizes_(id_count), held_(implementation) {}

  void Allocated(const RepOperation& operation, const Handle& handle) {
    Reallocated(operation, handle);
  }
  void Moving(const RepOperation&, const Handle&, const Handle&) {}
  void Reallocated(const RepOperation& operation, const Handle& handle) {
    held_.Grew(handle, BytesOf(operation));
    Changed(operation.id, BytesOf(operation));
  }
  void Freeing(const RepOperation& operation, const Handle&) { Changed(operation.id, 0); }

  double HeldPerAsked() const {
    return static_cast<double>(held_.HeldBytes()) / static_cast<double>(asked_.peak_bytes());
  }

 private:
  void Changed(uint32_t id, size_t bytes) {
    asked_.Changed(sizes_[id], bytes);
    sizes_[id] = bytes;
  }

  std::vector<size_t> sizes_;
  HeldMeter<Implementation> held_;
  LiveMeter asked_;
};

template <class Implementation>
double HeldForTrace(const MappedTrace& trace) {
  std::vector<typename Implementation::Handle> live(trace.id_count());
  Implementation implementation(kRegionBytes);
  MeteringObserver observer(implementation, trace.id_count());
  Replay(implementation, trace.operations(), live, observer);
  return observer.HeldPerAsked();
}

// Prints what the counted benchmark `name` counts; false if that is none of this implementation's.
// `recording` is a file that WriteMappable has written, for those that need one.
template <class Implementation>
bool PrintHeldPerAsked(const std::string& name, const std::string& recording) {
  double held = 0;
  if (!recording.empty()) {
    const auto trace = MappedTrace::Open(recording);
    if (!trace) Die(trace.error().message);
    if (!name.ends_with(std::string("/") + Implementation::kName)) return false;
    held = HeldForTrace<Implementation>(*trace);
  } else {
    const auto* const space = std::ranges::find_if(kSpaceOrders, [&](const SpaceOrder& order) {
      return name == NameOf<Implementation>(order.name);
    });
    if (space == std::end(kSpaceOrders)) return false;
    held = HeldForOrder<Implementation>(space->order());
  }
  std::printf("%.17g\n", held);
  return true;
}

// In a process of its own: this program, started with `arguments`.
inline double HeldPerAskedOfChild(const std::string& arguments) {
  const std::string command =
      "'" + std::filesystem::read_symlink("/proc/self/exe").string() + "' " + arguments;
  FILE* const child = ::popen(command.c_str(), "r");
  double held = 0;
  const bool is_read = child != nullptr && std::fscanf(child, "%lf", &held) == 1;
  if (child == nullptr || ::pclose(child) != 0 || !is_read) Die(command + " failed");
  return held;
}

inline constexpr const char* kSpaceFlag = "--measure_space=";
inline constexpr const char* kRecordingFlag = "--recording=";

// The file is there as long as the descriptor, which children inherit.
inline Expected<int> OpenMappable(const RepTrace& trace) {
  const int fd = ::memfd_create("recording", 0);
  if (fd < 0) Die("memfd_create failed");
  if (auto written = WriteMappable(trace, fd); !written) return tl::unexpected(written.error());
  return fd;
}

template <class Implementation>
void RegisterSpaceCases() {
  const auto report = [](benchmark::State& state, const std::string& arguments) {
    double held = 0;
    for (auto iteration : state) held = HeldPerAskedOfChild(arguments);
    state.counters["held_per_asked"] = held;
  };
  for (const SpaceOrder& order : kSpaceOrders) {
    const std::string name = NameOf<Implementation>(order.name);
    benchmark::RegisterBenchmark(name.c_str(), [name, report](benchmark::State& state) {
      report(state, kSpaceFlag + name);
    })->Iterations(1);
  }
  for (const std::string recording : kRecordings) {
    const std::string name = NameOf<Implementation>("space_trace_" + recording);
    benchmark::RegisterBenchmark(name.c_str(), [name, recording, report](benchmark::State& state) {
      const auto fd = Recording(recording).and_then(OpenMappable);
      if (!fd) {
        state.SkipWithError(fd.error().message.c_str());
        return;
      }
      report(state, kSpaceFlag + name + " " + kRecordingFlag + "/dev/fd/" + std::to_string(*fd));
      ::close(*fd);
    })->Iterations(1);
  }
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_SPACE_CASES_H_
