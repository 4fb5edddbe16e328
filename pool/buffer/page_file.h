// PageFile: an open file of pages, what PosixPageStore and UringPageStore have in common. It knows
// how many pages there are, makes the file larger and smaller, syncs it, and does a run of pages
// with vectored calls. The options are for everybody; the class is internal to pool/buffer.
#ifndef GRANARY_POOL_BUFFER_PAGE_FILE_H_
#define GRANARY_POOL_BUFFER_PAGE_FILE_H_

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>

#include "memory/error.h"
#include "memory/file.h"
#include "memory/file_calls.h"
#include "pool/buffer/page_store.h"

namespace granary {

struct PageFileOptions {
  std::string path = {};
  // A power of two from 512 to 1 MiB.
  size_t page_bytes = 4096;
  // Makes the file, durably, if there is none. Its folder has to be there.
  bool create = false;
  // Writes, Extend and Truncate are refused.
  bool read_only = false;
  // Past the operating system's cache: O_DIRECT.
  bool direct = false;
  // Keeps others from opening the file as long: everybody, or, if it is only read here, those who
  // write. The lock is advice (flock): it binds who asks for it.
  bool lock = true;
  // Extend sets the disk's space aside, where the file system can, so that no later write of those
  // pages fails for want of it; and no Sync has a new size to write for each page.
  bool reserve_space = true;
  // Null for the real ones; a test passes its own, which outlive the store.
  FileCalls* file_calls = nullptr;
};

class PageFile {
 public:
  // The pages of one call. More would save nothing: 256 of 4 KiB are a megabyte.
  static constexpr size_t kRunPagesMax = 256;

  // kInvalidArgument: no page size. kUnsupported: `direct` where the file system cannot, or where
  // its unit is larger than a page. kBusy: somebody has the file. kIo: the system says no. After an
  // error there is no file that was not there before, unless taking it back failed as well.
  static Expected<std::unique_ptr<PageFile>> Open(const PageFileOptions& options);

  PageFile(const PageFile&) = delete;
  PageFile& operator=(const PageFile&) = delete;
  ~PageFile();

  size_t page_bytes() const noexcept { return page_bytes_; }
  const std::string& path() const noexcept { return file_.path(); }
  int descriptor() const noexcept { return file_.descriptor(); }
  // batch_pages_max is that of one call.
  const IoLimits& limits() const noexcept { return limits_; }

  uint64_t PageCount() const noexcept { return count_.load(std::memory_order_acquire); }
  // The largest count that offsets can express.
  uint64_t PageCountMax() const noexcept { return INT64_MAX / page_bytes_; }

  // A page of a batch that cannot be done, and why; 0 if it can be tried.
  int WhyNot(const PageRead& read) const noexcept { return read.page < PageCount() ? 0 : ENODATA; }
  int WhyNot(const PageWrite& write) const noexcept;

  // Does a run of at most kRunPagesMax pages, none of which WhyNot refuses, whatever comes in
  // between, and sets their results. What fails together is tried again page by page, so that each
  // has its own result.
  void Transfer(std::span<PageRead> run) noexcept;
  void Transfer(std::span<PageWrite> run) noexcept;

  // How many of the `bytes` that the kernel did count: under O_DIRECT, whole units of the file.
  size_t WholeUnits(size_t bytes) const noexcept { return bytes & ~(limits_.offset_alignment - 1); }

  // Pages below `count` have been written.
  void RaiseCount(uint64_t count) noexcept;

  // Stands around the writing of pages up to `last_page`. If some of them are new it keeps Extend
  // and Truncate away meanwhile, and is refused if what an earlier write that failed left behind
  // the last page cannot be cleared.
  class Growth {
   public:
    // Of nothing: around the reading of pages.
    Growth() noexcept = default;
    Growth(PageFile& file, uint64_t last_page) noexcept;
    // 0, or why no page may be added.
    int error_number() const noexcept { return error_number_; }

   private:
    std::shared_lock<std::shared_mutex> lock_;
    int error_number_ = 0;
  };

  Expected<void> Sync();
  Expected<void> Extend(uint64_t pages);
  Expected<void> Truncate(uint64_t pages);

 private:
  PageFile(File file, const PageFileOptions& options, const IoLimits& limits, uint64_t bytes);

  static Expected<File> OpenOrMake(const PageFileOptions& options, FileCalls& calls,
                                   bool* was_made);
  static Expected<std::unique_ptr<PageFile>> Check(File file, const PageFileOptions& options);
  static Expected<IoLimits> LimitsOf(const File& file, const PageFileOptions& options);

  template <class Page>
  void TransferRun(std::span<Page> run) noexcept;
  template <class Page>
  int TransferPage(Page& page, size_t* done) noexcept;
  template <class Page>
  int TransferPages(std::span<Page> run, size_t* done) noexcept;
  template <class Page>
  int Advance(ssize_t bytes, size_t total, size_t* done) const noexcept;
  Expected<void> RefuseIfReadOnly(const char* where) const;
  // Under `growth_`, alone.
  Expected<void> ClearTail();
  Expected<void> Allocate(uint64_t pages);

  const File file_;
  const size_t page_bytes_;
  const bool read_only_;
  const bool is_locked_;
  const bool reserve_space_;
  const IoLimits limits_;
  // Whole pages. Raised after the page was written: whoever sees the count may read the page.
  std::atomic<uint64_t> count_;
  // Behind the last page are bytes, of a page that was written in part or of a file that was no
  // multiple of a page. They must not show in a page that is to read as zeros.
  std::atomic<bool> has_tail_;
  // Shared by who writes new pages, alone for who sets the size.
  std::shared_mutex growth_;
  // One Sync at a time: two in the kernel at once might get one error between them.
  std::mutex sync_mutex_;
  std::optional<Error> sync_error_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_PAGE_FILE_H_
