// What cannot fail in a benchmark ends the program if it does, with the reason.
#ifndef GRANARY_BENCH_COMPACTION_CHECKED_H_
#define GRANARY_BENCH_COMPACTION_CHECKED_H_

#include <type_traits>
#include <utility>

#include "bench/program.h"
#include "memory/error.h"

namespace granary::bench {

template <class T>
T Surely(Expected<T>&& result) {
  if (!result) Die(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_CHECKED_H_
