// FileCalls: the one seam through which granary speaks to the kernel about files.
//
// A test derives from it to make the nth call fail, to count calls, or to stand in for a disk that
// loses power. Every function answers as the system call of its name does, errno included.
// Threading: any thread may call the real one; it has no state.
#ifndef GRANARY_MEMORY_FILE_CALLS_H_
#define GRANARY_MEMORY_FILE_CALLS_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

namespace granary {

// What a file opened with O_DIRECT asks of memory, offsets and lengths: multiples of these, in
// bytes. 0 if it cannot be read and written that way at all.
struct DirectAlignment {
  size_t memory_bytes = 0;
  size_t offset_bytes = 0;
};

// The kernel's file calls, each one virtual call away.
class FileCalls {
 public:
  virtual ~FileCalls() = default;

  // The real ones. Never destroyed.
  static FileCalls& Real() noexcept;

  // open, with O_CLOEXEC. -1 on error; so are all others.
  virtual int Open(const char* path, int flags, mode_t mode) noexcept;
  virtual int Close(int file) noexcept;
  // pread and pwrite: may do less than they are asked for, or be interrupted.
  virtual ssize_t ReadAt(int file, void* bytes, size_t count, off_t offset) noexcept;
  virtual ssize_t WriteAt(int file, const void* bytes, size_t count, off_t offset) noexcept;
  // preadv and pwritev: the same, of `count` pieces of memory, at most IOV_MAX.
  virtual ssize_t ReadVectorAt(int file, const iovec* pieces, int count, off_t offset) noexcept;
  virtual ssize_t WriteVectorAt(int file, const iovec* pieces, int count, off_t offset) noexcept;
  // fdatasync; of a folder, fsync.
  virtual int Sync(int file) noexcept;
  // ftruncate.
  virtual int Truncate(int file, off_t bytes) noexcept;
  // fallocate: sets the disk's space aside for this range, which reads as zeros where it was not
  // written, and makes the file as large as its end. EOPNOTSUPP where the file system cannot.
  virtual int Allocate(int file, off_t offset, off_t bytes) noexcept;
  // The size that fstat tells.
  virtual off_t Size(int file) noexcept;
  virtual int Rename(const char* from, const char* to) noexcept;
  virtual int Unlink(const char* path) noexcept;
  // flock, which does not wait: EWOULDBLOCK if somebody else has it.
  virtual int Lock(int file, bool is_exclusive) noexcept;
  // flock: gives it up. Closing does, too, unless somebody else still has what was opened: a child
  // process, or an io_uring.
  virtual int Unlock(int file) noexcept;
  // mmap of a file, MAP_SHARED; MAP_FAILED on error. SystemCalls has the unmapping.
  virtual void* Map(int file, size_t bytes, int protection, off_t offset) noexcept;
  // statx with STATX_DIOALIGN. EOPNOTSUPP if the kernel does not tell (before 6.1, and of some file
  // systems).
  virtual int DirectAlignmentOf(int file, DirectAlignment* alignment) noexcept;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_FILE_CALLS_H_
