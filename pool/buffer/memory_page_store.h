// MemoryPageStore: pages that are nowhere but in memory.
//
// Choose it for tests, and to see what a buffer pool costs by itself: a read is a copy, and under
// kDiscard not even that.
//
//   auto store = granary::MemoryPageStore::Create({.pages = 1000});
//
// It has a range of addresses for `capacity_pages`, and memory for the pages that were written; a
// page that never was reads as zeros and takes none. Nothing is charged to a budget.
//
// Costs. A page that exists: one load of the count and one copy, no lock. A page that is added: a
// lock that adding, Extend and Truncate share.
#ifndef GRANARY_POOL_BUFFER_MEMORY_PAGE_STORE_H_
#define GRANARY_POOL_BUFFER_MEMORY_PAGE_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "memory/error.h"
#include "memory/system_memory.h"
#include "pool/buffer/page_store.h"

namespace granary {

class SystemCalls;

// What a MemoryPageStore does with what it is given.
enum class MemoryPages : uint8_t {
  kKeep,     // As a file does.
  kDiscard,  // Drops it. A read puts the page's number into the first 8 bytes, little endian, and
             // leaves the others: for simulations, in which nobody looks.
};

struct MemoryPageStoreOptions {
  size_t page_bytes = 4096;
  // What it has from the start; they read as zeros.
  uint64_t pages = 0;
  // What it has at most; 0 for `pages` under kKeep, and for as many as there are numbers under
  // kDiscard, which takes no memory for them.
  uint64_t capacity_pages = 0;
  MemoryPages contents = MemoryPages::kKeep;
  // What messages call it.
  std::string name = "memory";
  // Null for the real ones; a test passes its own, which outlive the store.
  SystemCalls* system_calls = nullptr;
};

class MemoryPageStore final : public PageStore {
 public:
  using Options = MemoryPageStoreOptions;

  // kInvalidArgument: no page size, or more pages than the capacity. kOutOfMemory: the system has
  // no such range of addresses.
  static Expected<std::unique_ptr<MemoryPageStore>> Create(const Options& options);

  void Read(std::span<PageRead> pages) noexcept override;
  // ENOSPC for pages beyond the capacity.
  void Write(std::span<PageWrite> pages) noexcept override;
  // There is nothing to do: nothing is durable.
  Expected<void> Sync() override { return {}; }
  uint64_t PageCount() const noexcept override { return count_.load(std::memory_order_acquire); }
  // kOutOfMemory beyond the capacity.
  Expected<void> Extend(uint64_t pages) override;
  Expected<void> Truncate(uint64_t pages) override;
  IoLimits Limits() const noexcept override;
  std::string_view name() const noexcept override { return name_; }

  uint64_t capacity_pages() const noexcept { return capacity_pages_; }

 private:
  MemoryPageStore(const Options& options, uint64_t capacity_pages, SystemMemory memory);

  std::byte* At(uint64_t page) const noexcept { return memory_.data() + page * page_bytes(); }
  int WriteOne(const PageWrite& write) noexcept;

  const std::string name_;
  const MemoryPages contents_;
  const uint64_t capacity_pages_;
  // Of no bytes under kDiscard.
  SystemMemory memory_;
  // Raised after a page is written: whoever sees the count sees the page.
  std::atomic<uint64_t> count_;
  // Who changes the count has it.
  std::mutex growth_;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_MEMORY_PAGE_STORE_H_
