// HeapIndex: the used ranges of a CompactingHeap by address. Internal to memory/region.
//
// Two trees: of what compaction may move, and of what it leaves alone for the time being (pinned,
// or being moved), so that the highest that can move is found at once however much is pinned above
// it. A range is in one of them. Every function is O(log n).
#ifndef GRANARY_MEMORY_REGION_HEAP_INDEX_H_
#define GRANARY_MEMORY_REGION_HEAP_INDEX_H_

#include <algorithm>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <iterator>

#include "memory/region/heap_record.h"

namespace granary::region {

class HeapIndex {
 public:
  explicit HeapIndex(uint64_t grain) noexcept : grain_(grain) {}
  // The trees' headers are members that nodes point to.
  HeapIndex(const HeapIndex&) = delete;
  HeapIndex& operator=(const HeapIndex&) = delete;

  // Where what a range holds ends, in whole grains.
  uint64_t EndOf(const HeapRecord& record) const noexcept {
    return record.offset + ((record.bytes + grain_ - 1) & ~(grain_ - 1));
  }

  void Insert(HeapRecord& record) noexcept { TreeOf(record).insert(record); }
  void Erase(HeapRecord& record) noexcept {
    Tree& tree = TreeOf(record);
    tree.erase(tree.iterator_to(record));
  }
  void Park(HeapRecord& record) noexcept { MoveTo(record, true); }
  void Unpark(HeapRecord& record) noexcept { MoveTo(record, false); }

  // Of those that may be moved; nullptr for none.
  HeapRecord* HighestBelow(uint64_t offset) noexcept {
    auto at = movable_.lower_bound(offset);
    return at != movable_.begin() ? &*--at : nullptr;
  }
  HeapRecord* LowestFrom(uint64_t offset) noexcept {
    const auto found = movable_.lower_bound(offset);
    return found != movable_.end() ? &*found : nullptr;
  }

  // The next one above `record`, both of those that may be moved; nullptr for none. A step or two,
  // as is what follows where nothing is parked: for one who looks at many in order.
  HeapRecord* NextOf(HeapRecord& record) noexcept {
    const auto next = std::next(movable_.iterator_to(record));
    return next != movable_.end() ? &*next : nullptr;
  }

  // Where the nearest used range below `record`, which may be moved, ends; 0 for none.
  uint64_t UsedEndBelow(const HeapRecord& record) const noexcept {
    const auto at = movable_.iterator_to(record);
    const uint64_t below = at != movable_.begin() ? EndOf(*std::prev(at)) : 0;
    return std::max(below, EndBelow(parked_, record.offset));
  }

  // Of all that are used: `visit(HeapRecord&)` may erase the record it is called with.
  template <class Visit>
  void ForEach(const Visit& visit) {
    for (Tree* tree : {&movable_, &parked_}) {
      for (auto at = tree->begin(); at != tree->end();) visit(*at++);
    }
  }

 private:
  struct OffsetOf {
    using type = uint64_t;
    const type& operator()(const HeapRecord& record) const noexcept { return record.offset; }
  };
  using Tree = boost::intrusive::set<
      HeapRecord,
      boost::intrusive::member_hook<HeapRecord, HeapRecord::Hook, &HeapRecord::by_address>,
      boost::intrusive::key_of_value<OffsetOf>, boost::intrusive::constant_time_size<false>>;

  Tree& TreeOf(const HeapRecord& record) noexcept { return record.is_parked ? parked_ : movable_; }

  void MoveTo(HeapRecord& record, bool is_parked) noexcept {
    if (record.is_parked == is_parked) return;
    Erase(record);
    record.is_parked = is_parked;
    Insert(record);
  }

  uint64_t EndBelow(const Tree& tree, uint64_t offset) const noexcept {
    auto at = tree.lower_bound(offset);
    return at != tree.begin() ? EndOf(*--at) : 0;
  }

  const uint64_t grain_;
  Tree movable_;
  Tree parked_;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_HEAP_INDEX_H_
