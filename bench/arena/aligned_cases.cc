// Aligned allocation in the steady state, in blocks of 1 MiB: a batch asks for 1 MiB, then starts
// over.
//
//   aligned/...    every result is aligned to 16 bytes, which is all that RocksDB's arena offers
//   aligned8/...   to 8 bytes where the library has that, which is what most engine structures need
//   sweep/SIZE     one size after the other: a cliff would show here; 4 MiB a batch
//   large/mix      blocks of 64 KiB, one object in 64 larger than a block
#include <string>
#include <vector>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"
#include "bench/arena/sizes.h"

namespace granary::bench {
namespace {

template <class Ask, class List>
void RegisterFamily(const std::string& family, List list) {
  ForEach<kMiB>(list, [&]<class I>() {
    Register(family + "/mix", I::kName,
             [](benchmark::State& state) { RunSizes<I, Ask>(state, SmallMix()); });
    const auto constant = [&]<size_t kBytes>() {
      Register(family + "/" + std::to_string(kBytes), I::kName,
               [](benchmark::State& state) { RunConstant<I, Ask, kBytes>(state, kBatchBytes); });
    };
    constant.template operator()<16>();
    constant.template operator()<40>();
    constant.template operator()<64>();
    constant.template operator()<100>();
  });
}

// Powers of two and the points midway between them.
std::vector<size_t> SweepSizes() {
  std::vector<size_t> sizes;
  for (size_t bytes = 8; bytes <= size_t{64} << 10; bytes *= 2) {
    sizes.push_back(bytes);
    if (bytes < size_t{64} << 10) sizes.push_back(bytes + bytes / 2);
  }
  return sizes;
}

}  // namespace

void RegisterAlignedCases() {
  RegisterFamily<AskAligned>("aligned", AlignedImplementations());
  RegisterFamily<AskAligned8>("aligned8", Aligned8Implementations());

  ForEach<kMiB>(SweepImplementations(), []<class I>() {
    for (const size_t bytes : SweepSizes()) {
      Register("sweep/" + std::to_string(bytes), I::kName, [bytes](benchmark::State& state) {
        RunSize<I, AskAligned>(state, bytes, 4 * kBatchBytes);
      });
    }
  });

  ForEach<(64 << 10)>(LargeImplementations(), []<class I>() {
    Register("large/mix", I::kName,
             [](benchmark::State& state) { RunSizes<I, AskAligned>(state, LargeMix()); });
  });
}

}  // namespace granary::bench
