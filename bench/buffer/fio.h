// fio, the tool that tells what a disk can do, run as a program of its own.
#ifndef GRANARY_BENCH_BUFFER_FIO_H_
#define GRANARY_BENCH_BUFFER_FIO_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace granary::bench {

struct FioReads {
  uint64_t reads = 0;
  // From the first one's begin to the last one's end, as fio says; not of its start.
  double seconds = 0;
  // Why there are none, or nothing.
  std::string why_not;
};

// So many random reads of pages of the file by each of `threads`, past the operating system's
// cache, by io_uring, `depth` of each in flight.
FioReads RunFio(const std::string& path, size_t threads, size_t reads, unsigned depth);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_FIO_H_
