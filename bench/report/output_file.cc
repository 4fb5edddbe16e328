#include "bench/report/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

bool IsSpecial(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_regular_file(path, ignored);
}

// Beside the file itself, as a file can only be renamed within its file system.
fs::path TemporaryFor(const fs::path& path) {
  return path.parent_path() / fmt::format(".{}.{}", path.filename().string(), getpid());
}

// A link is to be kept and what it points at replaced.
fs::path Resolve(const fs::path& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(path, error);
  return error ? path : resolved;
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return false;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// Opens, writes and closes; false with errno set if any of it fails.
bool WriteTo(const fs::path& path, int flags, std::string_view text) {
  const int fd = open(path.c_str(), flags | O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) {
    return false;
  }
  const bool written = WriteAll(fd, text);
  const int write_errno = errno;
  const bool closed = close(fd) == 0;
  if (!written) {
    errno = write_errno;
  }
  return written && closed;
}

}  // namespace

OrFailure<void> CheckWritable(std::string_view what, const fs::path& path) {
  const auto refuse = [&](std::string_view why) {
    return Fail(kExitUsage, fmt::format("{}: {}: {}", what, path.string(), why));
  };
  std::error_code ignored;
  const fs::path folder = path.parent_path();
  if (!path.has_filename() || fs::is_directory(path, ignored)) {
    return refuse("is a directory, not a file");
  }
  if (!fs::is_directory(folder, ignored)) {
    return refuse(fmt::format("the directory {} does not exist", folder.string()));
  }
  if (IsSpecial(path)) {
    return {};
  }
  // Nothing but trying tells: permissions do not bind root, and file systems may be read-only.
  const fs::path temporary = TemporaryFor(Resolve(path));
  if (!WriteTo(temporary, O_EXCL, "")) {
    return refuse(fmt::format("cannot be written: {}", strerror(errno)));
  }
  fs::remove(temporary, ignored);
  return {};
}

OrFailure<void> WriteWhole(const fs::path& path, std::string_view text) {
  const auto fail = [&] {
    return Fail(kExitIncomplete,
                fmt::format("{} cannot be written: {}", path.string(), strerror(errno)));
  };
  if (IsSpecial(path)) {
    return WriteTo(path, 0, text) ? OrFailure<void>() : fail();
  }
  const fs::path target = Resolve(path);
  const fs::path temporary = TemporaryFor(target);
  if (!WriteTo(temporary, O_TRUNC, text) || rename(temporary.c_str(), target.c_str()) != 0) {
    auto failure = fail();
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return failure;
  }
  return {};
}

OrFailure<ScratchFolder> ScratchFolder::Create() {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error);
  std::string name =
      fs::absolute((error ? fs::path("/tmp") : folder) / "granary-report.XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    return Fail(kExitIncomplete, fmt::format("{} cannot be made: {}", name, strerror(errno)));
  }
  return ScratchFolder(fs::path(name));
}

ScratchFolder::ScratchFolder(ScratchFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

ScratchFolder::~ScratchFolder() {
  if (!path_.empty()) {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
}

}  // namespace granary::bench
