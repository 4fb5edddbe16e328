// A file's bytes one after the other, whether it is plain, .gz or .zst.
#ifndef GRANARY_BENCH_TRACES_UNPACKED_FILE_H_
#define GRANARY_BENCH_TRACES_UNPACKED_FILE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "memory/error.h"

namespace granary::bench {

class UnpackedFile {
 public:
  // By the end of its name. kIo if it cannot be opened.
  static Expected<std::unique_ptr<UnpackedFile>> Open(const std::string& path);

  virtual ~UnpackedFile() = default;
  UnpackedFile(const UnpackedFile&) = delete;
  UnpackedFile& operator=(const UnpackedFile&) = delete;

  // Up to buffer.size() bytes, which is not 0; none at the end alone. kIo if it cannot be read, is
  // damaged, cut short, or not packed as its name says.
  virtual Expected<size_t> Read(std::span<char> buffer) = 0;

 protected:
  UnpackedFile() = default;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_TRACES_UNPACKED_FILE_H_
