// Byte strings, without alignment, in the steady state: blocks of 1 MiB, a batch asks for 1 MiB,
// then starts over.
#include <string>

#include "bench/arena/batch.h"
#include "bench/arena/cases.h"
#include "bench/arena/implementations.h"
#include "bench/arena/sizes.h"

namespace granary::bench {

void RegisterBytesCases() {
  ForEach<kMiB>(BytesImplementations(), []<class I>() {
    Register("bytes/mix", I::kName,
             [](benchmark::State& state) { RunSizes<I, AskBytes>(state, SmallMix()); });
    const auto constant = [&]<size_t kBytes>() {
      Register("bytes/" + std::to_string(kBytes), I::kName, [](benchmark::State& state) {
        RunConstant<I, AskBytes, kBytes>(state, kBatchBytes);
      });
    };
    constant.template operator()<16>();
    constant.template operator()<40>();
    constant.template operator()<64>();
    constant.template operator()<100>();
  });
}

}  // namespace granary::bench
