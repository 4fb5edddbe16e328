// The malloc that this program links, as an implementation: it frees one by one what it allocated.
#ifndef GRANARY_BENCH_ARENA_MALLOCS_H_
#define GRANARY_BENCH_ARENA_MALLOCS_H_

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <memory_resource>

#ifdef GRANARY_BENCH_MIMALLOC
#include <mimalloc.h>
#endif

#include "bench/program.h"

namespace granary::bench {

// A user of malloc has to remember what to free. Here that is an array with room for every case, so
// that remembering costs one store and freeing one load.
template <size_t /*kBlockBytes*/>
class Malloc {
 public:
  static constexpr const char* kName = GRANARY_BENCH_MALLOC_NAME;
  // More than any case allocates before it starts over.
  static constexpr size_t kLiveMax = size_t{1} << 21;

  Malloc() : live_(new void*[kLiveMax]), top_(live_.get()) {}
  ~Malloc() { Reset(); }
  Malloc(const Malloc&) = delete;
  Malloc& operator=(const Malloc&) = delete;

  void* Aligned(size_t bytes) { return *top_++ = std::malloc(bytes); }
  void Reset() {
    for (void** p = live_.get(); p != top_; ++p) std::free(*p);
    top_ = live_.get();
  }

 private:
  std::unique_ptr<void*[]> live_;
  void** top_;
};

// The same malloc under standard containers, which free by themselves.
template <size_t /*kBlockBytes*/>
class NewDelete {
 public:
  static constexpr const char* kName = GRANARY_BENCH_MALLOC_NAME;

  std::pmr::memory_resource* Resource() { return std::pmr::new_delete_resource(); }
  void Reset() {}
};

#ifdef GRANARY_BENCH_MIMALLOC
// mimalloc's own answer to memory that dies together: a heap that is destroyed as a whole.
template <size_t /*kBlockBytes*/>
class MimallocHeap {
 public:
  static constexpr const char* kName = "mimalloc_heap";

  MimallocHeap() : heap_(mi_heap_new()) {}
  ~MimallocHeap() { mi_heap_destroy(heap_); }
  MimallocHeap(const MimallocHeap&) = delete;
  MimallocHeap& operator=(const MimallocHeap&) = delete;

  void* Aligned(size_t bytes) { return mi_heap_malloc(heap_, bytes); }
  void Reset() {
    mi_heap_destroy(heap_);
    heap_ = mi_heap_new();
  }

 private:
  mi_heap_t* heap_;
};
#endif

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_MALLOCS_H_
