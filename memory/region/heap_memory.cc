#include "memory/region/heap_memory.h"

#include <algorithm>
#include <string>
#include <utility>

#include "memory/sanitizer.h"

namespace granary::region {

HeapMemory::HeapMemory(SystemMemory system, std::byte* data, uint64_t limit_bytes,
                       uint64_t chunk_bytes, MemoryBudget* budget) noexcept
    : system_(std::move(system)),
      data_(data),
      limit_bytes_(limit_bytes),
      chunk_bytes_(chunk_bytes),
      budget_(budget) {}

HeapMemory::HeapMemory(HeapMemory&& other) noexcept
    : system_(std::move(other.system_)),
      data_(std::exchange(other.data_, nullptr)),
      limit_bytes_(other.limit_bytes_),
      chunk_bytes_(other.chunk_bytes_),
      budget_(other.budget_),
      held_bytes_(std::exchange(other.held_bytes_, 0)) {}

HeapMemory::~HeapMemory() {
  if (data_ == nullptr) return;
  // The addresses are somebody else's from now on.
  MarkAllocated(data_, limit_bytes_);
  if (budget_ != nullptr) budget_->Release(held_bytes_);
}

Expected<HeapMemory> HeapMemory::Reserve(const HeapOptions& options) {
  auto system = SystemMemory::Reserve({.reserve_bytes = options.limit_bytes,
                                       .alignment = kMaxAlignment,
                                       .commit = CommitPolicy::kOnRequest,
                                       .system_calls = options.system_calls});
  if (!system) return tl::unexpected(std::move(system.error()));
  std::byte* const data = system->data();
  MarkFree(data, options.limit_bytes);
  return HeapMemory(std::move(*system), data, options.limit_bytes, options.chunk_bytes,
                    options.budget);
}

HeapMemory HeapMemory::Over(std::span<std::byte> memory) noexcept {
  MarkFree(memory.data(), memory.size());
  return HeapMemory(SystemMemory(), memory.data(), memory.size(), 0, nullptr);
}

HeapMemory HeapMemory::None(uint64_t limit_bytes) noexcept {
  return HeapMemory(SystemMemory(), nullptr, limit_bytes, 0, nullptr);
}

Expected<void> HeapMemory::GrowTo(uint64_t end) {
  if (chunk_bytes_ == 0 || end <= held_bytes_) return {};
  // The last chunk may be cut off by the limit. A part of one may be there already.
  const uint64_t whole = (end - 1) / chunk_bytes_ * chunk_bytes_;
  const uint64_t more =
      (limit_bytes_ - whole < chunk_bytes_ ? limit_bytes_ : whole + chunk_bytes_) - held_bytes_;
  if (budget_ != nullptr && !budget_->TryCharge(more)) {
    return tl::unexpected(Error{.code = ErrorCode::kOutOfMemory,
                                .message = "the budget refused " + std::to_string(more) +
                                           " bytes more than " + std::to_string(held_bytes_),
                                .where = "CompactingHeap::Allocate"});
  }
  if (auto committed = system_.Commit(held_bytes_, more); !committed) {
    if (budget_ != nullptr) budget_->Release(more);
    return tl::unexpected(std::move(committed.error()));
  }
  held_bytes_ += more;
  return {};
}

uint64_t HeapMemory::ShrinkTo(uint64_t end, uint64_t bytes_max) noexcept {
  if (chunk_bytes_ == 0 || end >= held_bytes_) return 0;
  const uint64_t above = held_bytes_ - end;
  if (above / 2 < chunk_bytes_) return 0;
  const uint64_t kept = ((end + chunk_bytes_ - 1) / chunk_bytes_ + 1) * chunk_bytes_;
  if (kept >= held_bytes_) return 0;
  const uint64_t less = std::min(bytes_max, held_bytes_ - kept);
  const uint64_t page_bytes = system_.page_bytes();
  return GiveBackFrom(
      std::min(held_bytes_, (held_bytes_ - less + page_bytes - 1) / page_bytes * page_bytes));
}

uint64_t HeapMemory::TrimTo(uint64_t end) noexcept {
  if (chunk_bytes_ == 0) return 0;
  const uint64_t chunks = end / chunk_bytes_ + (end % chunk_bytes_ != 0);
  return GiveBackFrom(std::min(held_bytes_, chunks * chunk_bytes_));
}

uint64_t HeapMemory::GiveBackFrom(uint64_t kept) noexcept {
  const uint64_t less = held_bytes_ - kept;
  if (less == 0 || !system_.Decommit(kept, less)) return 0;
  held_bytes_ = kept;
  if (budget_ != nullptr) budget_->Release(less);
  return less;
}

}  // namespace granary::region
