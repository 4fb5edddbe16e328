// RangeRecord: a range, in the trees and lists that it is in, in 32 bytes. Internal to
// memory/region.
//
// Boost.Intrusive's algorithms ask their node traits for a node's links. Here a link is the
// distance to the other record, in records, as 32 bits: so a hook has 12 bytes instead of 32, two
// hooks and a range have 32, and a slab of records may be copied elsewhere as it is.
#ifndef GRANARY_MEMORY_REGION_RANGE_RECORD_H_
#define GRANARY_MEMORY_REGION_RANGE_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <limits>

namespace granary::region {

// A node of a red-black tree.
struct TreeHook {
  // The distance to the parent, twice, and the colour; 0 without a parent, as nobody is its own.
  int32_t parent_and_color;
  // Distances; kNone without a child. A tree's header is its own, while the tree is empty.
  int32_t left;
  int32_t right;

  static constexpr int32_t kNone = std::numeric_limits<int32_t>::min();
};

// A place in a list: numbers of records in their slab, 0 for none.
struct ListHook {
  uint32_t previous;
  uint32_t next;
};

// A place in the queue of those that are to be freed.
struct PendingHook {
  uint32_t next;
  // Its halves, or the record would be aligned to it.
  uint32_t epoch_low;
  uint32_t epoch_high;
};

// `Units` is uint32_t where offsets and sizes, in grains, fit that, and uint64_t elsewhere.
template <class Units>
struct RangeRecord {
  TreeHook by_address;
  union {
    TreeHook by_size;
    ListHook in_bin;
    PendingHook pending;
  };
  Units offset;
  Units length;

  Units end() const noexcept { return static_cast<Units>(offset + length); }
};

static_assert(sizeof(RangeRecord<uint32_t>) == 32);
static_assert(sizeof(RangeRecord<uint64_t>) == 40);

// What Boost.Intrusive's rbtree_algorithms want to know of records in the tree of `kHook`.
template <class Record, TreeHook Record::*kHook>
struct TreeTraits {
  using node = Record;
  using node_ptr = Record*;
  using const_node_ptr = const Record*;
  using color = bool;

  static color black() noexcept { return false; }
  static color red() noexcept { return true; }

  static node_ptr get_parent(const_node_ptr n) noexcept {
    const int32_t distance = (n->*kHook).parent_and_color >> 1;
    return distance != 0 ? const_cast<node_ptr>(n) + distance : nullptr;
  }
  static void set_parent(node_ptr n, node_ptr parent) noexcept {
    const int32_t distance = parent != nullptr ? static_cast<int32_t>(parent - n) : 0;
    (n->*kHook).parent_and_color = distance * 2 | ((n->*kHook).parent_and_color & 1);
  }
  static node_ptr get_left(const_node_ptr n) noexcept { return At(n, (n->*kHook).left); }
  static void set_left(node_ptr n, node_ptr left) noexcept { (n->*kHook).left = To(n, left); }
  static node_ptr get_right(const_node_ptr n) noexcept { return At(n, (n->*kHook).right); }
  static void set_right(node_ptr n, node_ptr right) noexcept { (n->*kHook).right = To(n, right); }
  // The left child or the right one.
  static node_ptr child(const_node_ptr n, bool is_left) noexcept {
    return At(n, is_left ? (n->*kHook).left : (n->*kHook).right);
  }
  static color get_color(const_node_ptr n) noexcept {
    return ((n->*kHook).parent_and_color & 1) != 0;
  }
  static void set_color(node_ptr n, color is_red) noexcept {
    (n->*kHook).parent_and_color = ((n->*kHook).parent_and_color & ~1) | (is_red ? 1 : 0);
  }

 private:
  static node_ptr At(const_node_ptr n, int32_t distance) noexcept {
    return distance != TreeHook::kNone ? const_cast<node_ptr>(n) + distance : nullptr;
  }
  static int32_t To(const_node_ptr n, const_node_ptr other) noexcept {
    return other != nullptr ? static_cast<int32_t>(other - n) : TreeHook::kNone;
  }
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_RANGE_RECORD_H_
