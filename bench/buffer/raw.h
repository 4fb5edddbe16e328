// The least that finding a page costs: its address is in an array.
#ifndef GRANARY_BENCH_BUFFER_RAW_H_
#define GRANARY_BENCH_BUFFER_RAW_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/buffer/pages.h"

namespace granary::bench {

class Raw {
 public:
  static constexpr const char* kName = "raw";
  static constexpr size_t kThreadsMax = SIZE_MAX;

  explicit Raw(size_t pages) : memory_(pages) {
    for (size_t page = 0; page < pages; ++page) addresses_.push_back(memory_.At(page));
  }

  [[gnu::always_inline]] uint64_t Read(uint64_t page) { return ReadWord(addresses_[page], page); }

 private:
  PageMemory memory_;
  std::vector<const std::byte*> addresses_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_RAW_H_
