// BTree: a B+-tree of 64-bit keys and values in the pages of a buffer pool, for any number of
// threads.
//
//   auto tree = granary::btree::BTree::Create({.pool = pool, .file = file, .header_bytes = 32});
//   if (!tree) return tl::unexpected(tree.error());
//   auto is_new = (*tree)->Insert(7, 49);
//   auto value = (*tree)->Find(7);
//   auto scanned = (*tree)->Scan(5, [](Key key, Value value) { return key < 100; });
//
// Reading. From the root down each node is looked at without a latch (BufferPool::Peek). The node
// above is validated before its child is looked at, so that the child's number is one, and once the
// child's version is known, so that it still is its child. A reader that finds a change goes back
// to the root; who has done so restarts_max times latches its way down instead, and gets there.
//
// Writing. A change of one leaf latches that leaf, if it is as it was looked at, and nothing else.
//
// Splitting and merging are done ahead of the change that needs them, on a descent of their own,
// from the root to the leaf: a full node is split while the one above has room, and a node with too
// few is merged, or shares with the one beside it, while the one above has enough. So no more than
// the parent, one or two children, what is new and the meta page are latched, all before anything
// is changed: what fails, fails with the tree as it was. A leaf that has room again when the change
// comes is not looked at any further; one that has not is split once more.
//
// Latches are taken from the root down, of two children of one node only by who has that node
// exclusively, and the meta page's last: nobody waits in a circle. A thread has six pages at most,
// and two frames reserved: a pool needs eight frames for each thread that writes, two for one that
// reads.
//
// Scans go from leaf to leaf by the upper fence, the highest key that may be in a leaf: the next
// one is where the key behind it is. There are no links between leaves, so that a merge changes no
// third one.
//
// Durability. Changes go to the log together with those that belong to them (change_log.h); a tree
// without a log is marked at LSN 0. The tree itself is in its pages alone: it is there again when
// the file is attached again.
//
// Threading. Everything from any thread, but for construction, destruction and Validate.
//
// Sources: optimistic lock coupling, V. Leis et al., The ART of Practical Synchronization, DaMoN
// 2016; fence keys, G. Graefe, A Survey of B-Tree Locking Techniques, 2010; nodes that are split
// and merged on the way down, L. Guibas and R. Sedgewick, FOCS 1978.
#ifndef GRANARY_INTEGRATION_EXAMPLES_BTREE_BTREE_H_
#define GRANARY_INTEGRATION_EXAMPLES_BTREE_BTREE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "integration/examples/btree/change_log.h"
#include "integration/examples/btree/meta_page.h"
#include "integration/examples/btree/node.h"
#include "memory/error.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/page_types.h"

namespace granary::btree {

struct BTreeOptions {
  // Outlives the tree. Pages have 512 bytes at least.
  BufferPool* pool = nullptr;
  // Attached, and the tree's alone as long as the tree is.
  FileId file = 0;
  // The first bytes of each page, which are the codec's: PageCodec::header_bytes().
  size_t header_bytes = 0;
  // Is told of changes; outlives the tree. nullptr for none.
  ChangeLog* log = nullptr;
  // How often a descent may find that something changed under it before it latches its way down; 0
  // for always latching.
  int restarts_max = 50;
};

// What Validate found.
struct BTreeReport {
  uint64_t entries = 0;
  // Levels, the leaves included.
  size_t height = 0;
  uint64_t leaves = 0;
  uint64_t inner_nodes = 0;
  uint64_t free_pages = 0;
  // All pages of the file: nodes, free ones, and the meta page.
  uint64_t pages = 0;
};

class BTree {
 public:
  // An empty tree; what the file had is lost. kInvalidArgument: header_bytes of more than
  // NodeLayout::kHeaderBytesMax; errors of the pool.
  static Expected<std::unique_ptr<BTree>> Create(const BTreeOptions& options);
  // The tree that is in the file. kCorrupt: there is none, or one with other pages.
  static Expected<std::unique_ptr<BTree>> Open(const BTreeOptions& options);

  BTree(const BTree&) = delete;
  BTree& operator=(const BTree&) = delete;

  // Errors of all that follow are the pool's (kIo, kOutOfMemory, kCorrupt), and kCorrupt of a page
  // that is no node where one should be. After an error the tree has the entries that it had.

  // The key's value, or nothing. All of a descent is one function: what a look is would otherwise
  // go from one to the next by way of memory.
  [[gnu::flatten]] Expected<std::optional<Value>> Find(Key key);
  // True if the key is new; otherwise it keeps its value.
  Expected<bool> Insert(Key key, Value value);
  // Gives the key another value; false if there is no such key.
  Expected<bool> Update(Key key, Value value);
  // False if there is no such key.
  Expected<bool> Erase(Key key);

  // Calls visit(key, value) for the keys from `from` on, in their order, until it returns false.
  // Entries come a leaf at a time: each leaf as it was at one moment, no latch held while visiting.
  // A key that is there all the time is visited, once; one that comes or goes meanwhile may be.
  template <class Visit>
  Expected<void> Scan(Key from, Visit&& visit);

  // Looks at every page: keys in order and within their fences, nodes as full as they have to be,
  // every page of the file in the tree or free, and no page twice. kCorrupt says what is wrong.
  // Nobody else uses the tree meanwhile.
  Expected<BTreeReport> Validate();

 private:
  // The root's, which may be any.
  static constexpr int kRootLevel = -1;
  static bool IsAt(const NodeHeader& header, int level) noexcept {
    return level == kRootLevel ? header.is_root() : header.level == level;
  }

  // A node that is looked at and not latched.
  struct Look {
    OptimisticPage page;
    NodeHeader header;
  };
  template <class T>
  using OrRestart = Expected<std::optional<T>>;

  // What a leaf is latched for, and what its nodes may lack for it.
  enum class Change : uint8_t { kInsert, kUpdate, kErase };

  // A leaf that is the caller's alone, and where the key is in it or would be. Without a page:
  // there is nothing to change.
  struct Place {
    ExclusivePage page;
    size_t index = 0;
  };

  // A few leaves are read like a key, as they may be asked for again soon; who goes on from there
  // is one that the pool's other pages are to be kept from.
  static constexpr size_t kShortScanLeaves = 4;

  struct Entry {
    Key key;
    Value value;
  };

  BTree(const BTreeOptions& options, const BufferPool::FileView& file) noexcept
      : pool_(*options.pool),
        file_(file),
        layout_(options.pool->page_bytes(), options.header_bytes),
        log_(options.log),
        restarts_max_(options.restarts_max) {}

  BufferPoolCore& pages() const noexcept { return pool_; }
  PageId Id(uint64_t page) const noexcept { return {file_.file(), page}; }
  Node NodeOf(const ExclusivePage& page) const noexcept { return Node(page.data(), layout_); }
  // Marks the pages dirty; guards that are empty are no pages.
  void Changed(std::span<ExclusivePage* const> pages) noexcept;
  [[gnu::noinline, gnu::cold]] static Error NotANode(uint64_t page, const NodeHeader& header);
  static void Pause(int restarts) noexcept;

  // Descending, without latches.
  OrRestart<Look> LookAtRoot();
  // Child `index` of `parent`; nothing if the parent has changed.
  OrRestart<Look> LookAtChild(const Look& parent, size_t index, Access access);
  OrRestart<Look> LookForLeaf(Key key, Access access);
  OrRestart<Look> LookInto(uint64_t number, Expected<OptimisticPage> page, int level);

  // Descending with latches, of two nodes at most.
  template <class Guard>
  Expected<Guard> Fix(uint64_t page, int level);
  template <class Guard>
  [[gnu::noinline, gnu::cold]] Expected<Guard> LatchLeaf(Key key);

  // The leaf latched for a change, with room for it.
  Expected<Place> LatchFor(Change change, Key key);
  // Whether a node lacks what the change needs of each on its way.
  bool Lacks(Change change, const NodeHeader& header) const noexcept;

  // Splits or merges what lacks something on the way to the key's leaf. restructure.cc.
  Expected<void> MakeRoom(Change change, Key key);
  // One node of them; true if there is no more to be done. Nothing: somebody was faster.
  OrRestart<bool> MakeRoomOptimistic(Change change, Key key, PageReservation& room);
  Expected<bool> MakeRoomLatched(Change change, Key key, PageReservation& room);
  // `node` is child `index` of the parent.
  Expected<void> Split(ExclusivePage& parent, size_t index, ExclusivePage& node, Key key,
                       PageReservation& room);
  Expected<void> SplitRoot(ExclusivePage& root, Key key, PageReservation& room);
  size_t KeptInSplit(const Node& node, Key key) const noexcept;
  // `left` is child `index` of the parent, `right` the next.
  Expected<void> Merge(ExclusivePage& parent, size_t index, ExclusivePage& left,
                       ExclusivePage& right);
  static void Share(const Node& parent, size_t index, const Node& left, const Node& right) noexcept;

  // The entries from `from` on of the leaf that it is in; returns the leaf's upper fence.
  [[gnu::flatten]] Expected<Key> ReadLeaf(Key from, Access access, std::vector<Entry>& entries);

  class Validation;

  BufferPool& pool_;
  const BufferPool::FileView file_;
  const NodeLayout layout_;
  ChangeLog* const log_;
  const int restarts_max_;
};

template <class Visit>
Expected<void> BTree::Scan(Key from, Visit&& visit) {
  std::vector<Entry> entries;
  for (size_t leaf = 0;; ++leaf) {
    const auto upper =
        ReadLeaf(from, leaf < kShortScanLeaves ? Access::kNormal : Access::kScan, entries);
    if (!upper) return tl::unexpected(upper.error());
    for (const Entry& entry : entries) {
      if (!visit(entry.key, entry.value)) return {};
    }
    if (*upper == kKeyMax) return {};
    from = *upper + 1;
  }
}

}  // namespace granary::btree

#endif  // GRANARY_INTEGRATION_EXAMPLES_BTREE_BTREE_H_
