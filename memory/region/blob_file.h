// BlobFile: a blob file's headers, how it is made, and who has it open. Internal to memory/region.
//
// Beside the file PATH are three empty ones, which are only locked (flock):
//
//   PATH.lock   by the writer, exclusively, as long as it has the file open.
//   PATH.pin0   by the readers of even checkpoints, shared.
//   PATH.pin1   by those of odd ones.
//
// A reader locks the pin of the newest checkpoint, then looks whether that is still the newest, or
// one with the same pin: then the lock came before the checkpoint was superseded, and the writer,
// who asks for the pins when that has happened, finds it. Two pins because readers that come all
// the time keep the pin of the newest checkpoint locked, and that of the one before it falls free
// when the last of its readers goes.
#ifndef GRANARY_MEMORY_REGION_BLOB_FILE_H_
#define GRANARY_MEMORY_REGION_BLOB_FILE_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "memory/error.h"
#include "memory/file.h"
#include "memory/region/blob_format.h"
#include "memory/region/blob_types.h"

namespace granary::blob {

// What the writer knows of the readers.
class ReaderPins {
 public:
  ReaderPins(std::string path, FileCalls& calls) noexcept
      : path_(std::move(path)), calls_(&calls) {}

  // Up to which checkpoint no reader needs what it does not have; `newest` is durable.
  uint64_t ReleasableUpTo(uint64_t newest);

 private:
  bool IsFree(uint64_t pin);

  std::string path_;
  FileCalls* calls_;
  // No reader that has the pin reads an older checkpoint. Nothing is known at first.
  std::array<uint64_t, 2> oldest_ = {};
};

class BlobFile {
 public:
  // Makes the file if it is not there and `mode` says so, of one checkpoint without blobs; locks
  // it. kBusy if another writer has it.
  static Expected<BlobFile> OpenForWriting(const std::string& path, const BlobFileOptions& options);
  // Pins its newest checkpoint, which is header().
  static Expected<BlobFile> OpenForReading(const std::string& path, FileCalls& calls);

  const File& file() const noexcept { return file_; }
  // Of the newest checkpoint as it was when the file was opened.
  const Header& header() const noexcept { return header_; }

  Expected<void> WriteHeader(const Header& header);

 private:
  BlobFile(File file, File lock, const Header& header) noexcept
      : file_(std::move(file)), lock_(std::move(lock)), header_(header) {}

  File file_;
  // The writer's lock, or the reader's pin.
  File lock_;
  Header header_;
};

}  // namespace granary::blob

#endif  // GRANARY_MEMORY_REGION_BLOB_FILE_H_
