#include "memory/region/region_heap.h"

#include <algorithm>
#include <bit>
#include <string>

namespace granary::region {

namespace {

constexpr size_t kSystemPageBytes = 4096;

tl::unexpected<Error> Invalid(std::string message) {
  return tl::unexpected(Error{.code = ErrorCode::kInvalidArgument,
                              .message = std::move(message),
                              .where = "RegionHeap::Check"});
}

}  // namespace

Expected<void> RegionHeap::CheckGrain(uint64_t grain) {
  if (grain >= 8 && std::has_single_bit(grain)) return {};
  return Invalid("the grain, " + std::to_string(grain) + ", is no power of two of at least 8");
}

Expected<void> RegionHeap::CheckChunk(size_t chunk_bytes, uint64_t grain) {
  if (auto valid = CheckGrain(grain); !valid) return valid;
  if (chunk_bytes != 0 && chunk_bytes % grain == 0 && chunk_bytes % kSystemPageBytes == 0) {
    return {};
  }
  return Invalid("chunk_bytes, " + std::to_string(chunk_bytes) +
                 ", is no multiple of the grain and of 4096");
}

RegionHeap::RegionHeap(RegionAllocator region, size_t chunk_bytes)
    : region_(std::move(region)),
      chunk_bytes_(chunk_bytes),
      there_bytes_(0),
      there_((region_.size_bytes() / chunk_bytes + 63) / 64) {}

RegionHeap::RegionHeap(RegionAllocator region)
    : region_(std::move(region)), there_bytes_(region_.size_bytes()) {}

size_t RegionHeap::MissingBytes(Range range) const noexcept {
  if (chunk_bytes_ == 0) return 0;
  size_t missing = 0;
  const size_t last = (range.end() - 1) / chunk_bytes_;
  for (size_t chunk = range.offset / chunk_bytes_; chunk <= last; ++chunk) {
    missing += IsThere(chunk) ? 0 : chunk_bytes_;
  }
  return missing;
}

RegionHeap::Taken RegionHeap::Take(size_t bytes, size_t alignment) noexcept {
  Taken taken{.range = {}, .before = region_.marks()};
  taken.range = *region_.Allocate(bytes, alignment);
  if (taken.range.size != 0) taken.missing_bytes = MissingBytes(taken.range);
  return taken;
}

RegionHeap::Taken RegionHeap::Resize(Range range, size_t bytes) noexcept {
  Taken taken{.range = {}, .before = region_.marks()};
  taken.range = *region_.Resize(range, bytes, RegionAllocator::Grow::kForward);
  if (taken.range.size != 0) taken.missing_bytes = MissingBytes(taken.range);
  return taken;
}

void RegionHeap::Undo(const Taken& taken) noexcept {
  (void)region_.Free(taken.range);
  region_.RestoreMarks(taken.before);
}

void RegionHeap::UndoResize(Range range, const Taken& taken) noexcept {
  (void)region_.Resize(taken.range, range.size, RegionAllocator::Grow::kForward);
  region_.RestoreMarks(taken.before);
}

size_t RegionHeap::NoteThere(Range range) noexcept {
  if (chunk_bytes_ == 0) return 0;
  const size_t before = there_bytes_;
  const size_t last = (range.end() - 1) / chunk_bytes_;
  for (size_t chunk = range.offset / chunk_bytes_; chunk <= last; ++chunk) {
    if (IsThere(chunk)) continue;
    there_[chunk / 64] |= uint64_t{1} << (chunk % 64);
    there_bytes_ += chunk_bytes_;
  }
  return there_bytes_ - before;
}

size_t RegionHeap::Trim(size_t bytes_max,
                        const std::function<void(uint64_t, size_t)>& give_back) noexcept {
  if (chunk_bytes_ == 0) return 0;
  size_t given = 0;
  region_.ForEachFree([&](Range free) {
    const size_t end = free.end() / chunk_bytes_;
    size_t chunk = (free.offset + chunk_bytes_ - 1) / chunk_bytes_;
    while (chunk < end && given < bytes_max && there_bytes_ != 0) {
      if (!IsThere(chunk)) {
        // The tail of a region that was reserved large is one range with nothing there.
        const uint64_t rest = there_[chunk / 64] >> (chunk % 64);
        chunk += rest != 0 ? static_cast<size_t>(std::countr_zero(rest)) : 64 - chunk % 64;
        continue;
      }
      const size_t first = chunk;
      for (; chunk < end && given < bytes_max && IsThere(chunk); ++chunk) {
        there_[chunk / 64] &= ~(uint64_t{1} << (chunk % 64));
        there_bytes_ -= chunk_bytes_;
        given += chunk_bytes_;
      }
      give_back(first * chunk_bytes_, (chunk - first) * chunk_bytes_);
    }
  });
  return given;
}

}  // namespace granary::region
