#include "bench/traces/mapped_trace.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace granary::bench {
namespace {

// The operations stand behind it.
struct Header {
  static constexpr uint64_t kMagic = 0x3170'6572'6e61'7267;

  uint64_t magic = kMagic;
  uint64_t id_count = 0;
  uint64_t operation_count = 0;
  uint64_t padding = 0;
};
static_assert(sizeof(Header) % alignof(RepOperation) == 0);

tl::unexpected<Error> IoError(const std::string& what, const char* where) {
  const int system_errno = errno;
  return tl::unexpected(
      Error{ErrorCode::kIo, what + ": " + std::strerror(system_errno), where, system_errno});
}

bool WriteAll(int fd, const void* data, size_t bytes) {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(fd, from, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    from += written;
    bytes -= static_cast<size_t>(written);
  }
  return true;
}

}  // namespace

Expected<MappedTrace> MappedTrace::Open(const std::string& path) {
  constexpr const char* kWhere = "MappedTrace::Open";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return IoError(path + " cannot be opened", kWhere);
  struct stat status = {};
  const bool is_large_enough =
      ::fstat(fd, &status) == 0 && status.st_size >= static_cast<off_t>(sizeof(Header));
  const auto bytes = static_cast<size_t>(status.st_size);
  void* const data = is_large_enough
                         ? ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0)
                         : MAP_FAILED;
  ::close(fd);
  if (data == MAP_FAILED) return IoError(path + " cannot be mapped", kWhere);
  MappedTrace trace(data, bytes);
  const auto& header = *static_cast<const Header*>(data);
  if (header.magic != Header::kMagic ||
      header.operation_count != (bytes - sizeof(Header)) / sizeof(RepOperation)) {
    errno = EINVAL;
    return IoError(path + " is no recording to be mapped", kWhere);
  }
  return trace;
}

MappedTrace::MappedTrace(MappedTrace&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}

MappedTrace::~MappedTrace() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

size_t MappedTrace::id_count() const { return static_cast<const Header*>(data_)->id_count; }

std::span<const RepOperation> MappedTrace::operations() const {
  const auto* const header = static_cast<const Header*>(data_);
  return {reinterpret_cast<const RepOperation*>(header + 1), header->operation_count};
}

Expected<void> WriteMappable(const RepTrace& trace, int fd) {
  const Header header{.id_count = trace.id_count, .operation_count = trace.operations.size()};
  if (!WriteAll(fd, &header, sizeof(header)) ||
      !WriteAll(fd, trace.operations.data(), trace.operations.size() * sizeof(RepOperation))) {
    return IoError("a recording cannot be written", "WriteMappable");
  }
  return {};
}

}  // namespace granary::bench
