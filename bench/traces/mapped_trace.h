// A recording as one process hands it to another: an array that is mapped, not read, so that the
// malloc which is to replay it has neither allocated nor freed anything for it.
#ifndef GRANARY_BENCH_TRACES_MAPPED_TRACE_H_
#define GRANARY_BENCH_TRACES_MAPPED_TRACE_H_

#include <cstddef>
#include <span>
#include <string>

#include "bench/traces/rep_trace.h"

namespace granary::bench {

class MappedTrace {
 public:
  // Of a file that WriteMappable has written. kIo if it cannot be mapped, or is none.
  static Expected<MappedTrace> Open(const std::string& path);

  MappedTrace(MappedTrace&& other) noexcept;
  MappedTrace& operator=(MappedTrace&&) = delete;
  ~MappedTrace();

  size_t id_count() const;
  std::span<const RepOperation> operations() const;

 private:
  MappedTrace(void* data, size_t bytes) noexcept : data_(data), bytes_(bytes) {}

  void* data_;
  size_t bytes_;
};

// For programs of the same build. kIo if it cannot be written.
Expected<void> WriteMappable(const RepTrace& trace, int fd);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_TRACES_MAPPED_TRACE_H_
