#include "pool/buffer/memory_page_store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "memory/little_endian.h"

namespace granary {

namespace {

tl::unexpected<Error> Failed(ErrorCode code, const std::string& name, const std::string& what,
                             const char* where) {
  return tl::unexpected(Error{.code = code, .message = name + ": " + what, .where = where});
}

}  // namespace

Expected<std::unique_ptr<MemoryPageStore>> MemoryPageStore::Create(const Options& options) {
  constexpr const char* kWhere = "MemoryPageStore::Create";
  if (!IsPageSize(options.page_bytes)) {
    return Failed(ErrorCode::kInvalidArgument, options.name,
                  "pages of " + std::to_string(options.page_bytes) +
                      " bytes; a power of two from " + std::to_string(kPageBytesMin) + " to " +
                      std::to_string(kPageBytesMax) + " is asked for",
                  kWhere);
  }
  const bool keeps = options.contents == MemoryPages::kKeep;
  const uint64_t most = std::numeric_limits<size_t>::max() / 2 / options.page_bytes;
  uint64_t capacity = options.capacity_pages;
  if (capacity == 0) capacity = keeps ? options.pages : most;
  if (options.pages > capacity || capacity > most) {
    return Failed(ErrorCode::kInvalidArgument, options.name,
                  std::to_string(options.pages) + " pages of " +
                      std::to_string(options.page_bytes) + " bytes, of at most " +
                      std::to_string(capacity) + "; no store has more than " + std::to_string(most),
                  kWhere);
  }
  SystemMemory memory;
  if (keeps && capacity != 0) {
    auto reserved = SystemMemory::Reserve(
        {.reserve_bytes = capacity * options.page_bytes, .system_calls = options.system_calls});
    if (!reserved) return tl::unexpected(std::move(reserved.error()));
    memory = std::move(*reserved);
  }
  return std::unique_ptr<MemoryPageStore>(
      new MemoryPageStore(options, capacity, std::move(memory)));
}

MemoryPageStore::MemoryPageStore(const Options& options, uint64_t capacity_pages,
                                 SystemMemory memory)
    : PageStore(options.page_bytes),
      name_(options.name),
      contents_(options.contents),
      capacity_pages_(capacity_pages),
      memory_(std::move(memory)),
      count_(options.pages) {}

IoLimits MemoryPageStore::Limits() const noexcept { return {}; }

void MemoryPageStore::Read(std::span<PageRead> pages) noexcept {
  for (PageRead& read : pages) {
    if (read.page >= PageCount()) {
      read.error_number = ENODATA;
      continue;
    }
    if (contents_ == MemoryPages::kKeep) {
      std::memcpy(read.bytes, At(read.page), page_bytes());
    } else {
      PutFixed(read.bytes, read.page);
    }
    read.error_number = 0;
  }
}

void MemoryPageStore::Write(std::span<PageWrite> pages) noexcept {
  for (PageWrite& write : pages) write.error_number = WriteOne(write);
}

int MemoryPageStore::WriteOne(const PageWrite& write) noexcept {
  if (write.page >= capacity_pages_) return ENOSPC;
  std::unique_lock<std::mutex> growing;
  if (write.page >= PageCount()) growing = std::unique_lock(growth_);
  if (contents_ == MemoryPages::kKeep) std::memcpy(At(write.page), write.bytes, page_bytes());
  if (growing.owns_lock() && write.page >= PageCount()) {
    count_.store(write.page + 1, std::memory_order_release);
  }
  return 0;
}

Expected<void> MemoryPageStore::Extend(uint64_t pages) {
  if (pages > capacity_pages_) {
    return Failed(
        ErrorCode::kOutOfMemory, name_,
        std::to_string(pages) + " pages; it has room for " + std::to_string(capacity_pages_),
        "MemoryPageStore::Extend");
  }
  const std::lock_guard growing(growth_);
  if (pages > PageCount()) count_.store(pages, std::memory_order_release);
  return {};
}

Expected<void> MemoryPageStore::Truncate(uint64_t pages) {
  const std::lock_guard growing(growth_);
  const uint64_t count = PageCount();
  if (pages >= count) return {};
  if (contents_ == MemoryPages::kKeep) {
    // The system takes whole pages of its own, which then read as zeros. The last of ours may end
    // within one of those.
    const size_t begin = pages * page_bytes();
    const size_t end = count * page_bytes();
    const size_t unit = memory_.page_bytes();
    const size_t first = std::min(end, (begin + unit - 1) / unit * unit);
    if (auto given = memory_.Decommit(begin, memory_.size_bytes() - begin); !given) {
      return tl::unexpected(std::move(given.error()));
    }
    std::memset(memory_.data() + begin, 0, first - begin);
  }
  count_.store(pages, std::memory_order_release);
  return {};
}

}  // namespace granary
