// The pages that are read: what is in them, and memory for those who keep none of their own.
#ifndef GRANARY_BENCH_BUFFER_PAGES_H_
#define GRANARY_BENCH_BUFFER_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "bench/compaction/checked.h"
#include "memory/system_memory.h"

namespace granary::bench {

inline constexpr size_t kPageBytes = 4096;

// Where a page has its word. Not in the same place in all of them: a processor's cache has room for
// a few lines only whose addresses are whole pages apart.
constexpr size_t WordOffset(uint64_t page) { return page % 64 * 64; }

// What the word is; below 2^63.
constexpr uint64_t WordOf(uint64_t page) { return (page * 0x9e3779b97f4a7c15u + 1) >> 1; }

[[gnu::always_inline]] inline uint64_t ReadWord(const std::byte* bytes, uint64_t page) {
  uint64_t word;
  std::memcpy(&word, bytes + WordOffset(page), sizeof(word));
  return word;
}

inline void WriteWord(std::byte* bytes, uint64_t page) {
  const uint64_t word = WordOf(page);
  std::memcpy(bytes + WordOffset(page), &word, sizeof(word));
}

// Pages side by side, each with its word, in ordinary memory as granary's frames are.
class PageMemory {
 public:
  explicit PageMemory(size_t pages)
      : count_(pages),
        memory_(Surely(SystemMemory::Reserve({.reserve_bytes = pages * kPageBytes}))) {
    for (size_t page = 0; page < pages; ++page) WriteWord(At(page), page);
  }

  size_t count() const { return count_; }
  std::byte* At(size_t page) const { return memory_.data() + page * kPageBytes; }

 private:
  const size_t count_;
  SystemMemory memory_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_PAGES_H_
