// Reading all of a tree in order, fast. Internal to memory/region.
#ifndef GRANARY_MEMORY_REGION_ORDERED_SWEEP_H_
#define GRANARY_MEMORY_REGION_ORDERED_SWEEP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace granary::region {

// Calls `take(stretch, node)` for every node of trees that come one behind the other: those of
// stretch 0 come in order, all before those of stretch 1, and so on; but calls for different
// stretches take turns.
//
// A walk from node to node waits for memory at each: where nodes lie anywhere, most of a million
// are in no cache. Here trees are stretches, a few trees are cut into some by their upper levels,
// and several walks, a node each in turn, fetch theirs while the others go on.
template <class Traits, class Take>
class OrderedSweep {
 public:
  using Node = typename Traits::const_node_ptr;

  // Of the trees below `roots`, none of which is nullptr. May throw std::bad_alloc.
  OrderedSweep(std::span<const Node> roots, const Take& take) : take_(take) {
    int levels = 0;
    while (!roots.empty() && roots.size() << levels < kTurns) ++levels;
    for (const Node root : roots) Cut(root, levels);
  }

  size_t stretches() const noexcept { return walks_.size(); }

  void Run() {
    std::array<size_t, kTurns> active;
    size_t count = 0;
    size_t next = 0;
    while (next < walks_.size() && count < kTurns) active[count++] = next++;
    while (count != 0) {
      for (size_t i = 0; i < count;) {
        if (Step(active[i])) {
          ++i;
        } else if (next < walks_.size()) {
          active[i] = next++;
        } else {
          active[i] = active[--count];
        }
      }
    }
  }

 private:
  // So many walks at a time.
  static constexpr size_t kTurns = 32;
  // More than a red-black tree of 2^29 nodes is deep.
  static constexpr size_t kDepthMax = 60;

  struct Walk {
    // Where it goes next, and the nodes whose left sides it is in.
    Node next = nullptr;
    size_t depth = 0;
    Node above[kDepthMax];
    // Comes after all that is below the stretch's own root.
    Node last = nullptr;
  };

  void Cut(Node root, int levels) {
    if (root == nullptr) return;
    if (levels == 0) {
      walks_.emplace_back().next = root;
      return;
    }
    Cut(Traits::get_left(root), levels - 1);
    if (walks_.empty() || walks_.back().last != nullptr) walks_.emplace_back();
    walks_.back().last = root;
    Cut(Traits::get_right(root), levels - 1);
  }

  // One node down, or one out; false when there is none left.
  bool Step(size_t stretch) {
    Walk& walk = walks_[stretch];
    if (walk.next != nullptr) {
      walk.above[walk.depth++] = walk.next;
      GoTo(walk, Traits::get_left(walk.next));
      return true;
    }
    if (walk.depth != 0) {
      const Node node = walk.above[--walk.depth];
      take_(stretch, *node);
      GoTo(walk, Traits::get_right(node));
      return true;
    }
    if (walk.last != nullptr) take_(stretch, *walk.last);
    return false;
  }
  static void GoTo(Walk& walk, Node node) {
    walk.next = node;
    if (node != nullptr) __builtin_prefetch(node);
  }

  const Take& take_;
  std::vector<Walk> walks_;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_ORDERED_SWEEP_H_
