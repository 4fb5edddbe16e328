#include "memory/region/blob_space.h"

#include <string>

namespace granary::blob {

namespace {

Error OutOfMemory(std::string message, const char* where) {
  return {.code = ErrorCode::kOutOfMemory, .message = std::move(message), .where = where};
}

Expected<void> Freed(FreeStatus status, Range range, const char* where) {
  if (status == FreeStatus::kOk) return {};
  return tl::unexpected(OutOfMemory("the range of " + std::to_string(range.size) + " bytes at " +
                                        std::to_string(range.offset) +
                                        " cannot be freed: " + FreeStatusName(status),
                                    where));
}

}  // namespace

uint64_t Space::RoundUp(uint64_t bytes) const noexcept {
  const uint64_t grain = region_.options().grain;
  return (bytes + (grain - 1)) / grain * grain;
}

Expected<Range> Space::Allocate(uint64_t bytes, Fit fit) {
  if (bytes > max_bytes_) {
    return tl::unexpected(OutOfMemory(
        std::to_string(bytes) + " bytes are more than the region's " + std::to_string(max_bytes_),
        "Space::Allocate"));
  }
  if (const auto range = region_.Allocate(bytes, 1, fit)) return *range;
  const uint64_t size = region_.size_bytes();
  // What is free at the end is smaller than that: otherwise it had been taken.
  const uint64_t used_end = size - region_.TrimTail();
  auto grown = GrowTo(used_end, bytes);
  if (!grown) {
    // The record that the end had is there.
    (void)region_.Extend(size);
    return tl::unexpected(std::move(grown.error()));
  }
  if (const auto range = region_.Allocate(bytes, 1, fit)) return *range;
  return tl::unexpected(OutOfMemory("no record is left for a range", "Space::Allocate"));
}

Expected<void> Space::GrowTo(uint64_t used_end, uint64_t bytes) {
  const uint64_t more = RoundUp(bytes);
  if (more > max_bytes_ - used_end) {
    return tl::unexpected(OutOfMemory(
        std::to_string(bytes) + " bytes fit nowhere: the region has at most " +
            std::to_string(max_bytes_) + ", used up to " + std::to_string(used_end) + ", and " +
            std::to_string(region_.Stats().free_bytes) + " of these are free",
        "Space::Allocate"));
  }
  if (auto grown = backing_.Grow(used_end + more); !grown) return grown;
  return region_.Extend(used_end + more);
}

std::optional<Range> Space::Resize(Range range, uint64_t bytes) {
  if (auto resized = region_.Resize(range, bytes)) return resized;
  const uint64_t size = region_.size_bytes();
  const uint64_t used_end = size - region_.TrimTail();
  if (bytes <= max_bytes_ && range.end() == used_end && RoundUp(bytes) > range.size &&
      GrowTo(used_end, RoundUp(bytes) - range.size)) {
    return region_.Resize(range, bytes);
  }
  (void)region_.Extend(size);
  return std::nullopt;
}

Expected<void> Space::Free(Range range) { return Freed(region_.Free(range), range, "Space::Free"); }

void Space::FreeOrLose(Range range) noexcept {
  if (region_.Free(range) != FreeStatus::kOk) lost_bytes_ += range.size;
}

Expected<void> Space::Retire(Range range, uint64_t checkpoint) {
  return Freed(region_.FreeDeferred(range, checkpoint), range, "Space::Retire");
}

void Space::RetireOrLose(Range range, uint64_t checkpoint) noexcept {
  if (region_.FreeDeferred(range, checkpoint) != FreeStatus::kOk) lost_bytes_ += range.size;
}

Expected<uint64_t> Space::TruncateTail() {
  const uint64_t size = region_.size_bytes();
  const uint64_t trimmed = region_.TrimTail();
  auto gone = backing_.ShrinkTo(size - trimmed);
  // What the backing still has is free.
  if (!gone && trimmed != 0) (void)region_.Extend(size);
  return gone;
}

}  // namespace granary::blob
