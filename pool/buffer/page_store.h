// PageStore: where the pages of a file are when they are in no frame.
//
// Choose PosixPageStore for a file; UringPageStore for one that is read or written in batches on a
// device that does many things at once; OpenPageStore (open_page_store.h) to have the second where
// the kernel has io_uring, and the first elsewhere. MemoryPageStore has no file; FaultPageStore
// (testing/) is any of them on a bad day.
//
//   auto store = granary::OpenPageStore({.file = {.path = "data", .create = true}});
//   if (!store) return tl::unexpected(store.error());
//   granary::PageRead pages[] = {{.page = 7, .bytes = frame}, {.page = 8, .bytes = other}};
//   store->store->Read(pages);
//   if (pages[0].error_number != 0) ...
//
// What a store knows of a page is its number: what is in it, and whether that is right, is for
// PageCodec.
//
// Batches. Read and Write take any number of pages and return when all are done; each page has its
// own result, and a page that fails harms no other. Pages are done in any order, at the same time
// where the store can. Neighbours in the span whose page numbers are neighbours too go to the
// kernel in one call: sort what is not sorted already.
//
// Durability. What was written is on the disk when a Sync that began after it has returned without
// an error. When a Sync fails, nobody knows what is on the disk, and a second one that succeeds
// would not tell (fsyncgate, PostgreSQL 2018: the kernel takes the pages that it could not write
// for clean). So a store whose Sync failed refuses every later one; the engine opens the file
// again, and recovers.
//
// Threading. Any thread may call anything at any time. What overlaps in time on one page, and is
// not reading alone, is done in any order, and a read may find a mixture: whoever has a page in a
// frame orders that. So is a Truncate and the use of the pages that it takes away.
#ifndef GRANARY_POOL_BUFFER_PAGE_STORE_H_
#define GRANARY_POOL_BUFFER_PAGE_STORE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "memory/error.h"

namespace granary {

// One page of a batch. `bytes` are page_bytes() of them, aligned to Limits().memory_alignment.
struct PageRead {
  uint64_t page = 0;
  std::byte* bytes = nullptr;
  // Set by Read: 0, the page is in `bytes`; ENODATA, there is no such page; else the errno of what
  // went wrong, EIO if the file ends within the page. After an error `bytes` hold anything.
  int error_number = 0;
};

// The same; `bytes` are not changed.
struct PageWrite {
  uint64_t page = 0;
  const std::byte* bytes = nullptr;
  // Set by Write: 0, or the errno. After an error the page holds the old bytes, the new ones, or
  // some of each.
  int error_number = 0;
};

// Reads that are found while others are under way. Both are called by the thread that reads, and
// call nothing of the store, which may have a lock.
class PageReads {
 public:
  virtual ~PageReads() = default;

  // The next ones, which stay where they are until they are done; none if there are none before
  // some of those that came have been done. If all have, that is the end.
  virtual std::span<PageRead> Next() noexcept = 0;
  // Some of a span that came from Next(), side by side there, are done: see their error_number.
  virtual void Done(std::span<PageRead> pages) noexcept = 0;
};

// What a store wants of its caller, and gains from.
struct IoLimits {
  // A batch of more pages is done as well, and gains nothing over several of so many.
  size_t batch_pages_max = 1;
  // Of PageRead::bytes and PageWrite::bytes; a power of two, 1 where there is no need.
  size_t memory_alignment = 1;
  // The unit of the file; page_bytes() is a multiple of it.
  size_t offset_alignment = 1;
  // Whether pages go past the operating system's cache (O_DIRECT).
  bool is_direct = false;
};

// The pages of one file.
class PageStore {
 public:
  static constexpr size_t kPageBytesMin = 512;
  static constexpr size_t kPageBytesMax = size_t{1} << 20;

  // Whether pages may have this size: a power of two within these bounds.
  static constexpr bool IsPageSize(size_t bytes) noexcept {
    return std::has_single_bit(bytes) && bytes >= kPageBytesMin && bytes <= kPageBytesMax;
  }

  PageStore(const PageStore&) = delete;
  PageStore& operator=(const PageStore&) = delete;
  // Nobody is in a call. Syncs nothing.
  virtual ~PageStore() = default;

  size_t page_bytes() const noexcept { return page_bytes_; }

  // Reads each page of the batch, or says in its error_number why not. The pages may be any, also
  // the same one twice.
  virtual void Read(std::span<PageRead> pages) noexcept = 0;

  // The same for all that comes from `reads`: whoever has more pages than one batch's keeps the
  // device busy from the first to the last.
  virtual void ReadEach(PageReads& reads) noexcept {
    for (auto some = reads.Next(); !some.empty(); some = reads.Next()) {
      Read(some);
      reads.Done(some);
    }
  }

  // Writes each page, or says why not. A page at or beyond PageCount() makes the file larger; those
  // between that were never written read as zeros.
  virtual void Write(std::span<PageWrite> pages) noexcept = 0;

  // Returns when all that was written before is on the disk, sizes included. kIo, now and from then
  // on: see above.
  virtual Expected<void> Sync() = 0;

  // How many whole pages the file has: the number of its last one, and 1. What other processes do
  // to the file is not seen.
  virtual uint64_t PageCount() const noexcept = 0;

  // Makes the file at least so many pages large, if it is not; the new ones read as zeros. After an
  // error it has as many pages as before.
  virtual Expected<void> Extend(uint64_t pages) = 0;

  // Makes it at most so many pages large. What is cut off is gone, and reads as zeros should the
  // file grow again. After an error it is as before.
  virtual Expected<void> Truncate(uint64_t pages) = 0;

  // The same for the store's whole life.
  virtual IoLimits Limits() const noexcept = 0;

  // The memory that most reads and writes will be of, the frames of a pool: a hint, which takes the
  // place of the one before; an empty span takes it back. Returns why it is of no use, for a log,
  // or nothing.
  //
  // A store may pin this memory: all of it is brought then, and its pages must not go back to the
  // system (Decommit, madvise, PagePool::Trim) before the hint is taken back, because what is read
  // would go to pages that nobody sees any more. It stays mapped as long.
  virtual std::string RegisterMemory(std::span<std::byte> /*memory*/) { return {}; }

  // What messages call it: the path of the file.
  virtual std::string_view name() const noexcept = 0;

 protected:
  // `page_bytes` is a page size.
  explicit PageStore(size_t page_bytes) noexcept : page_bytes_(page_bytes) {}

 private:
  const size_t page_bytes_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PAGE_STORE_H_
