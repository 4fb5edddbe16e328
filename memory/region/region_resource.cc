#include "memory/region/region_resource.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "memory/misuse.h"
#include "memory/sanitizer.h"
#include "memory/system_calls.h"

namespace granary {

namespace {

constexpr size_t kSystemPageBytes = 4096;

Error Invalid(std::string message) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = std::move(message),
          .where = "RegionResource::Create"};
}

Expected<void> CheckGrain(uint64_t grain) {
  if (grain >= 8 && std::has_single_bit(grain)) return {};
  return tl::unexpected(
      Invalid("the grain, " + std::to_string(grain) + ", is no power of two of at least 8"));
}

}  // namespace

RegionResource::RegionResource(const RegionResourceOptions& options, SystemMemory memory,
                               std::byte* base, size_t size_max, size_t max_alignment,
                               RegionAllocator region) noexcept
    : MemoryResource(Deallocation::kFrees, max_alignment),
      name_(options.name),
      chunk_bytes_(options.chunk_bytes),
      budget_(options.budget),
      memory_(std::move(memory)),
      base_(base),
      size_max_(size_max),
      region_(std::move(region)) {}

Expected<std::unique_ptr<RegionResource>> RegionResource::Create(
    const RegionResourceOptions& options) {
  if (auto valid = CheckGrain(options.region.grain); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  const size_t chunk = options.chunk_bytes;
  if (chunk == 0 || chunk % options.region.grain != 0 || chunk % kSystemPageBytes != 0) {
    return tl::unexpected(Invalid("chunk_bytes, " + std::to_string(chunk) +
                                  ", is no multiple of the grain and of 4096"));
  }
  if (options.reserve_bytes < chunk) {
    return tl::unexpected(Invalid("reserve_bytes, " + std::to_string(options.reserve_bytes) +
                                  ", is less than a chunk"));
  }
  SystemCalls& calls =
      options.system_calls != nullptr ? *options.system_calls : SystemCalls::Real();
  const size_t size_max = options.reserve_bytes / chunk * chunk;
  auto memory = SystemMemory::Reserve({.reserve_bytes = size_max,
                                       .alignment = kMaxAlignment,
                                       .system_calls = options.system_calls});
  if (!memory) return tl::unexpected(std::move(memory.error()));
  // Of its full size first, so that there is room for all the ranges that there can be.
  auto region = RegionAllocator::Create(size_max, options.region, calls);
  if (!region) return tl::unexpected(std::move(region.error()));
  (void)region->Truncate(0);
  std::byte* const base = memory->data();
  MarkFree(base, size_max);
  return std::unique_ptr<RegionResource>(new RegionResource(
      options, std::move(*memory), base, size_max, kMaxAlignment, std::move(*region)));
}

Expected<std::unique_ptr<RegionResource>> RegionResource::CreateOver(
    std::span<std::byte> memory, const RegionResourceOptions& options) {
  const uint64_t grain = options.region.grain;
  if (auto valid = CheckGrain(grain); !valid) return tl::unexpected(std::move(valid.error()));
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  if (memory.data() == nullptr || address % grain != 0 || memory.size() < grain) {
    return tl::unexpected(Invalid("the memory is not aligned to the grain, or less than one"));
  }
  const size_t size = memory.size() / grain * grain;
  auto region = RegionAllocator::Create(size, options.region);
  if (!region) return tl::unexpected(std::move(region.error()));
  const size_t alignment = std::min(kMaxAlignment, size_t{1} << std::countr_zero(address));
  RegionResourceOptions own = options;
  own.budget = nullptr;
  MarkFree(memory.data(), size);
  return std::unique_ptr<RegionResource>(
      new RegionResource(own, SystemMemory(), memory.data(), size, alignment, std::move(*region)));
}

RegionResource::~RegionResource() {
  // The caller's memory is the caller's again.
  MarkAllocated(base_, size_max_);
  if (budget_ != nullptr) budget_->Release(region_.size_bytes());
}

Range RegionResource::RangeOf(const void* p, size_t bytes) const noexcept {
  // Below the base it comes out far above every size.
  const uint64_t offset = reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(base_);
  return {offset, bytes + (bytes == 0)};
}

size_t RegionResource::Asked(size_t bytes) const noexcept {
  return region_.options().track_used ? AlignUp(bytes + (bytes == 0), region_.options().grain)
                                      : bytes;
}

// --- Allocating ---------------------------------------------------------------------------------

void* RegionResource::TryAllocate(size_t bytes, size_t alignment) noexcept {
  if (!IsPowerOfTwo(alignment) || alignment > max_alignment() || bytes > size_max_) return nullptr;
  const size_t wanted = bytes + (bytes == 0);
  if (budget_ != nullptr) budget_->ForgetRefusal();
  if (!region_.CanAllocate(wanted, alignment) && !GrowBy(wanted + (alignment - 1))) {
    // What is at the end may do, with less than that.
    if (!region_.CanAllocate(wanted, alignment)) return nullptr;
  }
  const auto range = region_.Allocate(wanted, alignment);
  if (!range) return nullptr;
  asked_bytes_ += Asked(bytes);
  MarkAllocated(base_ + range->offset, bytes);
  return base_ + range->offset;
}

bool RegionResource::GrowBy(uint64_t bytes) noexcept {
  const uint64_t size = region_.size_bytes();
  const uint64_t chunks = (bytes + chunk_bytes_ - 1) / chunk_bytes_;
  const uint64_t more = std::min<uint64_t>(chunks * chunk_bytes_, size_max_ - size);
  if (more == 0) return false;
  if (budget_ != nullptr && !budget_->TryCharge(more)) return false;
  if (region_.Extend(size + more)) return more >= bytes;
  if (budget_ != nullptr) budget_->Release(more);
  return false;
}

bool RegionResource::TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t) noexcept {
  if (new_bytes > size_max_) return false;
  const auto resized = region_.Resize(RangeOf(p, old_bytes), new_bytes + (new_bytes == 0),
                                      RegionAllocator::Grow::kForward);
  if (!resized) return false;
  asked_bytes_ += Asked(new_bytes) - Asked(old_bytes);
  MarkFree(static_cast<std::byte*>(p) + new_bytes, std::max(old_bytes, new_bytes) - new_bytes);
  MarkAllocated(p, new_bytes);
  return true;
}

// --- Freeing ------------------------------------------------------------------------------------

FreeStatus RegionResource::Free(void* p, size_t bytes) noexcept {
  const Range range = RangeOf(p, bytes);
  const FreeStatus status = region_.Free(range);
  if (status != FreeStatus::kOk) return status;
  asked_bytes_ -= Asked(bytes);
  MarkFree(p, AlignUp(range.size, region_.options().grain));
  return status;
}

FreeStatus RegionResource::Free(void* p) noexcept {
  const size_t bytes = UsableSize(p);
  if (bytes != 0) return Free(p, bytes);
  return Contains(p) ? FreeStatus::kNotAllocated : FreeStatus::kOutOfRange;
}

size_t RegionResource::UsableSize(const void* p) const noexcept {
  if (!Contains(p)) return 0;
  const auto live = region_.LiveAt(RangeOf(p, 0).offset);
  return live ? live->size : 0;
}

bool RegionResource::Contains(const void* p) const noexcept {
  return RangeOf(p, 0).offset < region_.size_bytes();
}

void RegionResource::do_deallocate(void* p, size_t bytes, size_t) {
  if (p == nullptr) return;
  const FreeStatus status = Free(p, bytes);
  if (status == FreeStatus::kOk) return;
  AbortOnMisuse("region '%s': free of %zu bytes at %p: %s", name_, bytes, p,
                FreeStatusName(status));
}

size_t RegionResource::Trim() noexcept {
  if (memory_.data() == nullptr) return 0;
  const uint64_t size = region_.size_bytes();
  const uint64_t used_end = size - region_.TrimTail();
  const uint64_t kept = AlignUp(used_end, chunk_bytes_);
  // What of the last chunk is free stays so.
  (void)region_.Extend(kept);
  (void)memory_.Decommit(kept, size - kept);
  if (budget_ != nullptr) budget_->Release(size - kept);
  return size - kept;
}

MemoryStats RegionResource::Stats() const noexcept {
  const RegionStats stats = region_.Stats();
  return {
      .asked_bytes = asked_bytes_, .used_bytes = stats.used_bytes, .held_bytes = stats.size_bytes};
}

void RegionResource::ThrowRefusal(size_t bytes, size_t alignment) const {
  if (budget_ != nullptr && budget_->has_refused()) budget_->ThrowRefusal(bytes);
  MemoryResource::ThrowRefusal(bytes, alignment);
}

}  // namespace granary
