// Heaps of a few blocks, for tests that look at where each one is.
#ifndef GRANARY_MEMORY_REGION_TESTING_SMALL_HEAPS_H_
#define GRANARY_MEMORY_REGION_TESTING_SMALL_HEAPS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/testing/heap_bytes.h"

namespace granary {

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;

using Heap = std::unique_ptr<CompactingHeap>;

inline Heap Make(HeapOptions options) {
  if (options.limit_bytes == 0) options.limit_bytes = 16 * kMiB;
  return CompactingHeap::Create(options).value();
}

inline BlockHandle Block(const Heap& heap, uint64_t bytes, uint64_t tag) {
  const BlockHandle block = heap->Allocate(bytes).value();
  WritePattern(*heap, block, tag);
  return block;
}

inline void ExpectValid(const Heap& heap) {
  const auto valid = heap->Validate();
  EXPECT_TRUE(valid) << valid.error().message;
}

inline uint64_t OffsetOf(const Heap& heap, BlockHandle block) {
  uint64_t offset = UINT64_MAX;
  Succeeds(
      heap->ForEachPiece(block, [&](Range range) { offset = std::min(offset, range.offset); }));
  return offset;
}

// `count` blocks of `bytes`, of which each second is freed again.
inline std::vector<BlockHandle> Comb(const Heap& heap, size_t count, uint64_t bytes) {
  std::vector<BlockHandle> all;
  for (size_t i = 0; i < count; ++i) all.push_back(Block(heap, bytes, i));
  std::vector<BlockHandle> kept;
  for (size_t i = 0; i < count; ++i) {
    if (i % 2 == 0) {
      Succeeds(heap->Free(all[i]));
    } else {
      kept.push_back(all[i]);
    }
  }
  return kept;
}

inline void ExpectComb(const Heap& heap, const std::vector<BlockHandle>& kept) {
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(HasPattern(*heap, kept[i], 2 * i + 1));
}

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_TESTING_SMALL_HEAPS_H_
