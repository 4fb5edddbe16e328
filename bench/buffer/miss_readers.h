// Who reads pages of a file of which a quarter has room in memory of its own; the file is in the
// operating system's cache.
#ifndef GRANARY_BENCH_BUFFER_MISS_READERS_H_
#define GRANARY_BENCH_BUFFER_MISS_READERS_H_

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "bench/buffer/page_file_on_disk.h"
#include "bench/buffer/pages.h"
#include "bench/buffer/pool_on_file.h"
#include "bench/program.h"
#include "pool/buffer/open_page_store.h"

namespace granary::bench {

// Pages that are brought ahead of need at once.
inline constexpr size_t kAheadPages = 32;

// granary's pool over a file, as it is by default.
template <IoEngine kEngine, bool kAhead>
class FilePool : public PoolOnFile {
 public:
  static constexpr const char* kName = kEngine == IoEngine::kUring ? "granary_uring" : "granary";

  FilePool(size_t pages, size_t frames) : PoolOnFile(pages, frames) {
    Open({.file = {.read_only = true}, .engine = kEngine});
  }

  // Reads the word of each; returns their sum.
  uint64_t ReadAll(std::span<const uint32_t> pages) {
    if constexpr (kAhead) return ReadAhead<kAheadPages>(pages);
    uint64_t words = 0;
    for (const uint32_t page : pages) words += ReadOne(page);
    return words;
  }
};

// The system call that brings a page, and nothing else: always into the same memory of the thread.
class BarePreadv {
 public:
  static constexpr const char* kName = "raw";

  BarePreadv(size_t pages, size_t /*frames*/) : file_(pages) {}

  std::string why_skipped() const { return {}; }

  uint64_t ReadAll(std::span<const uint32_t> pages) {
    alignas(kPageBytes) std::array<std::byte, kPageBytes> buffer;
    uint64_t words = 0;
    for (const uint32_t page : pages) {
      const iovec piece = {buffer.data(), buffer.size()};
      const auto offset = static_cast<off_t>(page * kPageBytes);
      if (::preadv(file_.descriptor(), &piece, 1, offset) != static_cast<ssize_t>(kPageBytes)) {
        Die("page " + std::to_string(page) + " cannot be read");
      }
      words += ReadWord(buffer.data(), page);
    }
    brought_.fetch_add(pages.size(), std::memory_order_relaxed);
    return words;
  }

  uint64_t brought() const { return brought_.load(std::memory_order_relaxed); }

 private:
  const PageFileOnDisk file_;
  std::atomic<uint64_t> brought_ = 0;
};

using FilePoolPosix = FilePool<IoEngine::kPosix, false>;
using FilePoolPosixAhead = FilePool<IoEngine::kPosix, true>;
using FilePoolUringAhead = FilePool<IoEngine::kUring, true>;

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_MISS_READERS_H_
