// granary's pools, other libraries' and two by hand, as implementations.
//
// An implementation is made for a number of threads, each of which has at most so many pages out.
// kAlignment is what its pages are aligned to. ForThread is called once by each thread, and gives
// what it allocates from.
#ifndef GRANARY_BENCH_POOL_POOLS_H_
#define GRANARY_BENCH_POOL_POOLS_H_

#include <boost/pool/pool.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <foonathan/memory/memory_pool.hpp>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <vector>

#include "bench/program.h"
#include "pool/local_page_pool.h"
#include "pool/page_pool.h"

namespace granary::bench {

// Memory whose beginning is aligned to a page, as every pool gets its own.
template <size_t kPageBytes>
void* AlignedMemory(size_t bytes) {
  void* const memory = std::aligned_alloc(kPageBytes, bytes / kPageBytes * kPageBytes + kPageBytes);
  if (memory == nullptr) Die("no memory for a pool");
  return memory;
}

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};

template <class Pool, size_t kPageBytes>
class GranaryPool {
 public:
  static constexpr size_t kAlignment = kPageBytes;

  // The cap is far above what is out: other pools have none. What is never used costs nothing.
  GranaryPool(size_t thread_count, size_t live_pages)
      : pool_(Pool::Create(
            {.page_bytes = kPageBytes, .max_pages = thread_count * (live_pages + 1024)})) {
    if (!pool_) Die(pool_.error().message);
  }

  Pool& ForThread(size_t /*thread*/) { return **pool_; }

 private:
  Expected<std::unique_ptr<Pool>> pool_;
};

template <size_t kPageBytes>
class Granary : public GranaryPool<PagePool, kPageBytes> {
 public:
  static constexpr const char* kName = "granary";
  using GranaryPool<PagePool, kPageBytes>::GranaryPool;
};

template <size_t kPageBytes>
class GranaryLocal : public GranaryPool<LocalPagePool, kPageBytes> {
 public:
  static constexpr const char* kName = "granary_local";
  using GranaryPool<LocalPagePool, kPageBytes>::GranaryPool;
};

// boost::pool, unordered, with blocks from aligned memory, and with them its chunks.
template <size_t kPageBytes>
class BoostPool {
 public:
  static constexpr const char* kName = "boost_pool";
  static constexpr size_t kAlignment = kPageBytes;

  BoostPool(size_t /*thread_count*/, size_t /*live_pages*/) {}

  BoostPool& ForThread(size_t /*thread*/) { return *this; }
  void* Allocate() { return pool_.malloc(); }
  void Deallocate(void* page) { pool_.free(page); }

 private:
  struct Blocks {
    // The names are Boost's.
    using size_type = size_t;           // NOLINT(readability-identifier-naming)
    using difference_type = ptrdiff_t;  // NOLINT(readability-identifier-naming)
    static char* malloc(size_t bytes) {
      return static_cast<char*>(AlignedMemory<kPageBytes>(bytes));
    }
    static void free(char* block) { std::free(block); }
  };

  boost::pool<Blocks> pool_{kPageBytes};
};

// libfoonathan-memory's memory_pool. Its nodes begin behind a header of the block, and so are
// aligned as malloc's memory is.
template <size_t kPageBytes>
class Foonathan {
 public:
  static constexpr const char* kName = "foonathan";
  static constexpr size_t kAlignment = alignof(std::max_align_t);

  Foonathan(size_t thread_count, size_t live_pages)
      : pool_(kPageBytes, Pool::min_block_size(kPageBytes, thread_count * live_pages)) {}

  Foonathan& ForThread(size_t /*thread*/) { return *this; }
  void* Allocate() { return pool_.allocate_node(); }
  void Deallocate(void* page) { pool_.deallocate_node(page); }

 private:
  using Pool = foonathan::memory::memory_pool<foonathan::memory::node_pool>;

  Pool pool_;
};

// libstdc++'s pools.
template <class Resource, size_t kPageBytes>
class PmrPoolOf {
 public:
  static constexpr const char* kName = "pmr_pool";
  static constexpr size_t kAlignment = kPageBytes;

  PmrPoolOf(size_t /*thread_count*/, size_t /*live_pages*/) {}

  PmrPoolOf& ForThread(size_t /*thread*/) { return *this; }
  void* Allocate() { return pool_.allocate(kPageBytes, kPageBytes); }
  void Deallocate(void* page) { pool_.deallocate(page, kPageBytes, kPageBytes); }

 private:
  Resource pool_{{.max_blocks_per_chunk = 0, .largest_required_pool_block = kPageBytes}};
};

template <size_t kPageBytes>
using PmrPool = PmrPoolOf<std::pmr::unsynchronized_pool_resource, kPageBytes>;
template <size_t kPageBytes>
using PmrPoolSynchronized = PmrPoolOf<std::pmr::synchronized_pool_resource, kPageBytes>;

// The list that one writes first: the link to the next free page is in the free page.
template <size_t kPageBytes>
class FreeList {
 public:
  static constexpr const char* kName = "free_list";
  static constexpr size_t kAlignment = kPageBytes;

  FreeList(size_t /*thread_count*/, size_t /*live_pages*/) {}

  FreeList& ForThread(size_t /*thread*/) { return *this; }
  void* Allocate() {
    if (free_ == nullptr) [[unlikely]]
      Grow();
    Node* const node = free_;
    free_ = node->next;
    return node;
  }
  void Deallocate(void* page) { free_ = new (page) Node{free_}; }

 private:
  struct Node {
    Node* next;
  };
  static constexpr size_t kPagesPerBlock = 256;

  [[gnu::noinline]] void Grow() {
    auto* const block =
        static_cast<std::byte*>(AlignedMemory<kPageBytes>(kPagesPerBlock * kPageBytes));
    blocks_.emplace_back(block);
    for (size_t i = kPagesPerBlock; i > 0; --i) Deallocate(block + (i - 1) * kPageBytes);
  }

  Node* free_ = nullptr;
  std::vector<std::unique_ptr<void, FreeMemory>> blocks_;
};

// A pool for one thread, under one lock for all, as boost::singleton_pool has it.
template <class Pool>
class Locked {
 public:
  static constexpr size_t kAlignment = Pool::kAlignment;

  Locked(size_t thread_count, size_t live_pages) : pool_(thread_count, live_pages) {}

  Locked& ForThread(size_t /*thread*/) { return *this; }
  void* Allocate() {
    const std::lock_guard lock(mutex_);
    return pool_.Allocate();
  }
  void Deallocate(void* page) {
    const std::lock_guard lock(mutex_);
    pool_.Deallocate(page);
  }

 private:
  std::mutex mutex_;
  Pool pool_;
};

template <size_t kPageBytes>
class BoostPoolMutex : public Locked<BoostPool<kPageBytes>> {
 public:
  static constexpr const char* kName = "boost_pool_mutex";
  using Locked<BoostPool<kPageBytes>>::Locked;
};

template <size_t kPageBytes>
class FreeListMutex : public Locked<FreeList<kPageBytes>> {
 public:
  static constexpr const char* kName = "free_list_mutex";
  using Locked<FreeList<kPageBytes>>::Locked;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_POOL_POOLS_H_
