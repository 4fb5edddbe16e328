// What whole programs asked of malloc (see bench/traces), asked of arenas with blocks of 1 MiB:
// frees are left out, a reallocation is an allocation. A batch is one recording, untouched. An
// operation is one allocation with its share of starting over.
#include <string>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"
#include "bench/arena/sizes.h"

namespace granary::bench {
namespace {

template <class Implementation, class Ask>
void RunTrace(benchmark::State& state, const std::string& name) {
  const auto& sizes = TraceSizes(name);
  if (!sizes) {
    state.SkipWithError(sizes.error().message.c_str());
    return;
  }
  RunSizes<Implementation, Ask>(state, *sizes);
}

}  // namespace

void RegisterTraceCases() {
  for (const std::string name : {"sqlite_analytics", "rocksdb_mixed"}) {
    ForEach<kMiB>(AlignedImplementations(), [&]<class I>() {
      Register("trace/" + name, I::kName,
               [name](benchmark::State& state) { RunTrace<I, AskAligned>(state, name); });
    });
    ForEach<kMiB>(BytesImplementations(), [&]<class I>() {
      Register("trace_bytes/" + name, I::kName,
               [name](benchmark::State& state) { RunTrace<I, AskBytes>(state, name); });
    });
  }
}

}  // namespace granary::bench
