#include "memory/system_calls.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace granary {

SystemCalls& SystemCalls::Real() noexcept {
  alignas(SystemCalls) static std::byte storage[sizeof(SystemCalls)];
  static SystemCalls* const real = new (storage) SystemCalls;
  return *real;
}

void* SystemCalls::Map(void* address, size_t bytes, int protection, int flags) noexcept {
  return ::mmap(address, bytes, protection, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int SystemCalls::Unmap(void* address, size_t bytes) noexcept { return ::munmap(address, bytes); }

int SystemCalls::Protect(void* address, size_t bytes, int protection) noexcept {
  return ::mprotect(address, bytes, protection);
}

int SystemCalls::Advise(void* address, size_t bytes, int advice) noexcept {
  return ::madvise(address, bytes, advice);
}

int SystemCalls::Resident(void* address, size_t bytes, unsigned char* pages) noexcept {
  return ::mincore(address, bytes, pages);
}

ssize_t SystemCalls::ReadFile(const char* path, char* buffer, size_t bytes) noexcept {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  const ssize_t got = ::read(file, buffer, bytes);
  ::close(file);
  return got;
}

}  // namespace granary
