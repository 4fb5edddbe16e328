// How indexes are built of ranges that are all there and in order. Internal to memory/region.
//
// A red-black tree of sorted nodes needs no search and no rotation: the middle one is the root,
// what is on its sides its subtrees. Their depths differ by one at most; the deepest level is red,
// all others are black.
#ifndef GRANARY_MEMORY_REGION_INDEX_BUILD_H_
#define GRANARY_MEMORY_REGION_INDEX_BUILD_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory/region/address_index.h"
#include "memory/region/free_index.h"
#include "memory/region/range_record.h"

namespace granary::region {

template <class Traits, class NodeOf>
class TreeBuilder {
 public:
  using Node = typename Traits::node_ptr;

  // The tree of `header`, which has none, of the nodes `node_of(0)` to `node_of(count - 1)`, at
  // least one.
  static void Build(Node header, const NodeOf& node_of, uint32_t count) noexcept {
    // Of a tree whose deepest level is full that may be red as well, unless it is the root.
    const int black_levels = std::max(1, static_cast<int>(std::bit_width(count)) - 1);
    const TreeBuilder builder(node_of, count);
    const Node root = builder.Subtree(0, count, black_levels);
    Traits::set_parent(root, header);
    Traits::set_parent(header, root);
    Traits::set_left(header, node_of(0));
    Traits::set_right(header, node_of(count - 1));
  }

 private:
  // So many nodes ahead is the one that is fetched: those of a tree by size lie anywhere.
  static constexpr uint32_t kFetchAhead = 16;

  TreeBuilder(const NodeOf& node_of, uint32_t count) noexcept : node_of_(node_of), count_(count) {}

  // Of the nodes from `from` to before `to`, at least one; returns the root, whose parent the
  // caller sets. Of its levels so many are black, and the others red.
  Node Subtree(uint32_t from, uint32_t to, int black_levels) const noexcept {
    const uint32_t middle = from + (to - from) / 2;
    const Node root = node_of_(middle);
    Node left = nullptr;
    Node right = nullptr;
    if (from < middle) {
      left = Subtree(from, middle, black_levels - 1);
      Traits::set_parent(left, root);
    } else if (count_ - from > kFetchAhead) {
      __builtin_prefetch(node_of_(from + kFetchAhead), /*rw=*/1);
      __builtin_prefetch(node_of_(std::min(from + kFetchAhead + 1, count_ - 1)), /*rw=*/1);
    }
    if (middle + 1 < to) {
      right = Subtree(middle + 1, to, black_levels - 1);
      Traits::set_parent(right, root);
    }
    Traits::set_color(root, black_levels > 0 ? Traits::black() : Traits::red());
    Traits::set_left(root, left);
    Traits::set_right(root, right);
    return root;
  }

  const NodeOf& node_of_;
  const uint32_t count_;
};

template <class Traits, class NodeOf>
void BuildTree(typename Traits::node_ptr header, const NodeOf& node_of, uint32_t count) noexcept {
  TreeBuilder<Traits, NodeOf>::Build(header, node_of, count);
}

// Lengths of one class, and the records' numbers: sorts by length, and keeps the order of equals.
template <class Units>
class LengthSorter {
 public:
  struct Item {
    Units length;
    uint32_t number;
  };

  explicit LengthSorter(size_t count) : scratch_(count) {}

  // `spread` is more than the lengths differ by from `least`.
  void Sort(Item* items, size_t count, Units least, uint64_t spread) {
    if (count < kFewItems) {
      std::sort(items, items + count, [](const Item& a, const Item& b) {
        return a.length != b.length ? a.length < b.length : a.number < b.number;
      });
      return;
    }
    const unsigned bits = static_cast<unsigned>(std::bit_width(spread - 1));
    Item* from = items;
    Item* to = scratch_.data();
    for (unsigned shift = 0; shift < bits; shift += kDigitBits, std::swap(from, to)) {
      const auto digit = [&](const Item& item) {
        return static_cast<size_t>((item.length - least) >> shift) % kDigits;
      };
      std::array<size_t, kDigits> next = {};
      for (size_t i = 0; i < count; ++i) ++next[digit(from[i])];
      size_t sum = 0;
      for (size_t& begin : next) sum += std::exchange(begin, sum);
      for (size_t i = 0; i < count; ++i) to[next[digit(from[i])]++] = from[i];
    }
    if (from != items) std::copy(from, from + count, items);
  }

 private:
  static constexpr size_t kFewItems = 512;
  static constexpr unsigned kDigitBits = 8;
  static constexpr size_t kDigits = size_t{1} << kDigitBits;

  std::vector<Item> scratch_;
};

template <class Units, class Probe>
void FreeIndex<Units, Probe>::Build(uint32_t first, uint32_t count,
                                    std::span<const uint32_t> bin_order) {
  if (count == 0) return;
  // What may throw comes first.
  using Sorter = LengthSorter<Units>;
  std::vector<typename Sorter::Item> large(count - bin_order.size());
  // Links are made here, where they are near each other, and not in records all over the slab.
  std::vector<ListHook> in_bin(bin_order.empty() ? 0 : count);
  std::array<size_t, kBins> bin_counts = {};
  std::array<size_t, kClasses + 1> class_begin = {};
  for (uint32_t number = first; number < first + count; ++number) {
    const Units length = slab_->At(number).length;
    free_units_ += length;
    if (IsInBin(length)) {
      ++bin_counts[static_cast<size_t>(length - 1)];
    } else {
      ++class_begin[ClassOf(length) + 1];
    }
  }
  Sorter sorter(*std::max_element(class_begin.begin(), class_begin.end()));

  auto next = bin_order.begin();
  for (size_t bin = 0; bin < kBins; ++bin) {
    if (bin_counts[bin] == 0) continue;
    const auto end = next + static_cast<std::ptrdiff_t>(bin_counts[bin]);
    heads_[bin] = first + *next;
    bins_ |= uint64_t{1} << bin;
    uint32_t previous = 0;
    for (; next != end; ++next) {
      in_bin[*next] = {previous, next + 1 != end ? first + next[1] : 0};
      previous = first + *next;
    }
  }
  for (uint32_t i = 0; i < in_bin.size(); ++i) {
    Record& record = slab_->At(first + i);
    if (IsInBin(record.length)) record.in_bin = in_bin[i];
  }
  addresses_.Build(&slab_->At(first), count);

  for (size_t i = 1; i < class_begin.size(); ++i) class_begin[i] += class_begin[i - 1];
  auto class_next = class_begin;
  for (uint32_t number = first; number < first + count; ++number) {
    const Units length = slab_->At(number).length;
    if (!IsInBin(length)) large[class_next[ClassOf(length)]++] = {length, number};
  }
  for (size_t its_class = 0; its_class < kClasses; ++its_class) {
    const size_t begin = class_begin[its_class];
    const size_t its_count = class_begin[its_class + 1] - begin;
    if (its_count == 0) continue;
    auto* const items = large.data() + begin;
    const auto [least, most] = std::minmax_element(
        items, items + its_count, [](const auto& a, const auto& b) { return a.length < b.length; });
    const Units least_length = least->length;
    sorter.Sort(items, its_count, least_length, uint64_t{most->length} - least_length + 1);
    Record* const header = &HeaderOf(its_class);
    SizeTree::init_header(header);
    classes_[its_class / 64] |= uint64_t{1} << (its_class % 64);
    words_ |= uint64_t{1} << (its_class / 64);
    BuildTree<SizeTraits>(
        header, [&](uint32_t i) { return &slab_->At(items[i].number); },
        static_cast<uint32_t>(its_count));
  }
}

template <class Units, class Probe>
void AddressIndex<Units, Probe>::Build(Record* first, uint32_t count) noexcept {
  if (count == 0) return;
  while (!IsCovered(first[count - 1].offset)) ++shift_;
  count_ = count;
  for (uint32_t begin = 0; begin < count;) {
    const uint32_t segment = SegmentOf(first[begin].offset);
    uint32_t end = begin + 1;
    while (end < count && SegmentOf(first[end].offset) == segment) ++end;
    BuildTree<Traits>(
        MakeSegment(segment), [&](uint32_t i) { return first + begin + i; }, end - begin);
    begin = end;
  }
}

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_INDEX_BUILD_H_
