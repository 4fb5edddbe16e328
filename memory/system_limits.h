// SystemLimits: the numbers that explain why the system refused memory. Internal to memory/.
#ifndef GRANARY_MEMORY_SYSTEM_LIMITS_H_
#define GRANARY_MEMORY_SYSTEM_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "memory/error.h"
#include "memory/system_calls.h"

namespace granary {

// An error whose message is what `write` returns, or empty if malloc refuses even that.
template <class Write>
Error MakeError(ErrorCode code, const char* where, int system_errno, Write write) noexcept {
  Error error{.code = code, .message = {}, .where = where, .system_errno = system_errno};
  try {
    error.message = write();
  } catch (const std::bad_alloc&) {
    error.message.clear();
  }
  return error;
}

// "68719476736 bytes (64.0 GiB)". May throw std::bad_alloc.
std::string DescribeBytes(uint64_t bytes);

// "Cannot allocate memory" for ENOMEM. May throw std::bad_alloc.
std::string DescribeErrno(int system_errno);

// The limits that a reservation or a commit may have met and how far they are used: RLIMIT_AS, the
// overcommit mode, the number of mappings, available memory. May throw std::bad_alloc.
std::string DescribeLimits(SystemCalls& calls);

// The pool of huge pages, in pages; -1 where the system has none of that size.
struct HugePagePool {
  int64_t total_pages = -1;
  int64_t free_pages = -1;
};

// What /sys says about the pool of huge pages of 2 MiB.
HugePagePool ReadHugePagePool(SystemCalls& calls) noexcept;

}  // namespace granary

#endif  // GRANARY_MEMORY_SYSTEM_LIMITS_H_
