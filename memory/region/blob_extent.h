// What a store has in its region, in order of addresses. Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_BLOB_EXTENT_H_
#define GRANARY_MEMORY_REGION_BLOB_EXTENT_H_

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "boost/intrusive/set.hpp"
#include "memory/region/region_types.h"

namespace granary::blob {

using ExtentHook =
    boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>,
                                    boost::intrusive::link_mode<boost::intrusive::normal_link>>;

// A blob, or a node of a file's directory.
struct Extent : ExtentHook {
  Extent() noexcept : bytes(0), is_node(0), is_checkpointed(0) {}

  void set_bytes(uint64_t length) noexcept { bytes = length & kBytesMask; }

  // In the region; of an empty one 0.
  uint64_t offset = 0;
  // Without what rounding to the grain adds.
  uint64_t bytes : 62;
  uint64_t is_node : 1;
  // Whether the last checkpoint has it, at this place: then its bytes stay as they are until there
  // is another.
  uint64_t is_checkpointed : 1;

 private:
  static constexpr uint64_t kBytesMask = (uint64_t{1} << 62) - 1;
};

// Empty ones come first: they have no address.
struct ByAddress {
  bool operator()(const Extent& a, const Extent& b) const noexcept {
    if (a.offset != b.offset) return a.offset < b.offset;
    return a.bytes == 0 && b.bytes != 0;
  }
};

// Of one that is not empty.
struct AddressBefore {
  bool operator()(const Extent& extent, uint64_t offset) const noexcept {
    return extent.offset < offset || extent.bytes == 0;
  }
  bool operator()(uint64_t offset, const Extent& extent) const noexcept {
    return offset < extent.offset;
  }
};

// All of them in a red-black tree, and how many grains' bytes they take.
class Extents {
 public:
  using Tree = boost::intrusive::multiset<Extent, boost::intrusive::base_hook<ExtentHook>,
                                          boost::intrusive::compare<ByAddress>,
                                          boost::intrusive::constant_time_size<false>>;

  explicit Extents(uint64_t grain) noexcept : grain_(grain) {}

  uint64_t grain() const noexcept { return grain_; }
  uint64_t RoundUp(uint64_t bytes) const noexcept {
    return (bytes + (grain_ - 1)) / grain_ * grain_;
  }
  Range RangeOf(const Extent& extent) const noexcept {
    return {extent.offset, RoundUp(extent.bytes)};
  }
  // Of blobs and nodes together.
  uint64_t space_bytes() const noexcept { return space_bytes_; }

  void Insert(Extent& extent) noexcept {
    tree_.insert(extent);
    space_bytes_ += RoundUp(extent.bytes);
  }
  // Behind all others, as the caller knows.
  void Append(Extent& extent) noexcept {
    tree_.push_back(extent);
    space_bytes_ += RoundUp(extent.bytes);
  }
  void Erase(Extent& extent) noexcept {
    tree_.erase(tree_.iterator_to(extent));
    space_bytes_ -= RoundUp(extent.bytes);
  }
  // As Erase and Insert, where the address does not change.
  void Resize(Extent& extent, uint64_t bytes) noexcept {
    space_bytes_ += RoundUp(bytes) - RoundUp(extent.bytes);
    extent.set_bytes(bytes);
  }

  // The first that is empty; null if none is.
  Extent* FirstEmpty() noexcept {
    const auto at = tree_.begin();
    return at != tree_.end() && at->bytes == 0 ? &*at : nullptr;
  }
  // The first that does not end at `offset` or below it.
  Extent* FirstEndingAbove(uint64_t offset) noexcept {
    auto at = tree_.lower_bound(offset, AddressBefore());
    if (at != tree_.begin()) {
      const auto before = std::prev(at);
      if (before->offset + before->bytes > offset) at = before;
    }
    return at != tree_.end() ? &*at : nullptr;
  }
  Extent* Next(Extent& extent) noexcept {
    const auto at = std::next(tree_.iterator_to(extent));
    return at != tree_.end() ? &*at : nullptr;
  }
  Extent* Last() noexcept { return tree_.empty() ? nullptr : &*tree_.rbegin(); }
  Extent* Previous(Extent& extent) noexcept {
    auto at = tree_.iterator_to(extent);
    return at == tree_.begin() ? nullptr : &*--at;
  }
  const Tree& tree() const noexcept { return tree_; }

 private:
  const uint64_t grain_;
  uint64_t space_bytes_ = 0;
  Tree tree_;
};

}  // namespace granary::blob

#endif  // GRANARY_MEMORY_REGION_BLOB_EXTENT_H_
