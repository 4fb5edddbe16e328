// How much memory is held for what was asked for: counted, not timed, and the same in every run.
//
//   space/SIZE          64 MiB of one size
//   space/sweep_worst   the worst of a dense sweep over sizes from 8 bytes to 1 MiB
//   space/bytes_mix     64 MiB of byte strings
//   space/trace_NAME    the allocations of a recording
//
// Blocks have 1 MiB, or what the library has instead. Requests are aligned to 8 bytes, RocksDB's to
// the 16 that are all it offers. `held_per_asked` is counted on all sides alike, in the malloc
// underneath, from before the arena is made to after its last allocation; the arena object itself
// is not part of it.
#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"
#include "bench/arena/sizes.h"

namespace granary::bench {
namespace {

constexpr size_t kAskedBytes = 64 * kMiB;
constexpr size_t kSizes[] = {8,   16,   24,   32,   40,    48,    64,     100,    128,    256,
                             512, 1000, 1024, 4096, 10000, 65536, 100000, 209736, 262144, kMiB};

size_t HeldByMalloc() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// `use(arena)` allocates and returns how much it asked for.
template <class Implementation, class Use>
double HeldPerAsked(const Use& use) {
  const size_t before = HeldByMalloc();
  // On the stack, which is not counted.
  Implementation arena;
  benchmark::DoNotOptimize(&arena);
  const size_t asked = use(arena);
  const size_t held = HeldByMalloc() - before;
  return static_cast<double>(held) / static_cast<double>(asked);
}

template <class Implementation>
double HeldForSize(size_t bytes) {
  return HeldPerAsked<Implementation>([bytes](Implementation& arena) {
    const size_t count = kAskedBytes / bytes;
    for (size_t i = 0; i < count; ++i) benchmark::DoNotOptimize(arena.Aligned8(bytes));
    return count * bytes;
  });
}

template <class Implementation, class Ask>
double HeldForSizes(const std::vector<uint32_t>& sizes, size_t rounds) {
  return HeldPerAsked<Implementation>([&](Implementation& arena) {
    size_t asked = 0;
    for (size_t round = 0; round < rounds; ++round) {
      for (const uint32_t bytes : sizes) {
        benchmark::DoNotOptimize(Ask::Allocate(arena, bytes));
        asked += bytes;
      }
    }
    return asked;
  });
}

// Every multiple of 8 up to 4 KiB, from there about 64 sizes to a doubling.
std::vector<size_t> DenseSizes() {
  std::vector<size_t> sizes;
  for (size_t bytes = 8; bytes <= kMiB; bytes += bytes < 4096 ? 8 : bytes / 64 / 8 * 8) {
    sizes.push_back(bytes);
  }
  return sizes;
}

template <class Implementation>
double WorstHeld() {
  double worst = 0;
  for (const size_t bytes : DenseSizes()) {
    worst = std::max(worst, HeldForSize<Implementation>(bytes));
  }
  return worst;
}

// Counts once and reports the same each time: the library cannot be told to run a benchmark a
// single time without its name saying so.
void RegisterCount(const std::string& name, const char* implementation,
                   std::function<Expected<double>()> count) {
  auto counted = std::make_shared<Expected<double>>(0);
  Register("space/" + name, implementation,
           [count = std::move(count), counted](benchmark::State& state) {
             if (*counted && **counted == 0) *counted = count();
             if (!*counted) {
               state.SkipWithError(counted->error().message.c_str());
               return;
             }
             for (auto _ : state) {
             }
             state.counters["held_per_asked"] = **counted;
           });
}

template <class Implementation>
void RegisterImplementation() {
  for (const size_t bytes : kSizes) {
    RegisterCount(std::to_string(bytes), Implementation::kName,
                  [bytes] { return HeldForSize<Implementation>(bytes); });
  }
  RegisterCount("sweep_worst", Implementation::kName, WorstHeld<Implementation>);
  for (const std::string name : {"sqlite_analytics", "rocksdb_mixed"}) {
    RegisterCount("trace_" + name, Implementation::kName, [name] {
      return TraceSizes(name).map([](const std::vector<uint32_t>& sizes) {
        return HeldForSizes<Implementation, AskAligned8>(sizes, 1);
      });
    });
  }
  if constexpr (requires(Implementation arena) { arena.Bytes(1); }) {
    RegisterCount("bytes_mix", Implementation::kName, [] {
      return HeldForSizes<Implementation, AskBytes>(SmallMix(), kAskedBytes / kBatchBytes);
    });
  }
}

}  // namespace

void RegisterSpaceCases() {
  ForEach<kMiB>(SpaceImplementations(), []<class I>() { RegisterImplementation<I>(); });
}

}  // namespace granary::bench
