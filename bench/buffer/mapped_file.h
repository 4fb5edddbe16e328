// A file in the operating system's cache, mapped: what an engine has that leaves caching to it.
#ifndef GRANARY_BENCH_BUFFER_MAPPED_FILE_H_
#define GRANARY_BENCH_BUFFER_MAPPED_FILE_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/buffer/page_file_on_disk.h"
#include "bench/buffer/pages.h"
#include "bench/program.h"

namespace granary::bench {

class MappedFile {
 public:
  static constexpr const char* kName = "mmap";
  static constexpr size_t kThreadsMax = SIZE_MAX;

  explicit MappedFile(size_t pages) : bytes_(pages * kPageBytes), file_(pages) {
    // Every page is in the process's tables from the start.
    void* const mapped =
        ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED | MAP_POPULATE, file_.descriptor(), 0);
    if (mapped == MAP_FAILED) Die("a file of " + std::to_string(bytes_) + " B cannot be mapped");
    data_ = static_cast<const std::byte*>(mapped);
  }
  ~MappedFile() { ::munmap(const_cast<std::byte*>(data_), bytes_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[gnu::always_inline]] uint64_t Read(uint64_t page) {
    return ReadWord(data_ + page * kPageBytes, page);
  }

 private:
  const size_t bytes_;
  const PageFileOnDisk file_;
  const std::byte* data_ = nullptr;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_MAPPED_FILE_H_
