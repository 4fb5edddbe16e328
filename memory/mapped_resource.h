// MappedResource: large blocks, each a mapping of its own, charged for as long as the process has
// it.
//
// For blocks of many kilobytes where what the process has is to be what is counted: malloc keeps
// what is freed to it, and nobody can say how much. Here a free block is kept too, since to fault
// its pages in again takes longer than most uses of it; but it stays charged to the budget, and
// goes back to the system when anybody needs memory. Not for small blocks: sizes are rounded up to
// an eighth.
//
// How it works. Sizes come in classes, eight to a doubling and whole system pages below 64 KiB.
// Each class has a list of free blocks, linked through their first bytes, the last freed first.
//
// Costs. A lock and a few instructions if a block of the class is free; otherwise a charge, a
// system call, and a page fault for each 4 KiB that is touched.
//
// Threading. Any thread. The budget, and so reclaimers, are asked with no lock held.
#ifndef GRANARY_MEMORY_MAPPED_RESOURCE_H_
#define GRANARY_MEMORY_MAPPED_RESOURCE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>

#include "memory/memory_budget.h"
#include "memory/memory_resource.h"
#include "memory/system_calls.h"

namespace granary {

class MappedResource final : public MemoryResource {
 public:
  static constexpr size_t kPageBytes = 4096;
  // The largest block, far above what any machine has.
  static constexpr size_t kMaxBytes = size_t{1} << 46;

  // All blocks, those in use and free ones, are charged to `budget`, which outlives it, as does
  // `calls`.
  explicit MappedResource(MemoryBudget& budget, SystemCalls& calls = SystemCalls::Real()) noexcept
      : MemoryResource(Deallocation::kFrees, kPageBytes), budget_(budget), calls_(calls) {}

  // Every block is back; gives them to the system.
  ~MappedResource() override;

  // What a block of `bytes` takes, at most kMaxBytes.
  static size_t BlockBytes(size_t bytes) noexcept;

  using MemoryResource::TryAllocate;
  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;

  // True if both sizes are of one class.
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;

  // Gives free blocks back to the system, the largest first, until `bytes` are or there are none;
  // returns how many bytes that were.
  size_t Trim(size_t bytes) noexcept;
  size_t Trim() noexcept override { return Trim(SIZE_MAX); }

  // asked_bytes: exactly what callers asked for; used_bytes: their blocks; held_bytes: free ones
  // too.
  MemoryStats Stats() const noexcept override;

  // BudgetExceeded if it was the budget that refused.
  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override;

  MemoryBudget& budget() const noexcept { return budget_; }

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  class FreeBlocks;

  static constexpr size_t kClassCount = 280;

  static size_t ClassOf(size_t bytes) noexcept;
  static size_t ClassBytes(size_t index) noexcept;

  FreeBlock* Pop(size_t index, size_t bytes) noexcept;
  void* Map(size_t held) noexcept;
  void do_deallocate(void* p, size_t bytes, size_t alignment) override;

  MemoryBudget& budget_;
  SystemCalls& calls_;
  mutable std::mutex mutex_;
  // All that follows is guarded by it.
  std::array<FreeBlock*, kClassCount> free_ = {};
  // Read without it, too.
  std::atomic<size_t> free_bytes_ = 0;
  size_t asked_bytes_ = 0;
  size_t used_bytes_ = 0;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_MAPPED_RESOURCE_H_
