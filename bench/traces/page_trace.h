// Which pages a real system asked for, read from a recording: see README.md for the formats.
#ifndef GRANARY_BENCH_TRACES_PAGE_TRACE_H_
#define GRANARY_BENCH_TRACES_PAGE_TRACE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/error.h"

namespace granary::bench {

enum class PageTraceFormat : uint8_t {
  kLis,    // Text, `START BLOCKS 0 REQUEST` a line.
  kLines,  // Text, the number of a page a line.
  kBe32,   // Numbers of pages, big-endian, 4 bytes each.
  kBe64,   // The same, 8 bytes each.
};

// "lis", "lines", "be32", "be64".
const char* PageTraceFormatName(PageTraceFormat format);
// Nothing of a name that is none of those.
std::optional<PageTraceFormat> PageTraceFormatOf(std::string_view name);

struct PageTraceOptions {
  PageTraceFormat format = PageTraceFormat::kLis;
  // Of kLis: what START and BLOCKS count, and what is asked for. A line asks once for each page
  // that its blocks lie in. At least 1.
  uint64_t block_bytes = 512;
  uint64_t page_bytes = 4096;
};

// Reads a recording: the pages in the order in which they were asked for, at least one. A name that
// ends in .gz or .zst is of a compressed file. The file is read and unpacked piece by piece; what
// stays in memory is the result.
//
// kInvalidArgument with the line, or the byte of the unpacked file, where it does not keep to its
// format. kIo where it cannot be read or unpacked.
Expected<std::vector<uint64_t>> ReadPageTrace(const std::string& path,
                                              const PageTraceOptions& options);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_TRACES_PAGE_TRACE_H_
