// Where the bytes of a store's region are: memory, or a file. Internal to memory/region.
//
// Offsets are the region's. What was written is what is read; the store sees to it that nothing is
// read that was not written.
#ifndef GRANARY_MEMORY_REGION_BLOB_BACKING_H_
#define GRANARY_MEMORY_REGION_BLOB_BACKING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "memory/error.h"
#include "memory/file.h"
#include "memory/region/region_types.h"
#include "memory/system_memory.h"

namespace granary::blob {

class Backing {
 public:
  virtual ~Backing() = default;

  // The region may have so many bytes.
  virtual uint64_t max_bytes() const noexcept = 0;
  // There is room for so many now.
  virtual uint64_t capacity_bytes() const noexcept = 0;
  // Whether a write cannot fail, nor be seen in part after a crash: then a blob may be overwritten.
  virtual bool overwrites() const noexcept = 0;

  // Makes room for a region of so many bytes.
  virtual Expected<void> Grow(uint64_t bytes) = 0;
  // Gives back what is above so many; returns how many bytes went.
  virtual Expected<uint64_t> ShrinkTo(uint64_t bytes) = 0;

  virtual Expected<void> Write(uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual Expected<void> Read(uint64_t offset, std::span<std::byte> bytes) const = 0;
  // Null where only Read is possible.
  virtual const std::byte* View(uint64_t offset) const noexcept = 0;

  // Nothing is in it from now on.
  virtual void Forget(Range) noexcept {}
};

// Memory that it reserves and commits by 64 KiB, or the caller's.
class MemoryBacking final : public Backing {
 public:
  static Expected<std::unique_ptr<MemoryBacking>> Create(uint64_t max_bytes, SystemCalls* calls);
  static std::unique_ptr<MemoryBacking> Over(std::span<std::byte> memory);
  ~MemoryBacking() override;

  uint64_t max_bytes() const noexcept override { return max_bytes_; }
  uint64_t capacity_bytes() const noexcept override { return capacity_bytes_; }
  bool overwrites() const noexcept override { return true; }
  Expected<void> Grow(uint64_t bytes) override;
  Expected<uint64_t> ShrinkTo(uint64_t bytes) override;
  // The two may overlap.
  Expected<void> Write(uint64_t offset, std::span<const std::byte> bytes) override;
  Expected<void> Read(uint64_t offset, std::span<std::byte> bytes) const override;
  const std::byte* View(uint64_t offset) const noexcept override { return base_ + offset; }
  void Forget(Range range) noexcept override;

 private:
  static constexpr uint64_t kStepBytes = uint64_t{64} << 10;

  MemoryBacking(SystemMemory memory, std::byte* base, uint64_t max_bytes,
                uint64_t capacity_bytes) noexcept
      : memory_(std::move(memory)),
        base_(base),
        max_bytes_(max_bytes),
        capacity_bytes_(capacity_bytes) {}

  SystemMemory memory_;
  std::byte* const base_;
  const uint64_t max_bytes_;
  uint64_t capacity_bytes_;
};

// A file behind `begin` bytes of headers; with `map_bytes` it is mapped for reading, from its begin
// on, whether it is so long yet or not: so growing does not move what is mapped. Reads through the
// mapping see what pwrite wrote.
class FileBacking final : public Backing {
 public:
  // The file outlives it.
  static Expected<std::unique_ptr<FileBacking>> Create(const File& file, uint64_t begin,
                                                       uint64_t max_bytes, bool is_mapped,
                                                       SystemCalls* calls);
  ~FileBacking() override;

  uint64_t max_bytes() const noexcept override { return max_bytes_; }
  uint64_t capacity_bytes() const noexcept override { return file_bytes_ - begin_; }
  bool overwrites() const noexcept override { return false; }
  // Writing makes the file longer.
  Expected<void> Grow(uint64_t) override { return {}; }
  Expected<uint64_t> ShrinkTo(uint64_t bytes) override;
  Expected<void> Write(uint64_t offset, std::span<const std::byte> bytes) override;
  Expected<void> Read(uint64_t offset, std::span<std::byte> bytes) const override;
  const std::byte* View(uint64_t offset) const noexcept override {
    return mapped_ != nullptr ? mapped_ + begin_ + offset : nullptr;
  }

 private:
  FileBacking(const File& file, uint64_t begin, uint64_t max_bytes, uint64_t file_bytes,
              const std::byte* mapped, SystemCalls& calls) noexcept
      : file_(file),
        begin_(begin),
        max_bytes_(max_bytes),
        file_bytes_(file_bytes),
        mapped_(mapped),
        calls_(calls) {}

  const File& file_;
  const uint64_t begin_;
  const uint64_t max_bytes_;
  // As long as it is known to be, at least.
  uint64_t file_bytes_;
  const std::byte* const mapped_;
  SystemCalls& calls_;
};

}  // namespace granary::blob

#endif  // GRANARY_MEMORY_REGION_BLOB_BACKING_H_
