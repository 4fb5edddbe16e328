#include "memory/file_calls.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <new>

namespace granary {

FileCalls& FileCalls::Real() noexcept {
  alignas(FileCalls) static std::byte storage[sizeof(FileCalls)];
  static FileCalls* const real = new (storage) FileCalls;
  return *real;
}

int FileCalls::Open(const char* path, int flags, mode_t mode) noexcept {
  return ::open(path, flags | O_CLOEXEC, mode);
}

int FileCalls::Close(int file) noexcept { return ::close(file); }

// Past glibc's pread and pwrite, which are points where a thread may be cancelled, and take two
// atomic read-modify-writes to be that: a few hundredths of what a page costs that is cached.
ssize_t FileCalls::ReadAt(int file, void* bytes, size_t count, off_t offset) noexcept {
  return ::syscall(SYS_pread64, file, bytes, count, offset);
}

ssize_t FileCalls::WriteAt(int file, const void* bytes, size_t count, off_t offset) noexcept {
  return ::syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t FileCalls::ReadVectorAt(int file, const iovec* pieces, int count, off_t offset) noexcept {
  return ::preadv(file, pieces, count, offset);
}

ssize_t FileCalls::WriteVectorAt(int file, const iovec* pieces, int count, off_t offset) noexcept {
  return ::pwritev(file, pieces, count, offset);
}

int FileCalls::Sync(int file) noexcept { return ::fdatasync(file); }

int FileCalls::Truncate(int file, off_t bytes) noexcept { return ::ftruncate(file, bytes); }

int FileCalls::Allocate(int file, off_t offset, off_t bytes) noexcept {
  return ::fallocate(file, 0, offset, bytes);
}

off_t FileCalls::Size(int file) noexcept {
  struct stat status;
  return ::fstat(file, &status) == 0 ? status.st_size : -1;
}

int FileCalls::Rename(const char* from, const char* to) noexcept { return std::rename(from, to); }

int FileCalls::Unlink(const char* path) noexcept { return ::unlink(path); }

int FileCalls::Lock(int file, bool is_exclusive) noexcept {
  return ::flock(file, (is_exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
}

int FileCalls::Unlock(int file) noexcept { return ::flock(file, LOCK_UN); }

void* FileCalls::Map(int file, size_t bytes, int protection, off_t offset) noexcept {
  return ::mmap(nullptr, bytes, protection, MAP_SHARED, file, offset);
}

int FileCalls::DirectAlignmentOf(int file, DirectAlignment* alignment) noexcept {
#if defined(STATX_DIOALIGN)
  struct statx status;
  if (::statx(file, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0) return -1;
  if ((status.stx_mask & STATX_DIOALIGN) != 0) {
    alignment->memory_bytes = status.stx_dio_mem_align;
    alignment->offset_bytes = status.stx_dio_offset_align;
    return 0;
  }
#else
  static_cast<void>(file);
  static_cast<void>(alignment);
#endif
  errno = EOPNOTSUPP;
  return -1;
}

}  // namespace granary
