// The malloc that this program links, as an implementation: a page is asked for as engines ask for
// one, aligned to its size.
#ifndef GRANARY_BENCH_POOL_MALLOCS_H_
#define GRANARY_BENCH_POOL_MALLOCS_H_

#include <cstddef>
#include <cstdlib>

#include "bench/program.h"

namespace granary::bench {

template <size_t kPageBytes>
class Malloc {
 public:
  static constexpr const char* kName = GRANARY_BENCH_MALLOC_NAME;
  static constexpr size_t kAlignment = kPageBytes;

  Malloc(size_t /*thread_count*/, size_t /*live_pages*/) {}

  Malloc& ForThread(size_t /*thread*/) { return *this; }
  void* Allocate() { return std::aligned_alloc(kPageBytes, kPageBytes); }
  void Deallocate(void* page) { std::free(page); }
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_POOL_MALLOCS_H_
