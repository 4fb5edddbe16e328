// File: an open file, whose errors are values that name it.
//
//   auto file = granary::File::Open("region.snapshot", O_RDONLY);
//   if (!file) return tl::unexpected(file.error());
//
// Reads and writes are whole or an error: what the kernel does in part or interrupts goes on.
//
// Threading. As the kernel's: any thread may read and write at the same time.
#ifndef GRANARY_MEMORY_FILE_H_
#define GRANARY_MEMORY_FILE_H_

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "memory/error.h"
#include "memory/file_calls.h"

namespace granary {

class File {
 public:
  // No file; reading it is an error as of any other that is closed.
  File() noexcept = default;
  // `flags` are open's. kIo, with the path and the reason; `calls` outlive the file.
  static Expected<File> Open(std::string path, int flags, mode_t mode = 0644,
                             FileCalls& calls = FileCalls::Real());

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  bool is_open() const noexcept { return descriptor_ >= 0; }
  const std::string& path() const noexcept { return path_; }
  int descriptor() const noexcept { return descriptor_; }
  FileCalls& calls() const noexcept { return *calls_; }

  // How many bytes it has.
  Expected<uint64_t> Size() const;
  // All of `bytes`; the end of the file before that is an error (kIo, with system_errno 0).
  Expected<void> ReadAt(uint64_t offset, std::span<std::byte> bytes) const;
  // As many as there are, up to `bytes`; returns how many.
  Expected<size_t> ReadUpTo(uint64_t offset, std::span<std::byte> bytes) const;
  Expected<void> WriteAt(uint64_t offset, std::span<const std::byte> bytes) const;
  // Returns when what was written is on the disk. After an error nobody knows what is: the caller
  // may not take it as written when a second attempt succeeds (fsyncgate, PostgreSQL 2018).
  Expected<void> Sync() const;
  Expected<void> Truncate(uint64_t bytes) const;
  // For this process, until it is closed. kBusy if somebody else has it.
  Expected<void> Lock(bool is_exclusive) const;
  // Says what closing says; a file that is destroyed does not.
  Expected<void> Close();

 private:
  File(std::string path, int descriptor, FileCalls& calls) noexcept
      : path_(std::move(path)), descriptor_(descriptor), calls_(&calls) {}

  std::string path_;
  int descriptor_ = -1;
  FileCalls* calls_ = &FileCalls::Real();
};

// Renames within a folder, and returns when the folder is on the disk with it.
Expected<void> RenameDurably(const std::string& from, const std::string& to,
                             FileCalls& calls = FileCalls::Real());

}  // namespace granary

#endif  // GRANARY_MEMORY_FILE_H_
