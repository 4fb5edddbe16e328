// RegionImage: all that a RegionAllocator knows, as plain data, for what stores or inspects it.
//
// RegionAllocator::Image() makes one, RegionAllocator::FromImage() a region of it, which gives the
// same offsets from then on as the one that the image is of. Derived structure, the trees, is not
// in it; the order of ranges of one size is, because it decides which of them is taken next.
//
// Offsets, lengths and sizes are in grains.
#ifndef GRANARY_MEMORY_REGION_REGION_IMAGE_H_
#define GRANARY_MEMORY_REGION_REGION_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/region/region_types.h"

namespace granary {

struct RegionImage {
  // Free ranges of up to so many grains are taken the last freed first, unless
  // RegionOptions::lowest_among_equals.
  static constexpr size_t kBins = 64;

  struct Piece {
    uint64_t offset = 0;
    uint64_t length = 0;

    uint64_t end() const noexcept { return offset + length; }
    friend bool operator==(const Piece&, const Piece&) = default;
  };
  struct Pending {
    Piece piece;
    uint64_t epoch = 0;

    friend bool operator==(const Pending&, const Pending&) = default;
  };

  RegionOptions options;
  uint64_t size = 0;
  // As RegionStats has them, the first two in grains.
  uint64_t peak_used = 0;
  uint64_t high_water = 0;
  uint64_t failures = 0;
  uint64_t failed_bytes = 0;

  // In order of their offsets; no two touch.
  std::vector<Piece> free;
  // The free ranges of up to kBins grains, as indexes of `free`: those of one grain first, and of
  // each length the one that is taken next first. Empty with lowest_among_equals.
  std::vector<uint32_t> bin_order;
  // In the order in which they were freed.
  std::vector<Pending> pending;
  // Tracked mode: in order of their offsets. They cover all that is neither free nor pending.
  std::vector<Piece> live;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_REGION_IMAGE_H_
