// What a real program asked of malloc, read from a recording: see README.md for the format.
//
// Readers check everything that a replay relies on, so that a replay needs no checks of its own:
// every id is allocated once and before it is used, and nothing is used after it is freed.
#ifndef GRANARY_BENCH_TRACES_REP_TRACE_H_
#define GRANARY_BENCH_TRACES_REP_TRACE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory/error.h"

namespace granary::bench {

struct RepOperation {
  enum class Kind : uint8_t { kAllocate, kReallocate, kFree };

  Kind kind;
  // Below RepTrace::id_count.
  uint32_t id;
  // 0 for kFree.
  uint64_t bytes;
};

struct RepTrace {
  // The most payload that was alive at once, as the recording's header says.
  size_t peak_live_bytes = 0;
  size_t id_count = 0;
  // In order. Frees of a null pointer are left out.
  std::vector<RepOperation> operations;
};

// Parses the text of a recording. `name` is for the messages. kInvalidArgument with the line's
// number where the text does not keep to the format.
Expected<RepTrace> ParseRepTrace(std::string_view text, std::string_view name);

// Reads a recording, gzip-compressed or plain. kIo where the file cannot be read or is damaged, or
// is named .gz and is not.
Expected<RepTrace> ReadRepTrace(const std::string& path);

// The sizes of everything that was allocated, in order, for an allocator that frees nothing by
// itself: frees are left out, a reallocation is an allocation of the new size, and a size of 0
// is 1. kInvalidArgument if one needs more than 32 bits.
Expected<std::vector<uint32_t>> AllocationSizes(const RepTrace& trace);

// The directory of the recordings: below RUNFILES_DIR, beside the program that `argv0` names, or
// below the current directory, in this order. kIo with the places that were tried if it is in none
// of them.
Expected<std::string> FindTracesDirectory(const char* argv0);

// Takes --granary_traces=DIR out of a program's arguments; without it the directory is the one that
// is found, and one that holds nothing if none is.
std::string TakeTracesDirectory(int* argc, char** argv);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_TRACES_REP_TRACE_H_
