// Space: which bytes of a region a store may write. Internal to memory/region.
//
// A used range is in one of three states, as WiredTiger's block manager has them:
//
//   allocated   since the last checkpoint. Nobody needs it after a crash: freed, it is free at
//   once. retired     freed since, but the last checkpoint has it: it stays as it is until the next
//   one
//               is durable and nobody reads an older one, and only then is it free.
//   free        may be written.
//
// Which of the first two a range takes when it is freed the caller knows (Extent::is_checkpointed).
#ifndef GRANARY_MEMORY_REGION_BLOB_SPACE_H_
#define GRANARY_MEMORY_REGION_BLOB_SPACE_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "memory/error.h"
#include "memory/region/blob_backing.h"
#include "memory/region/region_allocator.h"

namespace granary::blob {

class Space {
 public:
  // `backing` outlives it.
  Space(RegionAllocator region, Backing& backing, uint64_t max_bytes) noexcept
      : region_(std::move(region)), backing_(backing), max_bytes_(max_bytes) {}

  RegionAllocator& region() noexcept { return region_; }
  const RegionAllocator& region() const noexcept { return region_; }

  // Of the smallest free range, or the lowest; the region grows if there is none. kOutOfMemory.
  Expected<Range> Allocate(uint64_t bytes, Fit fit = Fit::kBest);
  // `range` becomes so long where it is, if it can. It may be the region's last, and grow with it.
  std::optional<Range> Resize(Range range, uint64_t bytes);

  // Allocated: free now. kOutOfMemory, and nothing has changed, for want of records.
  Expected<void> Free(Range range);
  // The same where nobody could do anything about it: then it is lost until the store is opened
  // again.
  void FreeOrLose(Range range) noexcept;
  // Checkpointed: free when Release has been called with `checkpoint`, which is the first that does
  // not have it.
  Expected<void> Retire(Range range, uint64_t checkpoint);
  void RetireOrLose(Range range, uint64_t checkpoint) noexcept;
  // Returns how many bytes became free.
  uint64_t Release(uint64_t checkpoint) noexcept { return region_.ReleaseUpTo(checkpoint); }

  // Gives the free end of the region back; returns how many bytes the backing lost.
  Expected<uint64_t> TruncateTail();

  uint64_t lost_bytes() const noexcept { return lost_bytes_; }

 private:
  // Makes `bytes` free behind `used_end`, where the region ends now.
  Expected<void> GrowTo(uint64_t used_end, uint64_t bytes);
  uint64_t RoundUp(uint64_t bytes) const noexcept;

  RegionAllocator region_;
  Backing& backing_;
  const uint64_t max_bytes_;
  uint64_t lost_bytes_ = 0;
};

}  // namespace granary::blob

#endif  // GRANARY_MEMORY_REGION_BLOB_SPACE_H_
