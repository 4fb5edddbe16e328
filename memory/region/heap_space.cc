#include "memory/region/heap_space.h"

#include <array>
#include <string>
#include <utility>

#include "memory/sanitizer.h"
#include "memory/system_calls.h"

namespace granary::region {

namespace {

constexpr int kHolesTriedMax = 4;

uint64_t AlignTo(uint64_t offset, uint64_t alignment) noexcept {
  return (offset + alignment - 1) & ~(alignment - 1);
}

}  // namespace

HeapSpace::HeapSpace(HeapMemory memory, RegionAllocator region, const HeapOptions& options) noexcept
    : memory_(std::move(memory)),
      region_(std::move(region)),
      segments_(options.grain),
      grain_(options.grain),
      limit_bytes_(memory_.limit_bytes() & ~(options.grain - 1)),
      chunk_bytes_(options.chunk_bytes) {}

Expected<HeapSpace> HeapSpace::Create(HeapMemory memory, const HeapOptions& options) {
  SystemCalls& calls =
      options.system_calls != nullptr ? *options.system_calls : SystemCalls::Real();
  // Of its full size first, so that there is room for all the free ranges that there can be: one
  // below each used range, and a few while a block moves.
  auto region = RegionAllocator::Create(
      memory.limit_bytes() & ~(options.grain - 1),
      {.grain = options.grain, .lowest_among_equals = true, .max_ranges = options.max_blocks + 16},
      calls);
  if (!region) return tl::unexpected(std::move(region.error()));
  (void)region->Truncate(0);
  return HeapSpace(std::move(memory), std::move(*region), options);
}

std::optional<uint64_t> HeapSpace::TakeHole(uint64_t bytes, uint64_t alignment) noexcept {
  bytes = RoundUp(bytes);
  auto hole = region_.Allocate(bytes);
  if (!hole) return std::nullopt;
  if (hole->offset % alignment != 0) {
    // RegionAllocator's own search for an aligned place may look at many.
    (void)region_.Free(*hole);
    hole = region_.Allocate(bytes + alignment - grain_);
    if (!hole) return std::nullopt;
    const uint64_t offset = AlignTo(hole->offset, alignment);
    (void)region_.Free({hole->offset, offset - hole->offset});
    (void)region_.Free({offset + bytes, hole->end() - offset - bytes});
    hole = OptionalRange(Range{offset, bytes});
  }
  Count(*hole);
  return hole->offset;
}

std::optional<uint64_t> HeapSpace::TakeHoleBelow(uint64_t limit, uint64_t bytes,
                                                 uint64_t alignment) noexcept {
  std::array<Range, kHolesTriedMax> above = {};
  size_t count = 0;
  std::optional<uint64_t> found;
  while (count < above.size()) {
    const auto offset = TakeHole(bytes, alignment);
    if (!offset) break;
    if (*offset < limit) {
      found = offset;
      break;
    }
    above[count++] = {*offset, RoundUp(bytes)};
  }
  while (count > 0) GiveBack(above[--count]);
  return found;
}

bool HeapSpace::HasRoomAtEnd(uint64_t bytes, uint64_t alignment) const noexcept {
  const uint64_t room = limit_bytes_ - end_;
  const uint64_t gap = AlignTo(end_, alignment) - end_;
  return gap <= room && RoundUp(bytes) <= room - gap;
}

Expected<uint64_t> HeapSpace::TakeAtEnd(uint64_t bytes, uint64_t alignment) {
  bytes = RoundUp(bytes);
  if (!HasRoomAtEnd(bytes, alignment)) {
    return tl::unexpected(
        Error{.code = ErrorCode::kOutOfMemory,
              .message = std::to_string(bytes) + " bytes have no room in one range: the end is " +
                         std::to_string(end_) + " of " + std::to_string(limit_bytes_) +
                         ", the largest hole " + std::to_string(largest_hole_bytes()) +
                         ", free are " + std::to_string(free_bytes()),
              .where = "CompactingHeap::Allocate"});
  }
  const uint64_t offset = AlignTo(end_, alignment);
  if (auto grown = memory_.GrowTo(offset + bytes); !grown) {
    return tl::unexpected(std::move(grown.error()));
  }
  if (auto extended = region_.Extend(offset + bytes); !extended) {
    (void)memory_.ShrinkTo(end_, bytes + chunk_bytes_);
    return tl::unexpected(std::move(extended.error()));
  }
  (void)region_.Reserve({offset, bytes});
  end_ = offset + bytes;
  Count({offset, bytes});
  return offset;
}

bool HeapSpace::TakeExactly(Range range) noexcept {
  if (!region_.Reserve(range)) return false;
  Count(range);
  return true;
}

void HeapSpace::GiveBack(Range range) noexcept {
  const uint64_t end_before = end_;
  Leave(range);
  // A chunk more than what it frees, so that what moves have left behind goes sometime.
  if (end_ < end_before) (void)Shrink(end_before - end_ + chunk_bytes_);
}

void HeapSpace::Leave(Range range) noexcept {
  if (range.size == 0) return;
  (void)region_.Free(range);
  used_ -= range.size;
  segments_.Remove(range);
  if (range.end() != end_) return;
  (void)region_.TrimTail();
  end_ = region_.size_bytes();
  if (end_ == 0) segments_.Reset();
}

}  // namespace granary::region
