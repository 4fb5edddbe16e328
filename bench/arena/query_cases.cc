// The life of a query: set up, N small allocations aligned to 16 bytes, tear down. An operation is
// one query.
//
//   query/N/BLOCK           untouched
//   query_touched/N/BLOCK   the first word of each allocation is written
#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"
#include "bench/arena/sizes.h"

namespace granary::bench {
namespace {

// A part of the mix whose length is a power of two can be gone through again and again cheaply.
constexpr size_t kMixMask = 4095;

// Inlined, so that the shortest queries do not time a call.
template <bool kTouch, class Implementation>
[[gnu::always_inline]] inline void RunOne(Implementation& implementation, const uint32_t* sizes,
                                          size_t offset, size_t allocation_count) {
  for (size_t i = 0; i < allocation_count; ++i) {
    void* const p = implementation.Aligned(sizes[(offset + i) & kMixMask]);
    if constexpr (kTouch) *static_cast<uint64_t*>(p) = i;
    benchmark::DoNotOptimize(p);
  }
  implementation.Reset();
}

template <class Implementation, bool kTouch>
void RunQuery(benchmark::State& state, size_t allocation_count) {
  const uint32_t* const sizes = SmallMix().data();
  const Subject<Implementation> subject;
  Implementation& implementation = *subject;
  RunOne<kTouch>(implementation, sizes, 0, allocation_count);
  // Without an offset the same few sizes would come in every short query.
  size_t offset = 0;
  for (auto _ : state) {
    RunOne<kTouch>(implementation, sizes, offset, allocation_count);
    offset += allocation_count;
  }
  SetOperations(state, 1);
}

struct Scale {
  const char* name;
  size_t allocation_count;
  bool touched_too;
};

constexpr Scale kScales[] = {{"1", 1, false},
                             {"10", 10, false},
                             {"100", 100, true},
                             {"10k", 10'000, true},
                             {"1M", 1'000'000, false}};

template <size_t kBlockBytes>
void RegisterBlock(const std::string& block) {
  for (const Scale& scale : kScales) {
    const size_t count = scale.allocation_count;
    const std::string variant = std::string(scale.name) + "/" + block;
    ForEach<kBlockBytes>(QueryImplementations(), [&]<class I>() {
      Register("query/" + variant, I::kName,
               [count](benchmark::State& state) { RunQuery<I, false>(state, count); });
      if (!scale.touched_too) return;
      Register("query_touched/" + variant, I::kName,
               [count](benchmark::State& state) { RunQuery<I, true>(state, count); });
    });
  }
}

}  // namespace

void RegisterQueryCases() {
  RegisterBlock<4 << 10>("4KiB");
  RegisterBlock<1 << 20>("1MiB");
}

}  // namespace granary::bench
