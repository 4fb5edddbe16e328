// FailingCalls: the kernel's memory calls, of which the nth, or every one of a kind, is refused.
#ifndef GRANARY_MEMORY_TESTING_FAILING_CALLS_H_
#define GRANARY_MEMORY_TESTING_FAILING_CALLS_H_

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "memory/system_calls.h"

namespace granary {

// Refuses the nth call that changes mappings, and keeps account of what is mapped through it.
class FailingCalls final : public SystemCalls {
 public:
  // The call to refuse, counted from 1, and the errno it fails with. 0 refuses none.
  void RefuseCall(size_t nth, int system_errno) {
    refuse_nth_ = nth;
    errno_ = system_errno;
    calls_ = 0;
  }

  // Every madvise with this advice fails.
  void RefuseAdvice(int advice, int system_errno) {
    refused_advice_ = advice;
    errno_ = system_errno;
  }

  void SetFile(std::string path, std::string content) {
    files_.emplace_back(std::move(path), std::move(content));
  }

  bool refused() const { return refuse_nth_ != 0 && calls_ >= refuse_nth_; }
  size_t calls() const { return calls_; }
  int64_t mapped_bytes() const { return mapped_bytes_; }

  void* Map(void* address, size_t bytes, int protection, int flags) noexcept override {
    if (Refuses()) return MAP_FAILED;
    void* const mapped = SystemCalls::Map(address, bytes, protection, flags);
    if (mapped != MAP_FAILED && (flags & MAP_FIXED) == 0) {
      mapped_bytes_ += static_cast<int64_t>(bytes);
    }
    return mapped;
  }
  int Unmap(void* address, size_t bytes) noexcept override {
    if (Refuses()) return -1;
    mapped_bytes_ -= static_cast<int64_t>(bytes);
    return SystemCalls::Unmap(address, bytes);
  }
  int Protect(void* address, size_t bytes, int protection) noexcept override {
    return Refuses() ? -1 : SystemCalls::Protect(address, bytes, protection);
  }
  int Advise(void* address, size_t bytes, int advice) noexcept override {
    if (advice == refused_advice_) {
      errno = errno_;
      return -1;
    }
    return Refuses() ? -1 : SystemCalls::Advise(address, bytes, advice);
  }
  int Resident(void* address, size_t bytes, unsigned char* pages) noexcept override {
    return Refuses() ? -1 : SystemCalls::Resident(address, bytes, pages);
  }
  ssize_t ReadFile(const char* path, char* buffer, size_t bytes) noexcept override {
    for (const auto& [name, content] : files_) {
      if (name != path) continue;
      const size_t length = std::min(bytes, content.size());
      std::memcpy(buffer, content.data(), length);
      return static_cast<ssize_t>(length);
    }
    return SystemCalls::ReadFile(path, buffer, bytes);
  }

 private:
  bool Refuses() noexcept {
    if (++calls_ != refuse_nth_) return false;
    errno = errno_;
    return true;
  }

  size_t refuse_nth_ = 0;
  int errno_ = 0;
  int refused_advice_ = -1;
  size_t calls_ = 0;
  int64_t mapped_bytes_ = 0;
  std::vector<std::pair<std::string, std::string>> files_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_TESTING_FAILING_CALLS_H_
