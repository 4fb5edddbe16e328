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

Error Invalid(std::string message) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = std::move(message),
          .where = "RegionResource::Create"};
}

}  // namespace

RegionResource::RegionResource(const RegionResourceOptions& options, SystemMemory memory,
                               std::byte* base, size_t size, size_t max_alignment,
                               region::RegionHeap heap) noexcept
    : MemoryResource(Deallocation::kFrees, max_alignment),
      name_(options.name),
      budget_(options.budget),
      memory_(std::move(memory)),
      base_(base),
      size_(size),
      heap_(std::move(heap)) {
  MarkFree(base_, size_);
}

Expected<std::unique_ptr<RegionResource>> RegionResource::Create(
    const RegionResourceOptions& options) {
  const size_t chunk = options.chunk_bytes;
  if (auto valid = region::RegionHeap::CheckChunk(chunk, options.region.grain); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  if (options.reserve_bytes < chunk) {
    return tl::unexpected(Invalid("reserve_bytes, " + std::to_string(options.reserve_bytes) +
                                  ", is less than a chunk"));
  }
  SystemCalls& calls =
      options.system_calls != nullptr ? *options.system_calls : SystemCalls::Real();
  const size_t size = options.reserve_bytes / chunk * chunk;
  auto memory = SystemMemory::Reserve(
      {.reserve_bytes = size, .alignment = kMaxAlignment, .system_calls = options.system_calls});
  if (!memory) return tl::unexpected(std::move(memory.error()));
  auto region = RegionAllocator::Create(size, options.region, calls);
  if (!region) return tl::unexpected(std::move(region.error()));
  std::byte* const base = memory->data();
  return std::unique_ptr<RegionResource>(
      new RegionResource(options, std::move(*memory), base, size, kMaxAlignment,
                         region::RegionHeap(std::move(*region), chunk)));
}

Expected<std::unique_ptr<RegionResource>> RegionResource::CreateOver(
    std::span<std::byte> memory, const RegionResourceOptions& options) {
  const uint64_t grain = options.region.grain;
  if (auto valid = region::RegionHeap::CheckGrain(grain); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
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
  return std::unique_ptr<RegionResource>(new RegionResource(
      own, SystemMemory(), memory.data(), size, alignment, region::RegionHeap(std::move(*region))));
}

RegionResource::~RegionResource() {
  // The caller's memory is the caller's again.
  MarkAllocated(base_, size_);
  if (budget_ != nullptr) budget_->Release(heap_.there_bytes());
}

Range RegionResource::RangeOf(const void* p, size_t bytes) const noexcept {
  // Below the base it comes out far above every size.
  const uint64_t offset = reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(base_);
  return {offset, bytes + (bytes == 0)};
}

size_t RegionResource::Asked(size_t bytes) const noexcept {
  return region().options().track_used ? AlignUp(bytes + (bytes == 0), region().options().grain)
                                       : bytes;
}

// --- Allocating ---------------------------------------------------------------------------------

void* RegionResource::TryAllocate(size_t bytes, size_t alignment) noexcept {
  if (!IsPowerOfTwo(alignment) || alignment > max_alignment() || bytes > size_) return nullptr;
  if (budget_ != nullptr) budget_->ForgetRefusal();
  const auto taken = heap_.Take(bytes + (bytes == 0), alignment);
  if (taken.range.size == 0) return nullptr;
  if (taken.missing_bytes != 0) {
    if (budget_ != nullptr && !budget_->TryCharge(taken.missing_bytes)) {
      heap_.Undo(taken);
      return nullptr;
    }
    (void)heap_.NoteThere(taken.range);
  }
  asked_bytes_ += Asked(bytes);
  MarkAllocated(base_ + taken.range.offset, bytes);
  return base_ + taken.range.offset;
}

bool RegionResource::TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t) noexcept {
  if (new_bytes > size_) return false;
  const Range range = RangeOf(p, old_bytes);
  const auto resized = heap_.Resize(range, new_bytes + (new_bytes == 0));
  if (resized.range.size == 0) return false;
  if (resized.missing_bytes != 0) {
    if (budget_ != nullptr && !budget_->TryCharge(resized.missing_bytes)) {
      heap_.UndoResize(range, resized);
      return false;
    }
    (void)heap_.NoteThere(resized.range);
  }
  asked_bytes_ += Asked(new_bytes) - Asked(old_bytes);
  MarkFree(static_cast<std::byte*>(p) + new_bytes, std::max(old_bytes, new_bytes) - new_bytes);
  MarkAllocated(p, new_bytes);
  return true;
}

// --- Freeing ------------------------------------------------------------------------------------

FreeStatus RegionResource::Free(void* p, size_t bytes) noexcept {
  const Range range = RangeOf(p, bytes);
  const FreeStatus status = heap_.Free(range);
  if (status != FreeStatus::kOk) return status;
  asked_bytes_ -= Asked(bytes);
  MarkFree(p, AlignUp(range.size, region().options().grain));
  return status;
}

FreeStatus RegionResource::Free(void* p) noexcept {
  const size_t bytes = UsableSize(p);
  if (bytes != 0) return Free(p, bytes);
  return Contains(p) ? FreeStatus::kNotAllocated : FreeStatus::kOutOfRange;
}

size_t RegionResource::UsableSize(const void* p) const noexcept {
  if (!Contains(p)) return 0;
  const auto live = region().LiveAt(RangeOf(p, 0).offset);
  return live ? live->size : 0;
}

bool RegionResource::Contains(const void* p) const noexcept { return RangeOf(p, 0).offset < size_; }

void RegionResource::do_deallocate(void* p, size_t bytes, size_t) {
  if (p == nullptr) return;
  const FreeStatus status = Free(p, bytes);
  if (status == FreeStatus::kOk) return;
  AbortOnMisuse("region '%s': free of %zu bytes at %p: %s", name_, bytes, p,
                FreeStatusName(status));
}

size_t RegionResource::Trim() noexcept {
  const size_t given = heap_.Trim(
      SIZE_MAX, [this](uint64_t offset, size_t bytes) { (void)memory_.Decommit(offset, bytes); });
  if (budget_ != nullptr) budget_->Release(given);
  return given;
}

MemoryStats RegionResource::Stats() const noexcept {
  return {.asked_bytes = asked_bytes_,
          .used_bytes = region().Stats().used_bytes,
          .held_bytes = heap_.there_bytes()};
}

void RegionResource::ThrowRefusal(size_t bytes, size_t alignment) const {
  if (budget_ != nullptr && budget_->has_refused()) budget_->ThrowRefusal(bytes);
  MemoryResource::ThrowRefusal(bytes, alignment);
}

}  // namespace granary
