#include "memory/file.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace granary {

namespace {

tl::unexpected<Error> Failed(ErrorCode code, const std::string& path, const std::string& what,
                             const char* where, int system_errno) {
  std::string message = path + ": " + what;
  if (system_errno != 0) message += std::string(": ") + std::strerror(system_errno);
  return tl::unexpected(Error{
      .code = code, .message = std::move(message), .where = where, .system_errno = system_errno});
}

tl::unexpected<Error> FailedIo(const std::string& path, const std::string& what,
                               const char* where) {
  return Failed(ErrorCode::kIo, path, what, where, errno);
}

std::string Bytes(const char* verb, uint64_t count, uint64_t offset) {
  return std::string(verb) + " of " + std::to_string(count) + " bytes at " + std::to_string(offset);
}

}  // namespace

Expected<File> File::Open(std::string path, int flags, mode_t mode, FileCalls& calls) {
  const int descriptor = calls.Open(path.c_str(), flags, mode);
  if (descriptor < 0) return FailedIo(path, "cannot be opened", "File::Open");
  return File(std::move(path), descriptor, calls);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      calls_(other.calls_) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(calls_, other.calls_);
  return *this;
}

File::~File() {
  if (is_open()) (void)calls_->Close(descriptor_);
}

Expected<uint64_t> File::Size() const {
  const off_t size = calls_->Size(descriptor_);
  if (size < 0) return FailedIo(path_, "its size is not known", "File::Size");
  return static_cast<uint64_t>(size);
}

Expected<size_t> File::ReadUpTo(uint64_t offset, std::span<std::byte> bytes) const {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = calls_->ReadAt(descriptor_, bytes.data() + done, bytes.size() - done,
                                       static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailedIo(path_, Bytes("read", bytes.size(), offset), "File::ReadAt");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

Expected<void> File::ReadAt(uint64_t offset, std::span<std::byte> bytes) const {
  const auto got = ReadUpTo(offset, bytes);
  if (!got) return tl::unexpected(got.error());
  if (*got == bytes.size()) return {};
  return Failed(ErrorCode::kIo, path_,
                Bytes("read", bytes.size(), offset) + ": the file ends after " +
                    std::to_string(*got) + " of them",
                "File::ReadAt", 0);
}

Expected<void> File::WriteAt(uint64_t offset, std::span<const std::byte> bytes) const {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put = calls_->WriteAt(descriptor_, bytes.data() + done, bytes.size() - done,
                                        static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return FailedIo(path_, Bytes("write", bytes.size(), offset), "File::WriteAt");
    // POSIX does not say what this means: it would go on for ever.
    if (put == 0) {
      return Failed(ErrorCode::kIo, path_, Bytes("write", bytes.size(), offset) + " writes nothing",
                    "File::WriteAt", 0);
    }
    done += static_cast<size_t>(put);
  }
  return {};
}

Expected<void> File::Sync() const {
  if (calls_->Sync(descriptor_) == 0) return {};
  return FailedIo(path_, "cannot be synced", "File::Sync");
}

Expected<void> File::Truncate(uint64_t bytes) const {
  if (calls_->Truncate(descriptor_, static_cast<off_t>(bytes)) == 0) return {};
  return FailedIo(path_, "cannot be made " + std::to_string(bytes) + " bytes long",
                  "File::Truncate");
}

Expected<void> File::Lock(bool is_exclusive) const {
  if (calls_->Lock(descriptor_, is_exclusive) == 0) return {};
  if (errno == EWOULDBLOCK) {
    return Failed(ErrorCode::kBusy, path_, "somebody else has it open", "File::Lock", errno);
  }
  return FailedIo(path_, "cannot be locked", "File::Lock");
}

Expected<void> File::Close() {
  if (!is_open()) return {};
  // After an error the descriptor is closed all the same (Linux).
  if (calls_->Close(std::exchange(descriptor_, -1)) == 0) return {};
  return FailedIo(path_, "cannot be closed", "File::Close");
}

Expected<void> RenameDurably(const std::string& from, const std::string& to, FileCalls& calls) {
  constexpr const char* kWhere = "RenameDurably";
  if (calls.Rename(from.c_str(), to.c_str()) != 0) {
    return FailedIo(from, "cannot be renamed to " + to, kWhere);
  }
  const size_t slash = to.rfind('/');
  std::string folder = slash == std::string::npos ? "." : to.substr(0, slash + (slash == 0));
  auto opened = File::Open(std::move(folder), O_RDONLY | O_DIRECTORY, 0, calls);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  return opened->Sync();
}

}  // namespace granary
