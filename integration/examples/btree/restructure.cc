// Splitting, merging and sharing of nodes, ahead of the change that needs it.
#include <algorithm>
#include <array>

#include "integration/examples/btree/btree.h"

namespace granary::btree {

// --- Making room --------------------------------------------------------------------------------

Expected<void> BTree::MakeRoom(Change change, Key key) {
  // The root's split makes two.
  constexpr size_t kPagesMax = 2;
  PageReservation room;
  for (int restarts = 0;; ++restarts) {
    Pause(restarts);
    if (change == Change::kInsert && room.pages() < kPagesMax) {
      auto reserved = pool_.Reserve(kPagesMax);
      if (!reserved) return tl::unexpected(std::move(reserved.error()));
      room = *std::move(reserved);
    }
    if (restarts < restarts_max_) {
      const auto is_done = MakeRoomOptimistic(change, key, room);
      if (!is_done) return tl::unexpected(is_done.error());
      if (is_done->value_or(false)) return {};
    } else {
      const auto is_done = MakeRoomLatched(change, key, room);
      if (!is_done) return tl::unexpected(is_done.error());
      if (*is_done) return {};
    }
  }
}

BTree::OrRestart<bool> BTree::MakeRoomOptimistic(Change change, Key key, PageReservation& room) {
  std::optional<Look> above;
  size_t index = 0;
  auto look = LookAtRoot();
  while (look && *look && !Lacks(change, (*look)->header)) {
    // Who comes to change the leaf looks again.
    if ((*look)->header.is_leaf()) return true;
    index = Search((*look)->page, layout_, (*look)->header.count, key);
    auto child = LookAtChild(**look, index, Access::kNormal);
    above = *std::move(look);
    look = std::move(child);
  }
  if (!look) return tl::unexpected(std::move(look.error()));
  if (!*look) return std::nullopt;
  Look& node = **look;
  const bool is_leaf = node.header.is_leaf();

  if (change == Change::kInsert) {
    std::optional<ExclusivePage> parent;
    if (above) {
      parent = above->page.TryUpgrade();
      if (!parent) return std::nullopt;
    }
    auto latched = node.page.TryUpgrade();
    if (!latched) return std::nullopt;
    auto done =
        parent ? Split(*parent, index, *latched, key, room) : SplitRoot(*latched, key, room);
    if (!done) return tl::unexpected(std::move(done.error()));
    return is_leaf;
  }

  // Only nodes below the root lack something for an erase.
  const bool is_last = index == above->header.count;
  auto beside = LookAtChild(*above, is_last ? index - 1 : index + 1, Access::kNormal);
  if (!beside) return tl::unexpected(std::move(beside.error()));
  if (!*beside) return std::nullopt;
  auto parent = above->page.TryUpgrade();
  if (!parent) return std::nullopt;
  auto latched = node.page.TryUpgrade();
  if (!latched) return std::nullopt;
  auto other = (*beside)->page.TryUpgrade();
  if (!other) return std::nullopt;
  auto done = is_last ? Merge(*parent, index - 1, *other, *latched)
                      : Merge(*parent, index, *latched, *other);
  if (!done) return tl::unexpected(std::move(done.error()));
  return is_leaf;
}

Expected<bool> BTree::MakeRoomLatched(Change change, Key key, PageReservation& room) {
  ExclusivePage parent;
  size_t index = 0;
  auto node = Fix<ExclusivePage>(kRootPage, kRootLevel);
  while (node && !Lacks(change, NodeOf(*node).header())) {
    const Node its = NodeOf(*node);
    if (its.header().is_leaf()) return true;
    index = its.Find(key);
    auto child = Fix<ExclusivePage>(its.value(index), its.header().level - 1);
    parent = *std::move(node);
    node = std::move(child);
  }
  if (!node) return tl::unexpected(std::move(node.error()));
  const NodeHeader header = NodeOf(*node).header();
  Expected<void> done;
  if (change == Change::kInsert) {
    done = parent.is_held() ? Split(parent, index, *node, key, room) : SplitRoot(*node, key, room);
  } else {
    const Node above = NodeOf(parent);
    const bool is_last = index == above.count();
    auto other = Fix<ExclusivePage>(above.value(is_last ? index - 1 : index + 1), header.level);
    if (!other) return tl::unexpected(std::move(other.error()));
    done = is_last ? Merge(parent, index - 1, *other, *node) : Merge(parent, index, *node, *other);
  }
  if (!done) return tl::unexpected(std::move(done.error()));
  return header.is_leaf();
}

// --- Splitting ----------------------------------------------------------------------------------

// Half of them. At an edge of the tree a key that is above or below nearly all says that keys come
// in their order, and no others will come to what is behind them: that is left full (as InnoDB
// does, which leaves a sixteenth of a page).
size_t BTree::KeptInSplit(const Node& node, Key key) const noexcept {
  const NodeHeader header = node.header();
  const size_t outermost = layout_.CountAtEdge(header);
  if (header.is_rightmost() && key > node.key(header.count - outermost)) {
    return header.count - outermost;
  }
  if (header.is_leftmost() && key < node.key(outermost - 1)) return outermost;
  return header.count / size_t{2};
}

Expected<void> BTree::Split(ExclusivePage& parent, size_t index, ExclusivePage& node, Key key,
                            PageReservation& room) {
  auto meta = MetaPage::Latch(pool_, file_.file(), layout_);
  if (!meta) return tl::unexpected(std::move(meta.error()));
  auto right = meta->Take(room);
  if (!right) return tl::unexpected(std::move(right.error()));
  const Node left = NodeOf(node);
  const Key fence = left.SplitInto(NodeOf(*right), KeptInSplit(left, key));
  NodeOf(parent).Insert(index, fence, right->id().page);
  ExclusivePage* const changed[] = {&parent, &node, &*right, &meta->page()};
  Changed(changed);
  return {};
}

Expected<void> BTree::SplitRoot(ExclusivePage& root, Key key, PageReservation& room) {
  auto meta = MetaPage::Latch(pool_, file_.file(), layout_);
  if (!meta) return tl::unexpected(std::move(meta.error()));
  auto left = meta->Take(room);
  if (!left) return tl::unexpected(std::move(left.error()));
  auto right = meta->Take(room);
  if (!right) {
    // The first one is free again, perhaps in another place than before.
    meta->Put(*left);
    ExclusivePage* const changed[] = {&meta->page(), &*left};
    Changed(std::span(changed).first(left->is_held() ? 2 : 1));
    return tl::unexpected(std::move(right.error()));
  }
  const Node above = NodeOf(root);
  NodeHeader header = above.header();
  NodeOf(*left).Assign(above);
  const Key fence = NodeOf(*left).SplitInto(NodeOf(*right), KeptInSplit(above, key));
  ++header.level;
  header.count = 1;
  above.SetHeader(header);
  above.SetKey(0, fence);
  above.SetValue(0, left->id().page);
  above.SetValue(1, right->id().page);
  ExclusivePage* const changed[] = {&root, &*left, &*right, &meta->page()};
  Changed(changed);
  return {};
}

// --- Merging ------------------------------------------------------------------------------------

Expected<void> BTree::Merge(ExclusivePage& parent, size_t index, ExclusivePage& left,
                            ExclusivePage& right) {
  const Node above = NodeOf(parent);
  const Node lefts = NodeOf(left);
  const Node rights = NodeOf(right);
  const NodeHeader header = lefts.header();
  // So many that the node is not split soon.
  const size_t merged_max = layout_.CountMax(header) / 4 * 3;
  if (lefts.count() + rights.count() + (header.is_leaf() ? 0 : 1) > merged_max) {
    Share(above, index, lefts, rights);
    ExclusivePage* const changed[] = {&parent, &left, &right};
    Changed(changed);
    return {};
  }
  auto meta = MetaPage::Latch(pool_, file_.file(), layout_);
  if (!meta) return tl::unexpected(std::move(meta.error()));
  lefts.MergeFrom(rights, above.key(index));
  if (above.header().is_root() && above.count() == 1) {
    above.Assign(lefts);
    meta->Put(left);
  } else {
    above.Erase(index);
  }
  meta->Put(right);
  std::array<ExclusivePage*, 4> changed = {&parent, &meta->page(), &left, &right};
  const auto end = std::remove_if(changed.begin(), changed.end(),
                                  [](const ExclusivePage* page) { return !page->is_held(); });
  Changed(std::span(changed.begin(), end));
  return {};
}

// One has a few more than it may have at least, the other many: entries go over until both have the
// same.
void BTree::Share(const Node& parent, size_t index, const Node& left, const Node& right) noexcept {
  const size_t lefts = (left.count() + right.count()) / 2;
  Key fence = parent.key(index);
  const bool is_leaf = left.header().is_leaf();
  while (left.count() < lefts) {
    if (is_leaf) {
      fence = right.key(0);
      left.Insert(left.count(), fence, right.value(0));
    } else {
      left.Insert(left.count(), fence, right.value(0));
      fence = right.key(0);
      right.SetValue(0, right.value(1));
    }
    right.Erase(0);
  }
  while (left.count() > lefts) {
    const size_t last = left.count() - 1;
    if (is_leaf) {
      right.Insert(0, left.key(last), left.value(last));
      fence = left.key(last - 1);
    } else {
      right.Insert(0, fence, right.value(0));
      right.SetValue(0, left.value(last + 1));
      fence = left.key(last);
    }
    left.Erase(last);
  }
  parent.SetKey(index, fence);
  NodeHeader header = left.header();
  header.upper = fence;
  left.SetHeader(header);
  header = right.header();
  header.lower = fence + 1;
  right.SetHeader(header);
}

}  // namespace granary::btree
