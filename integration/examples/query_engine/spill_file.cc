#include "integration/examples/query_engine/spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <system_error>
#include <utility>

namespace granary::query_engine {

namespace {

// At the begin of a chunk.
struct ChunkHeader {
  // The chunk to read after this one, if the list goes on.
  uint64_t next_offset;
  uint32_t used_bytes;
  uint32_t magic;
};

constexpr uint32_t kMagic = 0x6c697073;

// Before a row's text.
struct RowHeader {
  int64_t key;
  int64_t other;
  int64_t amount;
  int64_t count;
  uint64_t text_bytes;
};

Error IoError(const char* what, int error) {
  return {.code = ErrorCode::kIo,
          .message = std::string(what) + ": " + std::generic_category().message(error),
          .where = "SpillFile",
          .system_errno = error};
}

class TemporaryFile final : public SpillStorage {
 public:
  explicit TemporaryFile(int file) noexcept : file_(file) {}
  ~TemporaryFile() override { ::close(file_); }

  Expected<void> Write(uint64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t done = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return tl::unexpected(IoError("a spilling operator cannot write", errno));
      offset += static_cast<uint64_t>(done);
      bytes = bytes.subspan(static_cast<size_t>(done));
    }
    return {};
  }

  Expected<void> Read(uint64_t offset, std::span<std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t done = ::pread(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) {
        return tl::unexpected(IoError("a spilling operator cannot read", done < 0 ? errno : EIO));
      }
      offset += static_cast<uint64_t>(done);
      bytes = bytes.subspan(static_cast<size_t>(done));
    }
    return {};
  }

 private:
  const int file_;
};

}  // namespace

SpillStorageFactory TemporaryFiles(const char* folder) {
  if (folder == nullptr) folder = std::getenv("TMPDIR");
  return [where = std::string(
              folder != nullptr ? folder : "/tmp")]() -> Expected<std::unique_ptr<SpillStorage>> {
    const int file = ::open(where.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0) {
      return tl::unexpected(IoError(("no temporary file in " + where).c_str(), errno));
    }
    return std::make_unique<TemporaryFile>(file);
  };
}

// --- Writing ------------------------------------------------------------------------------------

Expected<void> SpillFile::Append(size_t list, const Row& row) {
  return AppendTo(writers_[list], list, row);
}

Expected<void> SpillFile::AppendToRun(const Row& row) {
  return AppendTo(writers_[kListsMax], kListsMax, row);
}

Expected<void> SpillFile::AppendTo(Writer& writer, size_t slot, const Row& row) {
  const size_t bytes = sizeof(RowHeader) + row.text.size();
  if (bytes > kChunkBytes - sizeof(ChunkHeader)) {
    return tl::unexpected(Error{
        .code = ErrorCode::kUnsupported,
        .message = "a text of " + std::to_string(row.text.size()) + " bytes is too long to spill",
        .where = "SpillFile"});
  }
  if (writer.used_bytes == 0) writer.used_bytes = sizeof(ChunkHeader);
  if (bytes > kChunkBytes - writer.used_bytes) {
    if (auto done = WriteChunk(writer, slot); !done) return done;
  }
  std::byte* const at = BufferAt(slot) + writer.used_bytes;
  const RowHeader header{row.key, row.other, row.amount, row.count, row.text.size()};
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + sizeof header, row.text.data(), row.text.size());
  writer.used_bytes += bytes;
  ++writer.rows.count;
  return {};
}

Expected<void> SpillFile::WriteChunk(Writer& writer, size_t slot) {
  if (storage_ == nullptr) {
    auto made = make_storage_();
    if (!made) return tl::unexpected(std::move(made.error()));
    storage_ = std::move(*made);
  }
  const bool is_run = slot == kListsMax;
  const uint64_t offset = end_offset_;
  const ChunkHeader header{is_run ? offset + kChunkBytes : writer.rows.first_offset,
                           static_cast<uint32_t>(writer.used_bytes), kMagic};
  std::memcpy(BufferAt(slot), &header, sizeof header);
  if (auto done = storage_->Write(offset, {BufferAt(slot), kChunkBytes}); !done) return done;
  end_offset_ = offset + kChunkBytes;
  if (!is_run || !writer.has_chunks) writer.rows.first_offset = offset;
  writer.has_chunks = true;
  writer.used_bytes = sizeof(ChunkHeader);
  return {};
}

Expected<SpillFile::Lists> SpillFile::EndLists() {
  Lists lists;
  for (size_t i = 0; i < kListsMax; ++i) {
    Writer& writer = writers_[i];
    if (writer.used_bytes > sizeof(ChunkHeader)) {
      if (auto done = WriteChunk(writer, i); !done) return tl::unexpected(std::move(done.error()));
    }
    lists[i] = std::exchange(writer, {}).rows;
  }
  return lists;
}

Expected<SpilledRows> SpillFile::EndRun() {
  Writer& writer = writers_[kListsMax];
  if (writer.used_bytes > sizeof(ChunkHeader)) {
    if (auto done = WriteChunk(writer, kListsMax); !done) {
      return tl::unexpected(std::move(done.error()));
    }
  }
  return std::exchange(writer, {}).rows;
}

// --- Reading ------------------------------------------------------------------------------------

Expected<bool> SpillFile::Reader::Next(Row* row) {
  if (rows_.count == 0) return false;
  std::byte* const buffer = file_->BufferAt(slot_);
  if (at_ == end_) {
    if (auto done = file_->storage_->Read(rows_.first_offset, {buffer, kChunkBytes}); !done) {
      return tl::unexpected(std::move(done.error()));
    }
    ChunkHeader header;
    std::memcpy(&header, buffer, sizeof header);
    if (header.magic != kMagic || header.used_bytes > kChunkBytes) {
      return tl::unexpected(IoError("a spilling operator reads what it has not written", EIO));
    }
    at_ = sizeof header;
    end_ = header.used_bytes;
    rows_.first_offset = header.next_offset;
  }
  RowHeader header;
  std::memcpy(&header, buffer + at_, sizeof header);
  const char* const text = reinterpret_cast<const char*>(buffer + at_ + sizeof header);
  *row = {header.key, header.other, header.amount, header.count, {text, header.text_bytes}};
  at_ += sizeof header + header.text_bytes;
  --rows_.count;
  return true;
}

}  // namespace granary::query_engine
