// SystemCalls: the one seam through which SystemMemory speaks to the kernel. Internal to memory/.
//
// A test derives from it to make the nth call fail, to count calls, or to stand in for a kernel
// that lacks something. Every function answers as the system call of its name does, errno included.
// Threading: any thread may call the real one; it has no state.
#ifndef GRANARY_MEMORY_SYSTEM_CALLS_H_
#define GRANARY_MEMORY_SYSTEM_CALLS_H_

#include <sys/types.h>

#include <cstddef>

namespace granary {

// The kernel's memory calls, each one virtual call away.
class SystemCalls {
 public:
  virtual ~SystemCalls() = default;

  // The real ones. Never destroyed.
  static SystemCalls& Real() noexcept;

  // mmap of anonymous private memory: `protection` and `flags` are mmap's. MAP_FAILED on error.
  virtual void* Map(void* address, size_t bytes, int protection, int flags) noexcept;

  // munmap. -1 on error.
  virtual int Unmap(void* address, size_t bytes) noexcept;

  // mprotect. -1 on error.
  virtual int Protect(void* address, size_t bytes, int protection) noexcept;

  // madvise. -1 on error.
  virtual int Advise(void* address, size_t bytes, int advice) noexcept;

  // mincore: one byte a page into `pages`, whose lowest bit says resident. -1 on error.
  virtual int Resident(void* address, size_t bytes, unsigned char* pages) noexcept;

  // The first `bytes` of a file of /proc or /sys; how many were read, or -1.
  virtual ssize_t ReadFile(const char* path, char* buffer, size_t bytes) noexcept;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_SYSTEM_CALLS_H_
