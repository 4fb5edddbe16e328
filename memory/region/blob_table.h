// BlobTable: where the blobs are, by their ids. Internal to memory/region.
//
// A slot for each id's index. Its generation grows by one when a blob comes and when it goes, so it
// is odd while one is there; a slot whose generations are used up is not taken again. 48 bytes a
// slot; a blob is found with one load.
#ifndef GRANARY_MEMORY_REGION_BLOB_TABLE_H_
#define GRANARY_MEMORY_REGION_BLOB_TABLE_H_

#include <cstdint>
#include <utility>

#include "memory/error.h"
#include "memory/region/blob_extent.h"
#include "memory/region/blob_types.h"
#include "memory/region/stable_array.h"

namespace granary::blob {

struct Blob : Extent {
  bool is_live() const noexcept { return (generation & 1) != 0; }

  uint32_t checksum = 0;
  uint32_t generation = 0;
};
static_assert(sizeof(Blob) == 48);

class BlobTable {
 public:
  static constexpr uint32_t kSlotsMax = uint32_t{1} << 31;

  static Expected<BlobTable> Create(uint32_t max_blobs, SystemCalls* calls) {
    auto slots = region::StableArray<Blob>::Create(max_blobs, calls);
    if (!slots) return tl::unexpected(std::move(slots.error()));
    return BlobTable(std::move(*slots));
  }

  // How many slots there are, with a blob or without.
  uint32_t slots() const noexcept { return static_cast<uint32_t>(slots_.size()); }
  uint64_t blobs() const noexcept { return blobs_; }
  // The lengths of all blobs.
  uint64_t blob_bytes() const noexcept { return blob_bytes_; }

  Blob& At(uint32_t index) const noexcept { return slots_[index]; }
  uint32_t IndexOf(const Blob& blob) const noexcept {
    return static_cast<uint32_t>(slots_.IndexOf(blob));
  }
  BlobId IdOf(const Blob& blob) const noexcept { return {IndexOf(blob), blob.generation}; }
  // Null for an id of no blob.
  Blob* Find(BlobId id) const noexcept {
    if (id.index >= slots()) return nullptr;
    Blob& blob = At(id.index);
    return blob.generation == id.generation && blob.is_live() ? &blob : nullptr;
  }

  bool has_free_slot() const noexcept { return free_ != kNone; }
  // One more slot, which is free.
  Expected<void> AddSlot() {
    if (auto grown = slots_.Grow(slots_.size() + 1); !grown) return grown;
    PutBack(slots() - 1);
    return {};
  }
  // A free slot, for a blob of so many bytes.
  Blob& Take(uint64_t bytes) noexcept {
    Blob& blob = At(free_);
    free_ = static_cast<uint32_t>(blob.offset);
    ++blob.generation;
    blob.offset = 0;
    blob.is_checkpointed = 0;
    Count(blob, bytes);
    return blob;
  }
  void Release(Blob& blob) noexcept {
    --blobs_;
    blob_bytes_ -= blob.bytes;
    ++blob.generation;
    PutBack(IndexOf(blob));
  }
  // It is so long from now on; the extent's own length is Extents' to change.
  void CountResize(const Blob& blob, uint64_t bytes) noexcept { blob_bytes_ += bytes - blob.bytes; }

  // --- For loading ------------------------------------------------------------------------------

  // So many slots, without blobs, and in no list of free ones.
  Expected<void> GrowForLoading(uint32_t slots) { return slots_.Grow(slots); }
  void Count(Blob& blob, uint64_t bytes) noexcept {
    blob.set_bytes(bytes);
    ++blobs_;
    blob_bytes_ += blob.bytes;
  }
  // The lowest free one is taken first.
  void ListFreeSlots() noexcept {
    free_ = kNone;
    for (uint32_t index = slots(); index > 0; --index) {
      if (!At(index - 1).is_live()) PutBack(index - 1);
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  // No blob comes after it: the generation of the next one's end would be 0, where all began.
  static constexpr uint32_t kGenerationLast = UINT32_MAX - 1;

  explicit BlobTable(region::StableArray<Blob> slots) noexcept : slots_(std::move(slots)) {}

  void PutBack(uint32_t index) noexcept {
    Blob& blob = At(index);
    if (blob.generation == kGenerationLast) return;
    blob.offset = free_;
    free_ = index;
  }

  region::StableArray<Blob> slots_;
  // The first of a list through the offsets of slots without blobs.
  uint32_t free_ = kNone;
  uint64_t blobs_ = 0;
  uint64_t blob_bytes_ = 0;
};

}  // namespace granary::blob

#endif  // GRANARY_MEMORY_REGION_BLOB_TABLE_H_
