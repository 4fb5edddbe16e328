// Error: what went wrong, in a form that code can branch on and a person can read.
//
// Every path that an engine takes returns errors as values, `tl::expected<T, Error>`; exceptions
// appear only where std::pmr demands them (see memory_resource.h).
#ifndef GRANARY_MEMORY_ERROR_H_
#define GRANARY_MEMORY_ERROR_H_

#include <string>
#include <utility>

#include "tl/expected.hpp"

namespace granary {

enum class ErrorCode {
  kInvalidArgument,  // The request contradicts the documented preconditions; nothing was tried.
  kOutOfMemory,      // The system or a limit refused the memory.
  kUnsupported,  // This system cannot do what was asked for (huge pages that must be there, say).
  kIo,           // A system call on a file or a mapping failed.
  kAborted,      // The scope was told to end.
  kCorrupt,      // What was read is not what was written: a checksum, a bound, an order.
  kBusy,         // Somebody else has it.
};

// "invalid argument", "out of memory", ...: for logs and messages.
inline const char* ErrorCodeName(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid argument";
    case ErrorCode::kOutOfMemory:
      return "out of memory";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kIo:
      return "i/o error";
    case ErrorCode::kAborted:
      return "aborted";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kBusy:
      return "busy";
  }
  return "unknown error";
}

struct Error {
  ErrorCode code;
  // A sentence for a person: what was asked for, what stood against it, and the numbers of both.
  std::string message;
  // Where it arose, `Class::Function`; a string literal.
  const char* where = "";
  // The errno of the system call that failed, or 0.
  int system_errno = 0;
};

template <class T>
using Expected = tl::expected<T, Error>;

}  // namespace granary

#endif  // GRANARY_MEMORY_ERROR_H_
