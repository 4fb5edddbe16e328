// Address space that takes memory where it is written.
#ifndef GRANARY_BENCH_REGION_MAPPING_H_
#define GRANARY_BENCH_REGION_MAPPING_H_

#include <sys/mman.h>

#include <cstddef>
#include <string>

#include "bench/program.h"

namespace granary::bench {

class Mapping {
 public:
  explicit Mapping(size_t bytes)
      : data_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
        bytes_(bytes) {
    if (data_ == MAP_FAILED) Die(std::to_string(bytes) + " bytes cannot be mapped");
  }
  ~Mapping() { ::munmap(data_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  void* data_;
  size_t bytes_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_MAPPING_H_
