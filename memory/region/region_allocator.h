// RegionAllocator: best fit over offsets, exact, and safe against bad frees.
//
//   auto region = granary::RegionAllocator::Create(size_t{1} << 30);
//   const OptionalRange range = region->Allocate(100'000, 4096);
//   ...
//   if (region->Free(*range) != FreeStatus::kOk) ...
//
// For what is neither a page nor a query's scratch: file extents, device memory, shared memory,
// large values. It never reads or writes what it manages, and knows nothing of it but its size.
//
// When not: for objects that die together (Arena), for pages of one size (PagePool); RegionResource
// is this over memory.
//
// How it works. Free ranges are in two red-black trees, by address and by size, and small ones
// instead of the second in bins of one size each (FreeIndex). Free neighbours are always merged.
// What is not free is used: a live range takes no memory, unless the region is tracked.
//
// What it promises. A request is refused only if no free range can hold it. With the default fit
// and no alignment it comes from the smallest range that can; with one, from one of the eight
// smallest that are large enough, if these have room at the right place. A free that touches a free
// byte, or lies outside, is refused and changes nothing; in tracked mode, so is every free of what
// is not a part of one live range.
//
// Costs. A small request that a bin has exactly: a few dozen instructions. Any other, and a free:
// O(log F) comparisons in the number of free ranges, one descent for a free. Fit::kLowest and
// kHighest, and alignments that nothing large enough offers, look at ranges one by one. 32 bytes a
// free range (40 where there are 2^32 grains or more), and a live one in tracked mode; no malloc
// after Create.
//
// Threading. One thread at a time.
//
// Sources: FreeIndex; statuses and deferred frees after WiredTiger's extent lists.
#ifndef GRANARY_MEMORY_REGION_REGION_ALLOCATOR_H_
#define GRANARY_MEMORY_REGION_REGION_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>

#include "memory/error.h"
#include "memory/region/region_types.h"
#include "memory/system_calls.h"

namespace granary {

struct RegionImage;

namespace region {
template <class Units>
struct RangeRecord;
struct NoProbe;
template <class Units, class Probe>
class RegionCore;
}  // namespace region

class RegionAllocator {
 public:
  // Sizes are up to this.
  static constexpr uint64_t kSizeMax = uint64_t{1} << 63;

  // A region of `size` bytes, a multiple of the grain, all of them free. kInvalidArgument for
  // options that make no sense, kOutOfMemory where there is no address space for the records.
  // `calls` outlives it.
  static Expected<RegionAllocator> Create(uint64_t size, const RegionOptions& options = {},
                                          SystemCalls& calls = SystemCalls::Real());

  // The region that the image is of: it gives the same offsets from here on. kInvalidArgument, with
  // what is wrong, for an image that is of no region; kOutOfMemory as Create. O(F + P + L).
  static Expected<RegionAllocator> FromImage(const RegionImage& image,
                                             SystemCalls& calls = SystemCalls::Real());

  RegionAllocator(RegionAllocator&& other) noexcept;
  RegionAllocator& operator=(RegionAllocator&& other) noexcept;
  ~RegionAllocator();

  // --- Allocating -------------------------------------------------------------------------------

  // `bytes`, rounded up to the grain, at a multiple of `alignment`, a power of two. Nothing for a
  // size of zero, another alignment, and where nothing free can hold it.
  [[nodiscard]] OptionalRange Allocate(uint64_t bytes, uint64_t alignment = 1) noexcept {
    return Allocate(bytes, alignment, options_.fit);
  }
  [[nodiscard]] OptionalRange Allocate(uint64_t bytes, uint64_t alignment, Fit fit) noexcept;

  // True if all of `range`, whose offset is a multiple of the grain, was free, and is allocated
  // now.
  [[nodiscard]] bool Reserve(Range range) noexcept;

  // All of `sizes`, into as much of `out`, or none. The largest are looked for first. Sorts a copy:
  // may throw std::bad_alloc before anything has changed.
  [[nodiscard]] bool AllocateMany(std::span<const uint64_t> sizes, std::span<Range> out,
                                  uint64_t alignment = 1);

  // Whether Allocate would succeed now with the default fit. O(log F), but for alignments that
  // nothing large enough offers.
  bool CanAllocate(uint64_t bytes, uint64_t alignment = 1) const noexcept;

  // --- Freeing ----------------------------------------------------------------------------------

  // A range that was allocated, or a part of one; its size is rounded up to the grain. A size of
  // zero is kOk and nothing.
  FreeStatus Free(Range range) noexcept;
  // Tracked mode: all of the live range that begins at `offset`.
  FreeStatus FreeAt(uint64_t offset) noexcept;
  // Tracked mode: the live range that begins at `offset`.
  OptionalRange LiveAt(uint64_t offset) const noexcept;

  // All of `ranges`, which are sorted in place, or none: then the status of the first that is bad,
  // which may be that it overlaps another of them.
  FreeStatus FreeMany(std::span<Range> ranges) noexcept;

  // Frees `range` when ReleaseUpTo is called with `epoch` or a later one: until then it is pending,
  // neither used nor free. Epochs do not fall from one call to the next. It takes a record.
  FreeStatus FreeDeferred(Range range, uint64_t epoch) noexcept;
  // Returns how many bytes became free.
  uint64_t ReleaseUpTo(uint64_t epoch) noexcept;

  // --- In place ---------------------------------------------------------------------------------

  enum class Grow : uint8_t {
    kForward,   // Its begin stays.
    kBackward,  // Its end stays.
  };
  // Makes `range`, which was allocated as it is, `bytes` large where it is. Nothing, and nothing
  // has changed, if the free range beside it is too small; a shrink succeeds unless the range is
  // bad.
  OptionalRange Resize(Range range, uint64_t bytes, Grow grow = Grow::kForward) noexcept;

  // --- Size -------------------------------------------------------------------------------------

  // Adds free bytes at the end. kInvalidArgument for a size that is smaller, too large, or no
  // multiple of the grain; kOutOfMemory if larger records are needed and there is no room for them.
  Expected<void> Extend(uint64_t new_size);
  // False, and nothing has changed, unless all bytes above `new_size` are free.
  [[nodiscard]] bool Truncate(uint64_t new_size) noexcept;
  // Truncates behind the last byte that is not free; returns how many bytes went.
  uint64_t TrimTail() noexcept;

  // --- Questions --------------------------------------------------------------------------------

  const RegionOptions& options() const noexcept { return options_; }
  uint64_t size_bytes() const noexcept;
  // O(1).
  RegionStats Stats() const noexcept;
  // O(F).
  RegionHistogram Histogram() const noexcept;

  // Calls `visit(Range)` for the free ranges, or for what lies between them, in order of their
  // offsets; those at the ends of `within` are cut off there.
  void ForEachFree(Range within, const std::function<void(Range)>& visit) const;
  void ForEachUsed(Range within, const std::function<void(Range)>& visit) const;
  // Of all of it.
  void ForEachFree(const std::function<void(Range)>& visit) const {
    ForEachFree({0, size_bytes()}, visit);
  }
  void ForEachUsed(const std::function<void(Range)>& visit) const {
    ForEachUsed({0, size_bytes()}, visit);
  }

  // All that it knows, for what stores or inspects it. O(F + P + L); may throw std::bad_alloc.
  RegionImage Image() const;

  // Looks at everything: orders, overlaps, neighbours that touch, both indexes, the trees' colours,
  // all sums. An error says what is wrong; it can only come from a stray write, or a bug. O(F + L).
  Expected<void> Validate() const;

  // {"size": ..., "grain": ..., "used": ..., "free": [[offset, size], ...]}
  void DumpJson(std::ostream& out) const;

  // --- For who takes an allocation back as if it had not been ------------------------------------

  // What Stats() remembers of the past.
  struct Marks {
    uint64_t peak_grains = 0;
    uint64_t high_water_grains = 0;
  };
  Marks marks() const noexcept;
  // As they were before an Allocate or a Resize that Free or Resize has just undone.
  void RestoreMarks(const Marks& marks) noexcept;

 private:
  using Compact = region::RegionCore<uint32_t, region::NoProbe>;
  using Wide = region::RegionCore<uint64_t, region::NoProbe>;

  RegionAllocator(const RegionOptions& options, SystemCalls& calls) noexcept;

  // Calls `action(core)` for the one that there is.
  template <class Action>
  decltype(auto) With(const Action& action) const;

  // The grain that begins at an offset.
  uint64_t UnitOf(uint64_t offset) const noexcept;
  uint64_t UnitsFor(uint64_t bytes) const noexcept;
  // The alignment of offsets in grains, 0 if `alignment` is no power of two.
  uint64_t UnitAlignment(uint64_t alignment) const noexcept;
  // Whether it lies within the region, on the grain; kOk if so.
  FreeStatus Check(Range range) const noexcept;
  // Makes sure that records are wide enough for `units`, and that there is room for as many as they
  // may need.
  Expected<void> MakeRoomFor(uint64_t units);

  RegionOptions options_;
  SystemCalls* calls_;
  // Of a grain that is a power of two; otherwise negative.
  int grain_log2_;
  std::unique_ptr<Compact> compact_;
  std::unique_ptr<Wide> wide_;
  uint64_t failures_ = 0;
  uint64_t failed_bytes_ = 0;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_REGION_ALLOCATOR_H_
