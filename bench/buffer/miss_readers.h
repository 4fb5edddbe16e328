// Who reads pages of a file of which a quarter has room in memory of its own; the file is in the
// operating system's cache.
#ifndef GRANARY_BENCH_BUFFER_MISS_READERS_H_
#define GRANARY_BENCH_BUFFER_MISS_READERS_H_

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
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

// Where bare reads go to.
enum class Into : uint8_t {
  kOnePage,  // Always into the same memory of the thread.
  kFrames,   // One page after the other, into half as much memory as the pool has.
};

// The system call that brings a page, and nothing else.
template <Into kInto>
class BarePreadv {
 public:
  static constexpr const char* kName = kInto == Into::kOnePage ? "raw" : "raw_frames";

  BarePreadv(size_t pages, size_t frames) : file_(pages) {
    for (Memory& memory : memories_) {
      memory.pages.emplace(kInto == Into::kOnePage ? 1 : frames / kThreadsMax);
    }
  }

  std::string why_skipped() const { return {}; }

  uint64_t ReadAll(std::span<const uint32_t> pages) {
    std::unique_lock<std::mutex> lock;
    const PageMemory& to = TakeMemory(lock);
    uint64_t words = 0;
    size_t next = 0;
    for (const uint32_t page : pages) {
      std::byte* const bytes = to.At(next);
      if (++next == to.count()) next = 0;
      const iovec piece = {bytes, kPageBytes};
      const auto offset = static_cast<off_t>(page * kPageBytes);
      if (::preadv(file_.descriptor(), &piece, 1, offset) != static_cast<ssize_t>(kPageBytes)) {
        Die("page " + std::to_string(page) + " cannot be read");
      }
      words += ReadWord(bytes, page);
    }
    brought_.fetch_add(pages.size(), std::memory_order_relaxed);
    return words;
  }

  uint64_t brought() const { return brought_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kThreadsMax = 2;

  struct Memory {
    std::mutex mutex;
    std::optional<PageMemory> pages;
  };

  // One that no other thread has.
  const PageMemory& TakeMemory(std::unique_lock<std::mutex>& lock) {
    for (Memory& memory : memories_) {
      lock = std::unique_lock(memory.mutex, std::try_to_lock);
      if (lock.owns_lock()) return *memory.pages;
    }
    Die("there are more threads than memories");
  }

  const PageFileOnDisk file_;
  std::array<Memory, kThreadsMax> memories_;
  std::atomic<uint64_t> brought_ = 0;
};

using BareIntoOnePage = BarePreadv<Into::kOnePage>;
using BareIntoFrames = BarePreadv<Into::kFrames>;
using FilePoolPosix = FilePool<IoEngine::kPosix, false>;
using FilePoolPosixAhead = FilePool<IoEngine::kPosix, true>;
using FilePoolUringAhead = FilePool<IoEngine::kUring, true>;

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_MISS_READERS_H_
