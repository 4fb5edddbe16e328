// The least that a pool of pages could do, written by hand: what no library can be faster than.
#ifndef GRANARY_BENCH_POOL_RAW_H_
#define GRANARY_BENCH_POOL_RAW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/pool/pools.h"

namespace granary::bench {

// A stack of page numbers for each thread, and no checks but that it is not empty. A page goes back
// to the thread that had it.
template <size_t kPageBytes>
class Raw {
 public:
  static constexpr const char* kName = "raw";
  static constexpr size_t kAlignment = kPageBytes;

  class alignas(64) Stack {
   public:
    explicit Stack(size_t page_count)
        : memory_(AlignedMemory<kPageBytes>(page_count * kPageBytes)),
          pages_(static_cast<std::byte*>(memory_.get())),
          free_(page_count),
          count_(page_count) {
      for (size_t i = 0; i < page_count; ++i) free_[i] = static_cast<uint32_t>(page_count - 1 - i);
    }

    void* Allocate() {
      if (count_ == 0) [[unlikely]]
        return nullptr;
      return pages_ + free_[--count_] * kPageBytes;
    }
    void Deallocate(void* page) {
      const auto offset = static_cast<size_t>(static_cast<std::byte*>(page) - pages_);
      free_[count_++] = static_cast<uint32_t>(offset / kPageBytes);
    }

   private:
    std::unique_ptr<void, FreeMemory> memory_;
    std::byte* pages_;
    std::vector<uint32_t> free_;
    size_t count_;
  };

  Raw(size_t thread_count, size_t live_pages) {
    for (size_t i = 0; i < thread_count; ++i) stacks_.emplace_back(live_pages);
  }

  Stack& ForThread(size_t thread) { return stacks_[thread]; }

 private:
  std::vector<Stack> stacks_;
};

// For pages that another thread frees: each thread hands out its pages round and round, and freeing
// does nothing. What is left is the ring.
template <size_t kPageBytes>
class RawRound {
 public:
  static constexpr const char* kName = "raw";
  static constexpr size_t kAlignment = kPageBytes;

  class alignas(64) Round {
   public:
    explicit Round(size_t page_count)
        : memory_(AlignedMemory<kPageBytes>(page_count * kPageBytes)),
          pages_(static_cast<std::byte*>(memory_.get())),
          page_count_(page_count) {}

    void* Allocate() {
      const size_t page = next_;
      next_ = page + 1 == page_count_ ? 0 : page + 1;
      return pages_ + page * kPageBytes;
    }
    void Deallocate(void* /*page*/) {}

   private:
    std::unique_ptr<void, FreeMemory> memory_;
    std::byte* pages_;
    size_t page_count_;
    size_t next_ = 0;
  };

  RawRound(size_t thread_count, size_t live_pages) {
    for (size_t i = 0; i < thread_count; ++i) rounds_.emplace_back(live_pages);
  }

  Round& ForThread(size_t thread) { return rounds_[thread]; }

 private:
  std::vector<Round> rounds_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_POOL_RAW_H_
