// SpillFile: rows that are out of memory for a while, in a temporary file.
//
// It is written in chunks of 4 KiB, each of which says where the one is that comes after it. So any
// number of lists of rows can be written at the same time, a partition of a hash table each, and
// need nothing in memory but their ends. A list is read from where it ends: partitions backwards,
// chunk by chunk, as nobody cares. A run, which is written alone, is read forwards.
//
// The buffers are the caller's, who has them before memory is short.
//
// Threading. One thread at a time.
#ifndef GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SPILL_FILE_H_
#define GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SPILL_FILE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "integration/examples/query_engine/row.h"
#include "memory/error.h"

namespace granary::query_engine {

// Where the bytes go. Tests have one that fails.
class SpillStorage {
 public:
  virtual ~SpillStorage() = default;
  virtual Expected<void> Write(uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual Expected<void> Read(uint64_t offset, std::span<std::byte> bytes) = 0;
};

// Makes the storage of an operator when it spills for the first time.
using SpillStorageFactory = std::function<Expected<std::unique_ptr<SpillStorage>>()>;

// A file without a name in `folder`, or in $TMPDIR or /tmp.
SpillStorageFactory TemporaryFiles(const char* folder = nullptr);

// A list of rows in the file.
struct SpilledRows {
  // The chunk to read first.
  uint64_t first_offset;
  uint64_t count;
};

class SpillFile {
 public:
  // How many lists can be written, or read, at once.
  static constexpr size_t kListsMax = 16;
  static constexpr size_t kChunkBytes = 4096;
  // One for each list, and one to read, or to write, beside them.
  static constexpr size_t kBufferBytes = (kListsMax + 1) * kChunkBytes;

  using Lists = std::array<SpilledRows, kListsMax>;

  // `make_storage` outlives it.
  explicit SpillFile(const SpillStorageFactory& make_storage) noexcept
      : make_storage_(make_storage) {}

  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  // kBufferBytes, before anything else.
  void SetBuffer(std::byte* buffer) noexcept { buffer_ = buffer; }
  bool has_buffer() const noexcept { return buffer_ != nullptr; }

  // Adds a row to one of the lists that are being written.
  Expected<void> Append(size_t list, const Row& row);
  // Ends all of these lists, and returns them; the next Append begins new ones.
  Expected<Lists> EndLists();

  // Adds a row to the run that is being written, while no list is.
  Expected<void> AppendToRun(const Row& row);
  Expected<SpilledRows> EndRun();

  // Reads a list, through the buffer `slot`: below kListsMax those of the lists, which are not
  // written then; kListsMax the one beside them.
  class Reader {
   public:
    Reader() noexcept = default;
    Reader(SpillFile& file, const SpilledRows& rows, size_t slot) noexcept
        : file_(&file), rows_(rows), slot_(slot) {}

    // The next row, whose text stays as long as the chunk; false at the end.
    Expected<bool> Next(Row* row);
    // Whether the next one, if there is one, ends the texts of all before it.
    bool is_at_chunk_end() const noexcept { return at_ == end_; }

   private:
    SpillFile* file_ = nullptr;
    SpilledRows rows_ = {};
    size_t slot_ = 0;
    size_t at_ = 0;
    size_t end_ = 0;
  };

  uint64_t written_bytes() const noexcept { return end_offset_; }

 private:
  // A list that is being written.
  struct Writer {
    SpilledRows rows = {};
    size_t used_bytes = 0;
    bool has_chunks = false;
  };

  std::byte* BufferAt(size_t slot) const noexcept { return buffer_ + slot * kChunkBytes; }
  Expected<void> AppendTo(Writer& writer, size_t slot, const Row& row);
  Expected<void> WriteChunk(Writer& writer, size_t slot);

  const SpillStorageFactory& make_storage_;
  std::unique_ptr<SpillStorage> storage_;
  std::byte* buffer_ = nullptr;
  uint64_t end_offset_ = 0;
  std::array<Writer, kListsMax + 1> writers_;
};

}  // namespace granary::query_engine

#endif  // GRANARY_INTEGRATION_EXAMPLES_QUERY_ENGINE_SPILL_FILE_H_
