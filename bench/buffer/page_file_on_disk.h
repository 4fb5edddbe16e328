// A file of pages, each with its word, in a new folder where TMPDIR says; it goes with this object.
#ifndef GRANARY_BENCH_BUFFER_PAGE_FILE_ON_DISK_H_
#define GRANARY_BENCH_BUFFER_PAGE_FILE_ON_DISK_H_

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "bench/buffer/pages.h"
#include "bench/compaction/temporary_folder.h"
#include "bench/program.h"

namespace granary::bench {

class PageFileOnDisk {
 public:
  explicit PageFileOnDisk(size_t pages)
      : path_(folder_.PathOf("pages")),
        descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) Die("no file can be made at " + path_);
    std::vector<std::byte> run(std::min(pages, kRunPages) * kPageBytes);
    for (size_t first = 0; first < pages; first += kRunPages) {
      const size_t count = std::min(kRunPages, pages - first);
      std::ranges::fill(run, std::byte{0});
      for (size_t i = 0; i < count; ++i) WriteWord(run.data() + i * kPageBytes, first + i);
      const size_t bytes = count * kPageBytes;
      const auto offset = static_cast<off_t>(first * kPageBytes);
      if (::pwrite(descriptor_, run.data(), bytes, offset) != static_cast<ssize_t>(bytes)) {
        Die("page " + std::to_string(first) + " cannot be written to " + path_);
      }
    }
  }
  ~PageFileOnDisk() { ::close(descriptor_); }
  PageFileOnDisk(const PageFileOnDisk&) = delete;
  PageFileOnDisk& operator=(const PageFileOnDisk&) = delete;

  // All of it is on the disk, and none of it in the operating system's cache.
  void Sync() const {
    if (::fsync(descriptor_) != 0 || ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED) != 0) {
      Die(path_ + " cannot be synced");
    }
  }

  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }

 private:
  static constexpr size_t kRunPages = 256;

  const TemporaryFolder folder_;
  const std::string path_;
  const int descriptor_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_PAGE_FILE_ON_DISK_H_
