// What a page of the tree has in it, where, and how it is read and changed.
//
//   codec's header, up to a multiple of 8
//   NodeHeader, 24 bytes
//   keys of 8 bytes, ascending, as many as there may be
//   values of 8 bytes, one for each key; or children, one more than keys
//
// In an inner node, child i has the keys up to keys[i], with it, and the last child those above
// all.
//
// Functions that read are templates on what they read: an OptimisticPage, whose content may be
// nonsense until it is validated, or a NodeBytes of a page that is latched. They stay within the
// page if the header IsPlausible(), whatever else the page has.
#ifndef GRANARY_INTEGRATION_EXAMPLES_BTREE_NODE_H_
#define GRANARY_INTEGRATION_EXAMPLES_BTREE_NODE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

namespace granary::btree {

using Key = uint64_t;
using Value = uint64_t;

inline constexpr Key kKeyMax = std::numeric_limits<Key>::max();
inline constexpr uint64_t kMetaPage = 0;
// The root stays where it is: what splits is copied out of it, and what is left is copied back.
inline constexpr uint64_t kRootPage = 1;

struct NodeHeader {
  static constexpr uint32_t kMark = 0x65646f6e;  // "node"

  uint32_t mark = kMark;
  // 0 for a leaf.
  uint16_t level = 0;
  // Of keys.
  uint16_t count = 0;
  // The keys that may be here or below: from lower to upper, both included.
  Key lower = 0;
  Key upper = kKeyMax;

  bool is_leaf() const noexcept { return level == 0; }
  // The root has all keys. No other node has: there are at least two on each level below it.
  bool is_root() const noexcept { return is_leftmost() && is_rightmost(); }
  // Of its level.
  bool is_leftmost() const noexcept { return lower == 0; }
  bool is_rightmost() const noexcept { return upper == kKeyMax; }
  bool is_at_edge() const noexcept { return is_leftmost() || is_rightmost(); }
};
static_assert(sizeof(NodeHeader) == 24);

// Where things are in the pages of one tree.
class NodeLayout {
 public:
  static constexpr size_t kHeaderBytesMax = 128;

  // Of pages of a store, whose codec has the first `header_bytes`, at most kHeaderBytesMax.
  NodeLayout(size_t page_bytes, size_t header_bytes) noexcept
      : page_bytes_(page_bytes),
        base_((header_bytes + 7) & ~size_t{7}),
        values_behind_(CountMax(NodeHeader()) * sizeof(Key)),
        stride_((CountMax(NodeHeader()) + kStrides - 1) / kStrides) {}

  size_t page_bytes() const noexcept { return page_bytes_; }
  // Where the tree's own bytes begin.
  size_t base() const noexcept { return base_; }

  // Keys that a node has at most. The field of a header has room: a page has 1 MiB at most.
  size_t CountMax(const NodeHeader& header) const noexcept {
    const size_t bytes = page_bytes_ - base_ - sizeof(NodeHeader);
    return header.is_leaf() ? bytes / (sizeof(Key) + sizeof(Value))
                            : (bytes - sizeof(uint64_t)) / (sizeof(Key) + sizeof(uint64_t));
  }
  // Keys that a node has at least, but for the root. A quarter, so that a node that was just split
  // or merged is far from the next time; and one at an edge of the tree, where keys that rise or
  // fall leave few in the outermost node and all others full.
  size_t CountMin(const NodeHeader& header) const noexcept {
    return header.is_at_edge() ? 1 : CountMax(header) / 4;
  }
  // Keys of a full node that the outermost of the two has that it is split into, where keys rise or
  // fall. The others stay, with room for some that come late.
  size_t CountAtEdge(const NodeHeader& header) const noexcept {
    constexpr size_t kLeast = 2;
    return std::max(CountMax(header) / 16, kLeast);
  }

  size_t KeyAt(size_t index) const noexcept {
    return base_ + sizeof(NodeHeader) + index * sizeof(Key);
  }
  // Of a leaf's values, or an inner node's children.
  size_t ValueAt(const NodeHeader& header, size_t index) const noexcept {
    return KeyAt(CountMax(header)) + index * sizeof(uint64_t);
  }

  // A node's keys are looked through in so many strides, of so many keys each.
  static constexpr size_t kStrides = 8;
  size_t stride() const noexcept { return stride_; }
  // Sends for a stride's keys and what is at their places, unless it is longer than some lines.
  void PrefetchStride(const std::byte* page, size_t first) const noexcept {
    constexpr size_t kLineBytes = 64;
    constexpr size_t kBytesMax = 4 * kLineBytes;
    const size_t bytes = stride_ * sizeof(Key);
    if (bytes > kBytesMax) return;
    const std::byte* const keys = page + KeyAt(first);
    for (size_t offset = 0; offset < bytes; offset += kLineBytes) {
      __builtin_prefetch(keys + offset);
      __builtin_prefetch(keys + values_behind_ + offset);
    }
  }

  // Whether it is a node's, and what it says is within the page.
  bool IsPlausible(const NodeHeader& header) const noexcept {
    return header.mark == NodeHeader::kMark && header.count <= CountMax(header) &&
           (header.is_leaf() || header.count != 0);
  }

 private:
  size_t page_bytes_;
  size_t base_;
  // How far a leaf's value is behind its key, in bytes; of an inner node it is 8 less at most.
  size_t values_behind_;
  // So long that kStrides of them have all keys.
  size_t stride_;
};
static_assert(1024 * 1024 / 16 <= 65536);

// The bytes of a page that is latched, or of a copy.
class NodeBytes {
 public:
  explicit NodeBytes(const std::byte* bytes) noexcept : bytes_(bytes) {}

  const std::byte* data() const noexcept { return bytes_; }
  template <class T>
  T Read(size_t offset) const noexcept {
    T copy;
    std::memcpy(&copy, bytes_ + offset, sizeof(T));
    return copy;
  }

 private:
  const std::byte* bytes_;
};

// The first of `count` keys that is not below `key`, or `count`: where the key is or would be in a
// leaf, and the child that has it in an inner node.
//
// What it costs is the memory that is waited for, a line after the other. So the first look is at
// the last key of each stride but one, all of which can come together, and together with the
// header: where they are does not depend on it. Then the stride's keys and values are sent for, all
// of them. Two waits, where halving from the start has one for each half.
template <class Page>
size_t Search(const Page& page, const NodeLayout& layout, size_t count, Key key) noexcept {
  const size_t stride = layout.stride();
  size_t first = 0;
  for (size_t i = 1; i < NodeLayout::kStrides; ++i) {
    const size_t last = i * stride - 1;
    // What is there behind the last key is no key, but within the page.
    const bool is_below = page.template Read<Key>(layout.KeyAt(last)) < key;
    first += (is_below & (last < count)) ? stride : 0;
  }
  layout.PrefetchStride(page.data(), first);
  count = std::min(count - first, stride);
  while (count != 0) {
    const size_t half = count / 2;
    const bool is_below = page.template Read<Key>(layout.KeyAt(first + half)) < key;
    first = is_below ? first + half + 1 : first;
    count = is_below ? count - half - 1 : half;
  }
  return first;
}

// A node whose page is the caller's alone, or a copy of one. What is put in and taken out fits: the
// caller has looked.
class Node {
 public:
  Node(std::byte* bytes, const NodeLayout& layout) noexcept : bytes_(bytes), layout_(&layout) {}

  NodeHeader header() const noexcept { return Get<NodeHeader>(layout_->base()); }
  void SetHeader(const NodeHeader& header) const noexcept { Put(layout_->base(), header); }

  size_t count() const noexcept { return header().count; }
  Key key(size_t index) const noexcept { return Get<Key>(layout_->KeyAt(index)); }
  uint64_t value(size_t index) const noexcept {
    return Get<uint64_t>(layout_->ValueAt(header(), index));
  }
  void SetKey(size_t index, Key key) const noexcept { Put(layout_->KeyAt(index), key); }
  void SetValue(size_t index, uint64_t value) const noexcept {
    Put(layout_->ValueAt(header(), index), value);
  }
  size_t Find(Key key) const noexcept { return Search(NodeBytes(bytes_), *layout_, count(), key); }

  // A leaf's entry, or an inner node's key with the child behind it.
  void Insert(size_t index, Key key, uint64_t value) const noexcept {
    OpenGap(index, 1);
    SetKey(index, key);
    SetValue(index + is_inner(), value);
  }
  void Erase(size_t index) const noexcept {
    NodeHeader its = header();
    const size_t behind = its.count - index - 1;
    Move(layout_->KeyAt(index), layout_->KeyAt(index + 1), behind);
    Move(layout_->ValueAt(its, index + is_inner()), layout_->ValueAt(its, index + 1 + is_inner()),
         behind);
    --its.count;
    SetHeader(its);
  }

  // This and `right`, which has nothing yet, share what is here: `kept` entries stay in a leaf; in
  // an inner node `kept` keys stay, with a child more, and the key behind them goes up. Returns
  // what is the upper fence of this one then.
  Key SplitInto(const Node& right, size_t kept) const noexcept {
    NodeHeader its = header();
    NodeHeader rights = its;
    const size_t first = kept + is_inner();
    const Key fence = key(its.is_leaf() ? kept - 1 : kept);
    rights.count = static_cast<uint16_t>(its.count - first);
    rights.lower = fence + 1;
    right.SetHeader(rights);
    right.CopyFrom(*this, 0, first, rights.count);
    its.count = static_cast<uint16_t>(kept);
    its.upper = fence;
    SetHeader(its);
    return fence;
  }

  // Takes all that `right` has, the next under the same parent; `fence` is the parent's key between
  // the two.
  void MergeFrom(const Node& right, Key fence) const noexcept {
    NodeHeader its = header();
    const NodeHeader rights = right.header();
    if (is_inner() != 0) SetKey(its.count, fence);
    const size_t first = its.count + is_inner();
    CopyFrom(right, first, 0, rights.count);
    its.count = static_cast<uint16_t>(first + rights.count);
    its.upper = rights.upper;
    SetHeader(its);
  }

  // Is what `other` is, fences included.
  void Assign(const Node& other) const noexcept {
    std::memcpy(bytes_ + layout_->base(), other.bytes_ + layout_->base(),
                layout_->page_bytes() - layout_->base());
  }

 private:
  size_t is_inner() const noexcept { return header().is_leaf() ? 0 : 1; }

  void OpenGap(size_t index, size_t entries) const noexcept {
    NodeHeader its = header();
    const size_t behind = its.count - index;
    Move(layout_->KeyAt(index + entries), layout_->KeyAt(index), behind);
    Move(layout_->ValueAt(its, index + entries + is_inner()),
         layout_->ValueAt(its, index + is_inner()), behind);
    its.count = static_cast<uint16_t>(its.count + entries);
    SetHeader(its);
  }
  // `count` keys of `other`, from `from` on, are this node's from `to` on; an inner node's children
  // with them, one more.
  void CopyFrom(const Node& other, size_t to, size_t from, size_t count) const noexcept {
    const NodeHeader its = other.header();
    std::memcpy(bytes_ + layout_->KeyAt(to), other.bytes_ + layout_->KeyAt(from),
                count * sizeof(Key));
    std::memcpy(bytes_ + layout_->ValueAt(its, to), other.bytes_ + layout_->ValueAt(its, from),
                (count + is_inner()) * sizeof(uint64_t));
  }
  void Move(size_t to, size_t from, size_t words) const noexcept {
    std::memmove(bytes_ + to, bytes_ + from, words * sizeof(uint64_t));
  }
  template <class T>
  T Get(size_t offset) const noexcept {
    return NodeBytes(bytes_).Read<T>(offset);
  }
  template <class T>
  void Put(size_t offset, const T& value) const noexcept {
    std::memcpy(bytes_ + offset, &value, sizeof(T));
  }

  std::byte* bytes_;
  const NodeLayout* layout_;
};

}  // namespace granary::btree

#endif  // GRANARY_INTEGRATION_EXAMPLES_BTREE_NODE_H_
