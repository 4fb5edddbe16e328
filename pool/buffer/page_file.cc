#include "pool/buffer/page_file.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

#include "pool/buffer/run_pieces.h"

namespace granary {

namespace {

// What O_DIRECT asks for where the kernel does not tell: no disk has larger sectors.
constexpr size_t kDirectUnitBytes = 4096;

tl::unexpected<Error> Failed(ErrorCode code, const std::string& path, const std::string& what,
                             const char* where, int system_errno = 0) {
  std::string message = path + ": " + what;
  if (system_errno != 0) message += std::string(": ") + std::strerror(system_errno);
  return tl::unexpected(Error{
      .code = code, .message = std::move(message), .where = where, .system_errno = system_errno});
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + (slash == 0 ? 1 : 0));
}

// A name is durable when its folder is.
Expected<void> SyncFolderOf(const std::string& path, FileCalls& calls) {
  const auto folder = File::Open(FolderOf(path), O_RDONLY | O_DIRECTORY, 0, calls);
  if (!folder) return tl::unexpected(folder.error());
  return folder->Sync();
}

}  // namespace

// --- Opening ------------------------------------------------------------------------------------

Expected<std::unique_ptr<PageFile>> PageFile::Open(const PageFileOptions& options) {
  constexpr const char* kWhere = "PageFile::Open";
  if (!PageStore::IsPageSize(options.page_bytes)) {
    return Failed(ErrorCode::kInvalidArgument, options.path,
                  "pages of " + std::to_string(options.page_bytes) +
                      " bytes; a power of two from " + std::to_string(PageStore::kPageBytesMin) +
                      " to " + std::to_string(PageStore::kPageBytesMax) + " is asked for",
                  kWhere);
  }
  if (options.create && options.read_only) {
    return Failed(ErrorCode::kInvalidArgument, options.path,
                  "cannot be both made and opened for reading only", kWhere);
  }
  FileCalls& calls = options.file_calls != nullptr ? *options.file_calls : FileCalls::Real();
  bool was_made = false;
  auto file = OpenOrMake(options, calls, &was_made);
  Expected<std::unique_ptr<PageFile>> opened =
      file ? Check(std::move(*file), options) : tl::unexpected(std::move(file.error()));
  if (!opened && was_made) (void)calls.Unlink(options.path.c_str());
  return opened;
}

Expected<File> PageFile::OpenOrMake(const PageFileOptions& options, FileCalls& calls,
                                    bool* was_made) {
  const int flags = (options.read_only ? O_RDONLY : O_RDWR) | (options.direct ? O_DIRECT : 0);
  auto file = File::Open(options.path, flags, 0, calls);
  if (!file && options.create && file.error().system_errno == ENOENT) {
    // Without O_DIRECT: a file system that does not have it may make the file all the same.
    const auto made = File::Open(options.path, O_RDWR | O_CREAT | O_EXCL, 0644, calls);
    *was_made = made.has_value();
    if (!made && made.error().system_errno != EEXIST) return tl::unexpected(made.error());
    if (made) {
      if (auto synced = SyncFolderOf(options.path, calls); !synced) {
        return tl::unexpected(std::move(synced.error()));
      }
    }
    file = File::Open(options.path, flags, 0, calls);
  }
  if (!file && options.direct && file.error().system_errno == EINVAL) {
    return Failed(ErrorCode::kUnsupported, options.path,
                  "its file system has no direct I/O (O_DIRECT)", "PageFile::Open", EINVAL);
  }
  return file;
}

Expected<std::unique_ptr<PageFile>> PageFile::Check(File file, const PageFileOptions& options) {
  if (options.lock) {
    if (auto locked = file.Lock(/*is_exclusive=*/!options.read_only); !locked) {
      return tl::unexpected(std::move(locked.error()));
    }
  }
  const auto limits = LimitsOf(file, options);
  if (!limits) return tl::unexpected(limits.error());
  const auto bytes = file.Size();
  if (!bytes) return tl::unexpected(bytes.error());
  return std::unique_ptr<PageFile>(new PageFile(std::move(file), options, *limits, *bytes));
}

Expected<IoLimits> PageFile::LimitsOf(const File& file, const PageFileOptions& options) {
  constexpr const char* kWhere = "PageFile::Open";
  if (!options.direct) return IoLimits{.batch_pages_max = kRunPagesMax};
  DirectAlignment alignment;
  if (file.calls().DirectAlignmentOf(file.descriptor(), &alignment) != 0) {
    alignment = {.memory_bytes = kDirectUnitBytes, .offset_bytes = kDirectUnitBytes};
  }
  if (alignment.memory_bytes == 0 || alignment.offset_bytes == 0) {
    return Failed(ErrorCode::kUnsupported, file.path(),
                  "the kernel says that it cannot be read and written directly (O_DIRECT)", kWhere);
  }
  if (options.page_bytes % alignment.offset_bytes != 0) {
    return Failed(ErrorCode::kUnsupported, file.path(),
                  "direct I/O is in units of " + std::to_string(alignment.offset_bytes) +
                      " bytes, of which a page of " + std::to_string(options.page_bytes) +
                      " bytes is no multiple",
                  kWhere);
  }
  return IoLimits{.batch_pages_max = kRunPagesMax,
                  .memory_alignment = alignment.memory_bytes,
                  .offset_alignment = alignment.offset_bytes,
                  .is_direct = true};
}

PageFile::PageFile(File file, const PageFileOptions& options, const IoLimits& limits,
                   uint64_t bytes)
    : file_(std::move(file)),
      page_bytes_(options.page_bytes),
      read_only_(options.read_only),
      is_locked_(options.lock),
      reserve_space_(options.reserve_space),
      limits_(limits),
      count_(bytes / options.page_bytes),
      has_tail_(bytes % options.page_bytes != 0) {}

// An io_uring that had the file gives it up some time after it is closed, and the lock with it:
// whoever opens the file next shall not have to wait for that.
PageFile::~PageFile() {
  if (is_locked_) (void)file_.calls().Unlock(descriptor());
}

// --- Reading and writing ------------------------------------------------------------------------

int PageFile::WhyNot(const PageWrite& write) const noexcept {
  if (read_only_) return EBADF;
  return write.page < PageCountMax() ? 0 : EFBIG;
}

void PageFile::Transfer(std::span<PageRead> run) noexcept { TransferRun(run); }

void PageFile::Transfer(std::span<PageWrite> run) noexcept { TransferRun(run); }

template <class Page>
void PageFile::TransferRun(std::span<Page> run) noexcept {
  constexpr bool kWrites = std::is_same_v<Page, PageWrite>;
  size_t done = 0;
  const int error_number =
      run.size() == 1 ? TransferPage(run[0], &done) : TransferPages(run, &done);
  const size_t whole = done / page_bytes_;
  for (Page& page : run.first(whole)) page.error_number = 0;
  if constexpr (kWrites) {
    if (whole != 0) RaiseCount(run[whole - 1].page + 1);
  }
  const std::span<Page> rest = run.subspan(whole);
  if (rest.size() > 1) {
    // Only calls of their own tell which of them fail.
    for (size_t i = 0; i < rest.size(); ++i) TransferRun(rest.subspan(i, 1));
  } else if (!rest.empty()) {
    rest[0].error_number = error_number;
    if constexpr (kWrites) {
      if (rest[0].page >= PageCount()) has_tail_.store(true, std::memory_order_release);
    }
  }
}

// Returns 0 and all bytes as `done`, or the errno after some of them.
template <class Page>
int PageFile::TransferPage(Page& page, size_t* done) noexcept {
  int error_number = 0;
  while (error_number == 0 && *done < page_bytes_) {
    const auto offset = static_cast<off_t>(page.page * page_bytes_ + *done);
    const size_t left = page_bytes_ - *done;
    ssize_t bytes = 0;
    if constexpr (std::is_same_v<Page, PageRead>) {
      bytes = file_.calls().ReadAt(descriptor(), page.bytes + *done, left, offset);
    } else {
      bytes = file_.calls().WriteAt(descriptor(), page.bytes + *done, left, offset);
    }
    error_number = Advance<Page>(bytes, page_bytes_, done);
  }
  return error_number;
}

template <class Page>
int PageFile::TransferPages(std::span<Page> run, size_t* done) noexcept {
  iovec pieces[kRunPagesMax];
  const size_t total = run.size() * page_bytes_;
  int error_number = 0;
  while (error_number == 0 && *done < total) {
    const int count = PiecesOf(run, page_bytes_, *done, pieces);
    const auto offset = static_cast<off_t>(run[0].page * page_bytes_ + *done);
    ssize_t bytes = 0;
    if constexpr (std::is_same_v<Page, PageRead>) {
      bytes = file_.calls().ReadVectorAt(descriptor(), pieces, count, offset);
    } else {
      bytes = file_.calls().WriteVectorAt(descriptor(), pieces, count, offset);
    }
    error_number = Advance<Page>(bytes, total, done);
  }
  return error_number;
}

// What a call did that answered `bytes`: more is done, or the errno.
template <class Page>
int PageFile::Advance(ssize_t bytes, size_t total, size_t* done) const noexcept {
  if (bytes < 0) return errno == EINTR ? 0 : errno;
  // Of a page that the count says is there; or a write of nothing, which POSIX does not explain.
  if (bytes == 0) return std::is_same_v<Page, PageRead> && *done % page_bytes_ == 0 ? ENODATA : EIO;
  const size_t reached = *done + static_cast<size_t>(bytes);
  const size_t next = reached == total ? total : WholeUnits(reached);
  if (next == *done) return EIO;
  *done = next;
  return 0;
}

void PageFile::RaiseCount(uint64_t count) noexcept {
  uint64_t seen = count_.load(std::memory_order_relaxed);
  // Release: a page below the count has been written. A failed exchange has nothing to publish.
  while (seen < count && !count_.compare_exchange_weak(seen, count, std::memory_order_release,
                                                       std::memory_order_relaxed)) {
  }
}

// --- The size -----------------------------------------------------------------------------------

PageFile::Growth::Growth(PageFile& file, uint64_t last_page) noexcept {
  if (last_page < file.PageCount() || file.read_only_) return;
  for (;;) {
    lock_ = std::shared_lock(file.growth_);
    if (!file.has_tail_.load(std::memory_order_acquire)) return;
    lock_.unlock();
    const std::unique_lock alone(file.growth_);
    if (const auto cleared = file.ClearTail(); !cleared) {
      error_number_ = cleared.error().system_errno;
      return;
    }
  }
}

Expected<void> PageFile::ClearTail() {
  if (!has_tail_.load(std::memory_order_relaxed)) return {};
  if (auto cut = file_.Truncate(PageCount() * page_bytes_); !cut) return cut;
  has_tail_.store(false, std::memory_order_release);
  return {};
}

Expected<void> PageFile::RefuseIfReadOnly(const char* where) const {
  if (!read_only_) return {};
  return Failed(ErrorCode::kInvalidArgument, path(), "is open for reading only", where);
}

Expected<void> PageFile::Extend(uint64_t pages) {
  constexpr const char* kWhere = "PageStore::Extend";
  if (auto may = RefuseIfReadOnly(kWhere); !may) return may;
  if (pages > PageCountMax()) {
    return Failed(ErrorCode::kInvalidArgument, path(),
                  std::to_string(pages) + " pages of " + std::to_string(page_bytes_) +
                      " bytes; no file has more than " + std::to_string(PageCountMax()),
                  kWhere);
  }
  const std::unique_lock alone(growth_);
  if (pages <= PageCount()) return {};
  if (auto cleared = ClearTail(); !cleared) return cleared;
  if (auto allocated = Allocate(pages); !allocated) {
    // It may have come a part of the way.
    has_tail_.store(true, std::memory_order_release);
    (void)ClearTail();
    return allocated;
  }
  count_.store(pages, std::memory_order_release);
  return {};
}

Expected<void> PageFile::Allocate(uint64_t pages) {
  const uint64_t end = pages * page_bytes_;
  if (reserve_space_) {
    const uint64_t begin = PageCount() * page_bytes_;
    int result;
    do {
      result = file_.calls().Allocate(descriptor(), static_cast<off_t>(begin),
                                      static_cast<off_t>(end - begin));
    } while (result != 0 && errno == EINTR);
    if (result == 0) return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS) {
      return Failed(ErrorCode::kIo, path(),
                    "cannot be made " + std::to_string(pages) + " pages of " +
                        std::to_string(page_bytes_) + " bytes long",
                    "PageStore::Extend", errno);
    }
  }
  return file_.Truncate(end);
}

Expected<void> PageFile::Truncate(uint64_t pages) {
  if (auto may = RefuseIfReadOnly("PageStore::Truncate"); !may) return may;
  const std::unique_lock alone(growth_);
  const uint64_t before = PageCount();
  if (pages >= before) return {};
  // First: a write of such a page that comes too late raises the count again, so that the file is
  // never longer than that.
  count_.store(pages, std::memory_order_release);
  auto cut = file_.Truncate(pages * page_bytes_);
  if (cut) {
    has_tail_.store(false, std::memory_order_release);
  } else {
    RaiseCount(before);
  }
  return cut;
}

Expected<void> PageFile::Sync() {
  const std::lock_guard lock(sync_mutex_);
  if (sync_error_) return tl::unexpected(*sync_error_);
  auto synced = file_.Sync();
  if (synced) return {};
  sync_error_ = synced.error();
  sync_error_->message = "an earlier sync failed, so that nobody knows what is durable (" +
                         sync_error_->message + "); open the file again and recover";
  return synced;
}

}  // namespace granary
