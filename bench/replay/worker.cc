// Replays one recording on one allocator, and prints what it found out as JSON. The front of the
// replay (main.cc) starts it; there is one such program for each malloc.
//
//   replay_worker RECORDING ALLOCATOR REGION_BYTES nothing|pages|payload
//
// RECORDING is a file that WriteMappable has written.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "bench/program.h"
#include "bench/region/implementations.h"
#include "bench/region/trace_run.h"
#include "bench/replay/counted_replay.h"
#include "bench/traces/mapped_trace.h"

namespace granary::bench {
namespace {

using Clock = std::chrono::steady_clock;

// A recording is timed again and again until it has taken so long.
constexpr double kTimedSecondsMin = 0.02;
// More address space than this cannot be had.
constexpr size_t kMappedBytesMax = size_t{1} << 46;

// The names under which the replay has the implementations.
std::string_view NameOf(std::string_view implementation) {
  if (implementation == "granary") return "region";
  if (implementation == "granary_lowest") return "region_best_lowest";
  if (implementation == "granary_tracked") return "region_tracked";
  return implementation;
}

template <class Implementation>
void CheckWhole(const Implementation& implementation) {
  if constexpr (requires { implementation.allocator(); }) {
    const auto valid = implementation.allocator().Validate();
    if (!valid) Die(valid.error().message);
  }
}

template <class Implementation>
nlohmann::json Measure(const MappedTrace& trace, size_t region_bytes, Writes writes) {
  using Handle = typename Implementation::Handle;
  // What a region manages is mapped by itself, or for payloads.
  const bool is_mapped = std::is_pointer_v<Handle> || writes == Writes::kPayload;
  const size_t bytes = is_mapped ? std::min(region_bytes, kMappedBytesMax) : region_bytes;
  std::vector<Handle> live(trace.id_count());
  Implementation implementation(bytes);
  nlohmann::json json;
  {
    CountingObserver observer(implementation, trace.id_count(), bytes, writes);
    json["failures"] = Replay(implementation, trace.operations(), live, observer);
    json["peak_live_bytes"] = observer.peak_live_bytes();
    json["is_region"] = kIsRegion<Implementation>;
    if (const auto held = observer.HeldBytes()) json["held_bytes"] = *held;
    if (const auto ranges = observer.free_ranges_at_peak()) json["free_ranges"] = *ranges;
    observer.CheckLive(live);
    CheckWhole(implementation);
    FreeAll(implementation, live);
    CheckWhole(implementation);
  }
  NoObserver nobody;
  double seconds = 0;
  size_t passes = 0;
  while (seconds < kTimedSecondsMin) {
    const auto begin = Clock::now();
    Replay(implementation, trace.operations(), live, nobody);
    seconds += std::chrono::duration<double>(Clock::now() - begin).count();
    ++passes;
    FreeAll(implementation, live);
  }
  json["operations_per_second"] = static_cast<double>(passes * trace.operations().size()) / seconds;
  return json;
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  VerifiedMallocLibrary();
  if (argc != 5) Die("usage: replay_worker RECORDING ALLOCATOR REGION_BYTES nothing|pages|payload");
  const auto trace = MappedTrace::Open(argv[1]);
  if (!trace) Die(trace.error().message);
  const std::string_view allocator = argv[2];
  const std::string_view what = argv[4];
  const Writes writes = what == "payload" ? Writes::kPayload
                        : what == "pages" ? Writes::kPages
                                          : Writes::kNothing;
  nlohmann::json json;
  ForEachImplementation([&]<class I>() {
    if (NameOf(I::kName) == allocator) json = Measure<I>(*trace, std::stoul(argv[3]), writes);
  });
  if (json.is_null()) Die("this program has no allocator " + std::string(allocator));
  std::printf("%s\n", json.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) {
  try {
    return granary::bench::Main(argc, argv);
  } catch (const std::exception& failure) {
    granary::bench::Die(failure.what());
  }
}
