#include "memory/region/blob_file.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace granary::blob {

namespace {

// A writer that asks for a pin has it for some microseconds.
constexpr int kPinTriesMax = 200;
constexpr std::chrono::milliseconds kPinPause{1};

std::string PinPath(const std::string& path, uint64_t pin) {
  return path + ".pin" + std::to_string(pin);
}

// One of the two in a page.
Expected<Header> ReadHeader(const File& file, uint64_t at, uint64_t slot) {
  const std::string name = file.path() + ": header at " + std::to_string(at);
  std::array<std::byte, kHeaderBytes> bytes;
  const auto got = file.ReadUpTo(at, bytes);
  if (!got) return tl::unexpected(got.error());
  auto header = DecodeHeader(std::span(bytes).first(*got), name);
  if (header && header->checkpoint % 2 != slot) {
    return Corrupt(name,
                   "it is of checkpoint " + std::to_string(header->checkpoint) +
                       ", which belongs into the other page",
                   "BlobFile::Open");
  }
  return header;
}

// All that a header refers to was on the disk before it was written: if one of the two is whole, it
// counts.
Expected<Header> ReadSlot(const File& file, uint64_t slot) {
  auto header = ReadHeader(file, slot * kHeaderDistance, slot);
  if (header || header.error().code != ErrorCode::kCorrupt) return header;
  auto copy = ReadHeader(file, slot * kHeaderDistance + kHeaderCopyAt, slot);
  return copy || copy.error().code != ErrorCode::kCorrupt ? copy : header;
}

// A header that is no header was being written when the power went: the other one counts. Anything
// else is an error: of a version that is not known, say, it may be the newer one.
Expected<Header> ReadNewest(const File& file) {
  auto even = ReadSlot(file, 0);
  if (!even && even.error().code != ErrorCode::kCorrupt) return even;
  auto odd = ReadSlot(file, 1);
  if (!odd && odd.error().code != ErrorCode::kCorrupt) return odd;
  if (even && odd) return even->checkpoint > odd->checkpoint ? even : odd;
  if (even || odd) return even ? even : odd;
  return Corrupt(file.path(),
                 "neither header is one: " + even.error().message + "; " + odd.error().message,
                 "BlobFile::Open");
}

Error Invalid(std::string message) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = std::move(message),
          .where = "BlobFile::Open"};
}

// The name of a file that is there may be in the system's cache alone, where a writer left it that
// was killed while it made the file.
Expected<void> SyncFolderOf(const std::string& path, FileCalls& calls) {
  const size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + (slash == 0));
  auto opened = File::Open(std::move(folder), O_RDONLY | O_DIRECTORY, 0, calls);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  return opened->Sync();
}

// Under another name first: a file of the right name is always a whole one.
Expected<void> Make(const std::string& path, uint64_t grain, FileCalls& calls) {
  const std::string new_path = path + ".new";
  auto file = File::Open(new_path, O_RDWR | O_CREAT | O_TRUNC, 0644, calls);
  if (!file) return tl::unexpected(std::move(file.error()));
  std::array<std::byte, kRegionBegin> bytes = {};
  const auto header = EncodeHeaderPair({.checkpoint = 1, .grain = grain});
  std::memcpy(bytes.data() + kHeaderDistance, header.data(), header.size());
  if (auto done = file->WriteAt(0, bytes); !done) return done;
  if (auto done = file->Sync(); !done) return done;
  if (auto done = file->Close(); !done) return done;
  if (calls.Rename(new_path.c_str(), path.c_str()) == 0) return {};
  return tl::unexpected(
      Error{.code = ErrorCode::kIo,
            .message = new_path + ": cannot be renamed to " + path + ": " + std::strerror(errno),
            .where = "BlobFile::Open",
            .system_errno = errno});
}

}  // namespace

// --- Pins ---------------------------------------------------------------------------------------

bool ReaderPins::IsFree(uint64_t pin) {
  // Whatever else goes wrong: there may be readers.
  const auto file = File::Open(PinPath(path_, pin), O_RDONLY | O_CREAT, 0644, *calls_);
  return file && file->Lock(/*is_exclusive=*/true);
}

uint64_t ReaderPins::ReleasableUpTo(uint64_t newest) {
  uint64_t releasable = newest;
  for (uint64_t pin = 0; pin < 2; ++pin) {
    if (IsFree(pin)) {
      // Who takes it from now on reads the newest with this pin, or a later one.
      oldest_[pin] = newest + (newest % 2 != pin);
    } else {
      releasable = std::min(releasable, oldest_[pin]);
    }
  }
  return releasable;
}

// --- Opening ------------------------------------------------------------------------------------

Expected<BlobFile> BlobFile::OpenForWriting(const std::string& path,
                                            const BlobFileOptions& options) {
  using Mode = BlobFileOptions::Mode;
  FileCalls& calls = options.file_calls != nullptr ? *options.file_calls : FileCalls::Real();
  auto lock = File::Open(path + ".lock", O_RDWR | O_CREAT, 0644, calls);
  if (!lock) return tl::unexpected(std::move(lock.error()));
  if (auto locked = lock->Lock(/*is_exclusive=*/true); !locked) {
    if (locked.error().code == ErrorCode::kBusy) {
      locked.error().message = path + ": another writer has it open";
    }
    return tl::unexpected(std::move(locked.error()));
  }
  auto file = File::Open(path, O_RDWR, 0, calls);
  if (file && options.mode == Mode::kCreate) {
    return tl::unexpected(Invalid(path + ": it is there already"));
  }
  if (!file && file.error().system_errno == ENOENT && options.mode != Mode::kOpen) {
    if (auto made = Make(path, options.store.grain, calls); !made) {
      return tl::unexpected(std::move(made.error()));
    }
    file = File::Open(path, O_RDWR, 0, calls);
  }
  if (!file) return tl::unexpected(std::move(file.error()));
  auto header = ReadNewest(*file);
  if (!header) return tl::unexpected(std::move(header.error()));
  if (auto done = SyncFolderOf(path, calls); !done) return tl::unexpected(std::move(done.error()));
  BlobFile opened(std::move(*file), std::move(*lock), *header);
  // It may be in the system's cache alone, left there by a writer that was killed or whose sync
  // failed. What it refers to was on the disk before it was written; now it is so as well, and what
  // only the checkpoint before it has may be overwritten.
  if (auto done = opened.WriteHeader(*header); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  if (auto done = opened.file_.Sync(); !done) return tl::unexpected(std::move(done.error()));
  return opened;
}

Expected<BlobFile> BlobFile::OpenForReading(const std::string& path, FileCalls& calls) {
  auto file = File::Open(path, O_RDONLY, 0, calls);
  if (!file) return tl::unexpected(std::move(file.error()));
  Expected<Header> header = ReadNewest(*file);
  for (int tries = 0; header && tries < kPinTriesMax; ++tries) {
    const uint64_t pin = header->checkpoint % 2;
    auto lock = File::Open(PinPath(path, pin), O_RDONLY | O_CREAT, 0644, calls);
    // Where nothing can be written there is no writer to wait.
    if (!lock && lock.error().system_errno != EROFS) {
      return tl::unexpected(std::move(lock.error()));
    }
    const auto locked = lock ? lock->Lock(/*is_exclusive=*/false) : Expected<void>();
    if (!locked && locked.error().code != ErrorCode::kBusy) {
      return tl::unexpected(locked.error());
    }
    if (!locked) std::this_thread::sleep_for(kPinPause);
    header = ReadNewest(*file);
    if (header && locked && header->checkpoint % 2 == pin) {
      return BlobFile(std::move(*file), lock ? std::move(*lock) : File(), *header);
    }
  }
  if (!header) return tl::unexpected(std::move(header.error()));
  return tl::unexpected(Error{.code = ErrorCode::kBusy,
                              .message = path + ": its writer makes checkpoints faster than one "
                                                "can be pinned",
                              .where = "BlobFile::Open"});
}

Expected<void> BlobFile::WriteHeader(const Header& header) {
  return file_.WriteAt(header.checkpoint % 2 * kHeaderDistance, EncodeHeaderPair(header));
}

}  // namespace granary::blob
