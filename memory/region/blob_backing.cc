#include "memory/region/blob_backing.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "memory/sanitizer.h"
#include "memory/system_calls.h"

namespace granary::blob {

// --- Memory -------------------------------------------------------------------------------------

Expected<std::unique_ptr<MemoryBacking>> MemoryBacking::Create(uint64_t max_bytes,
                                                               SystemCalls* calls) {
  auto memory = SystemMemory::Reserve({.reserve_bytes = static_cast<size_t>(max_bytes),
                                       .commit = CommitPolicy::kOnRequest,
                                       .system_calls = calls});
  if (!memory) return tl::unexpected(std::move(memory.error()));
  std::byte* const base = memory->data();
  return std::unique_ptr<MemoryBacking>(new MemoryBacking(std::move(*memory), base, max_bytes, 0));
}

std::unique_ptr<MemoryBacking> MemoryBacking::Over(std::span<std::byte> memory) {
  MarkFree(memory.data(), memory.size());
  return std::unique_ptr<MemoryBacking>(
      new MemoryBacking(SystemMemory(), memory.data(), memory.size(), memory.size()));
}

MemoryBacking::~MemoryBacking() {
  // The caller's memory is the caller's again.
  MarkReadable(base_, static_cast<size_t>(capacity_bytes_));
}

Expected<void> MemoryBacking::Grow(uint64_t bytes) {
  if (bytes <= capacity_bytes_) return {};
  // Rounded up it may be above max_bytes, but not above what is reserved.
  const uint64_t wanted = std::min<uint64_t>((bytes + (kStepBytes - 1)) / kStepBytes * kStepBytes,
                                             memory_.size_bytes());
  if (auto done = memory_.Commit(capacity_bytes_, static_cast<size_t>(wanted - capacity_bytes_));
      !done) {
    return done;
  }
  MarkFree(base_ + capacity_bytes_, static_cast<size_t>(wanted - capacity_bytes_));
  capacity_bytes_ = wanted;
  return {};
}

Expected<uint64_t> MemoryBacking::ShrinkTo(uint64_t bytes) {
  const uint64_t kept = (bytes + (kStepBytes - 1)) / kStepBytes * kStepBytes;
  if (memory_.data() == nullptr || kept >= capacity_bytes_) return 0;
  const uint64_t gone = capacity_bytes_ - kept;
  MarkReadable(base_ + kept, static_cast<size_t>(gone));
  if (auto done = memory_.Decommit(kept, static_cast<size_t>(gone)); !done) {
    MarkFree(base_ + kept, static_cast<size_t>(gone));
    return tl::unexpected(std::move(done.error()));
  }
  capacity_bytes_ = kept;
  return gone;
}

Expected<void> MemoryBacking::Write(uint64_t offset, std::span<const std::byte> bytes) {
  MarkAllocated(base_ + offset, bytes.size());
  std::memmove(base_ + offset, bytes.data(), bytes.size());
  return {};
}

Expected<void> MemoryBacking::Read(uint64_t offset, std::span<std::byte> bytes) const {
  std::memcpy(bytes.data(), base_ + offset, bytes.size());
  return {};
}

void MemoryBacking::Forget(Range range) noexcept {
  MarkFree(base_ + range.offset, static_cast<size_t>(range.size));
}

// --- A file -------------------------------------------------------------------------------------

Expected<std::unique_ptr<FileBacking>> FileBacking::Create(const File& file, uint64_t begin,
                                                           uint64_t max_bytes, bool is_mapped,
                                                           SystemCalls* calls) {
  const auto size = file.Size();
  if (!size) return tl::unexpected(size.error());
  const std::byte* mapped = nullptr;
  if (is_mapped) {
    void* const address =
        file.calls().Map(file.descriptor(), static_cast<size_t>(begin + max_bytes), PROT_READ, 0);
    if (address == MAP_FAILED) {
      return tl::unexpected(
          Error{.code = errno == ENOMEM ? ErrorCode::kOutOfMemory : ErrorCode::kIo,
                .message = file.path() + ": " + std::to_string(begin + max_bytes) +
                           " bytes cannot be mapped: " + std::strerror(errno),
                .where = "FileBacking::Create",
                .system_errno = errno});
    }
    mapped = static_cast<const std::byte*>(address);
  }
  return std::unique_ptr<FileBacking>(
      new FileBacking(file, begin, max_bytes, std::max(*size, begin), mapped,
                      calls != nullptr ? *calls : SystemCalls::Real()));
}

FileBacking::~FileBacking() {
  if (mapped_ == nullptr) return;
  (void)calls_.Unmap(const_cast<std::byte*>(mapped_), static_cast<size_t>(begin_ + max_bytes_));
}

Expected<uint64_t> FileBacking::ShrinkTo(uint64_t bytes) {
  const uint64_t kept = begin_ + bytes;
  if (kept >= file_bytes_) return 0;
  if (auto done = file_.Truncate(kept); !done) return tl::unexpected(std::move(done.error()));
  return std::exchange(file_bytes_, kept) - kept;
}

Expected<void> FileBacking::Write(uint64_t offset, std::span<const std::byte> bytes) {
  // A write that fails may have made it longer as well.
  file_bytes_ = std::max(file_bytes_, begin_ + offset + bytes.size());
  return file_.WriteAt(begin_ + offset, bytes);
}

Expected<void> FileBacking::Read(uint64_t offset, std::span<std::byte> bytes) const {
  return file_.ReadAt(begin_ + offset, bytes);
}

}  // namespace granary::blob
