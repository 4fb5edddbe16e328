// How much space a RegionAllocator needs for the recordings: exactly that of the reference best
// fit, which takes the lowest range among equals.
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "bench/traces/rep_trace.h"
#include "gtest/gtest.h"
#include "memory/region/region_allocator.h"

namespace granary::bench {
namespace {

// A region that has no more than it needed so far, as a file has. So what is free at its end is one
// of the free ranges, no larger than it is, and is extended where none can hold a request.
class GrowingRegion {
 public:
  explicit GrowingRegion(const RegionOptions& options)
      : region_(RegionAllocator::Create(0, options).value()) {}

  Range Allocate(uint64_t bytes) {
    if (const auto range = region_.Allocate(bytes)) return *range;
    region_.TrimTail();
    ExtendTo(region_.size_bytes() + bytes);
    return region_.Allocate(bytes).value();
  }
  // Where it is if it can be, otherwise an allocation and then a free.
  Range Reallocate(Range range, uint64_t bytes) {
    if (const auto resized = region_.Resize(range, bytes)) return *resized;
    const uint64_t size = region_.size_bytes();
    region_.TrimTail();
    const bool is_last = region_.size_bytes() == range.end();
    ExtendTo(is_last ? range.offset + bytes : size);
    if (is_last) return region_.Resize(range, bytes).value();
    const Range moved = Allocate(bytes);
    Free(range);
    return moved;
  }
  void Free(Range range) { EXPECT_EQ(region_.Free(range), FreeStatus::kOk); }

  const RegionAllocator& region() const { return region_; }

 private:
  void ExtendTo(uint64_t bytes) {
    const uint64_t grain = region_.options().grain;
    EXPECT_TRUE(region_.Extend((bytes + grain - 1) / grain * grain));
  }

  RegionAllocator region_;
};

// The highest end that a range had.
uint64_t HighWaterBytes(const std::string& name, const RegionOptions& options) {
  const auto directory = FindTracesDirectory(nullptr);
  EXPECT_TRUE(directory) << directory.error().message;
  const auto trace = ReadRepTrace(*directory + "/" + name + ".rep.gz");
  EXPECT_TRUE(trace) << trace.error().message;
  GrowingRegion growing(options);
  std::vector<Range> ranges(trace->id_count);
  for (const RepOperation& operation : trace->operations) {
    Range& range = ranges[operation.id];
    const uint64_t bytes = std::max<uint64_t>(operation.bytes, 1);
    switch (operation.kind) {
      case RepOperation::Kind::kAllocate:
        range = growing.Allocate(bytes);
        break;
      case RepOperation::Kind::kReallocate:
        range = growing.Reallocate(range, bytes);
        break;
      case RepOperation::Kind::kFree:
        growing.Free(range);
        break;
    }
  }
  const RegionAllocator& region = growing.region();
  EXPECT_EQ(region.Stats().used_bytes, 0U);
  EXPECT_TRUE(region.Validate());
  return region.Stats().high_water_bytes;
}

TEST(RegionHighWaterTest, LowestAmongEqualsNeedsWhatTheReferenceNeeds) {
  const RegionOptions lowest = {.lowest_among_equals = true};
  EXPECT_EQ(HighWaterBytes("sqlite_analytics", lowest), 4'403'248U);
  EXPECT_EQ(HighWaterBytes("rocksdb_mixed", lowest), 7'236'128U);
}

TEST(RegionHighWaterTest, TheDefaultNeedsNearlyTheSame) {
  const uint64_t sqlite = HighWaterBytes("sqlite_analytics", {});
  const uint64_t rocksdb = HighWaterBytes("rocksdb_mixed", {});
  std::cout << "sqlite_analytics " << sqlite << ", rocksdb_mixed " << rocksdb << "\n";
  EXPECT_LT(sqlite, 4'403'248U * 1.01);
  EXPECT_LT(rocksdb, 7'236'128U * 1.01);
}

}  // namespace
}  // namespace granary::bench
