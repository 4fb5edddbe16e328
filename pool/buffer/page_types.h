// What a page of a file, a frame of the pool and a place in the log are called.
#ifndef GRANARY_POOL_BUFFER_PAGE_TYPES_H_
#define GRANARY_POOL_BUFFER_PAGE_TYPES_H_

#include <cstddef>
#include <cstdint>

namespace granary {

// A file that is attached to a buffer pool.
using FileId = uint32_t;

// A page: the file, and its number there, from 0.
struct PageId {
  FileId file = 0;
  uint64_t page = 0;

  friend bool operator==(const PageId&, const PageId&) = default;
  // By file, then by page.
  friend bool operator<(const PageId& a, const PageId& b) noexcept {
    return a.file != b.file ? a.file < b.file : a.page < b.page;
  }
};

// A page in one word, unequal for any two pages: 24 bits of the file, 40 of the page. So a pool has
// up to 2^24 files of up to 2^40 pages, 4 PiB at 4 KiB.
using PageKey = uint64_t;
inline constexpr unsigned kPageNumberBits = 40;
inline constexpr uint64_t kPagesMax = uint64_t{1} << kPageNumberBits;
inline constexpr FileId kFilesMax = FileId{1} << (64 - kPageNumberBits);

constexpr PageKey KeyOf(PageId id) noexcept {
  return PageKey{id.file} << kPageNumberBits | id.page;
}
constexpr PageId PageOf(PageKey key) noexcept {
  return {static_cast<FileId>(key >> kPageNumberBits), key & (kPagesMax - 1)};
}

// A frame of the pool: which of them, from 0.
using FrameIndex = uint32_t;

// A place in the write-ahead log; 0 is before all. A page may reach its file when the log is
// durable up to the page's own.
using Lsn = uint64_t;

// What the caller is going to do with a page.
enum class Access : uint8_t {
  kNormal,    // Nothing is known.
  kScan,      // One of many that are read one after the other, each once.
  kOnce,      // This time, and not again soon.
  kWillNeed,  // Again, soon: prefetched, say.
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PAGE_TYPES_H_
