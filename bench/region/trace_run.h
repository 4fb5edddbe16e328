// Replays what a program asked of malloc, frees and reallocations included.
#ifndef GRANARY_BENCH_REGION_TRACE_RUN_H_
#define GRANARY_BENCH_REGION_TRACE_RUN_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "bench/region/orders.h"
#include "bench/traces/rep_trace.h"

namespace granary::bench {

// A size of 0 is 1.
inline size_t BytesOf(const RepOperation& operation) {
  return std::max<size_t>(operation.bytes, 1);
}

// Where a replay does nothing but replay.
struct NoObserver {
  template <class Handle>
  void Allocated(const RepOperation&, const Handle&) {}
  // From one place to another; both are live.
  template <class Handle>
  void Moving(const RepOperation&, const Handle&, const Handle&) {}
  template <class Handle>
  void Reallocated(const RepOperation&, const Handle&) {}
  template <class Handle>
  void Freeing(const RepOperation&, const Handle&) {}
};

// realloc where the implementation has it, else in place, else allocated anew and then freed.
// False, and nothing has changed, if there is no room.
template <class Implementation, class Observer>
bool Reallocate(Implementation& implementation, const RepOperation& operation,
                typename Implementation::Handle& handle, Observer& observer) {
  const size_t bytes = BytesOf(operation);
  if constexpr (requires { implementation.Reallocate(handle, bytes); }) {
    return implementation.Reallocate(handle, bytes);
  } else {
    if (implementation.Resize(handle, bytes)) return true;
    const auto moved = implementation.Allocate(bytes, kDefaultAlignment);
    if (implementation.IsNull(moved)) return false;
    observer.Moving(operation, handle, moved);
    implementation.Free(handle);
    handle = moved;
    return true;
  }
}

// `live` has a null handle for each id. Returns how many requests were refused; what was refused is
// not freed, and a reallocation of it is an allocation.
template <class Implementation, class Observer>
[[gnu::noinline]] size_t Replay(Implementation& implementation,
                                std::span<const RepOperation> operations,
                                std::vector<typename Implementation::Handle>& live,
                                Observer& observer) {
  using Kind = RepOperation::Kind;
  size_t refused = 0;
  for (const RepOperation& operation : operations) {
    auto& handle = live[operation.id];
    const bool is_live = !implementation.IsNull(handle);
    if (operation.kind == Kind::kFree) {
      if (!is_live) continue;
      observer.Freeing(operation, handle);
      implementation.Free(handle);
      handle = {};
      benchmark::ClobberMemory();
    } else if (is_live) {
      if (!Reallocate(implementation, operation, handle, observer)) {
        ++refused;
        continue;
      }
      observer.Reallocated(operation, handle);
    } else {
      // A variable of its own: gcc 12 with -fsanitize=thread loses what was stored to `handle` when
      // that is given to DoNotOptimize.
      auto allocated = implementation.Allocate(BytesOf(operation), kDefaultAlignment);
      benchmark::DoNotOptimize(allocated);
      handle = allocated;
      if (implementation.IsNull(handle)) {
        ++refused;
        continue;
      }
      observer.Allocated(operation, handle);
    }
  }
  return refused;
}

// What the trace left.
template <class Implementation>
void FreeAll(Implementation& implementation, std::vector<typename Implementation::Handle>& live) {
  for (auto& handle : live) {
    if (!implementation.IsNull(handle)) implementation.Free(handle);
    handle = {};
  }
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_TRACE_RUN_H_
