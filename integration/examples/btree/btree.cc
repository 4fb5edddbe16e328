#include "integration/examples/btree/btree.h"

#include <string>
#include <thread>
#include <type_traits>

namespace granary::btree {

// --- Making -------------------------------------------------------------------------------------

namespace {

Expected<void> CheckOptions(const BTreeOptions& options) {
  if (options.pool == nullptr || options.header_bytes > NodeLayout::kHeaderBytesMax) {
    return tl::unexpected(Error{
        .code = ErrorCode::kInvalidArgument,
        .message = options.pool == nullptr ? "there is no pool"
                                           : "a codec has " + std::to_string(options.header_bytes) +
                                                 " bytes of each page, and may have " +
                                                 std::to_string(NodeLayout::kHeaderBytesMax),
        .where = "BTree"});
  }
  return {};
}

}  // namespace

Expected<std::unique_ptr<BTree>> BTree::Create(const BTreeOptions& options) {
  if (auto right = CheckOptions(options); !right) return tl::unexpected(std::move(right.error()));
  auto file = options.pool->ViewOf(options.file);
  if (!file) return tl::unexpected(std::move(file.error()));
  std::unique_ptr<BTree> tree(new BTree(options, *file));
  auto room = tree->pool_.Reserve(2);
  if (!room) return tl::unexpected(std::move(room.error()));
  auto meta = tree->pages().CreatePage(tree->Id(kMetaPage), *room);
  if (!meta) return tl::unexpected(std::move(meta.error()));
  auto root = tree->pages().CreatePage(tree->Id(kRootPage), *room);
  if (!root) return tl::unexpected(std::move(root.error()));
  MetaPage::Format(meta->data(), tree->layout_);
  tree->NodeOf(*root).SetHeader({});
  ExclusivePage* const changed[] = {&*meta, &*root};
  tree->Changed(changed);
  return tree;
}

Expected<std::unique_ptr<BTree>> BTree::Open(const BTreeOptions& options) {
  if (auto right = CheckOptions(options); !right) return tl::unexpected(std::move(right.error()));
  auto file = options.pool->ViewOf(options.file);
  if (!file) return tl::unexpected(std::move(file.error()));
  std::unique_ptr<BTree> tree(new BTree(options, *file));
  auto meta = tree->file_.FixShared(kMetaPage);
  if (!meta) return tl::unexpected(std::move(meta.error()));
  if (auto right = MetaPage::Check(meta->data(), tree->layout_); !right) {
    return tl::unexpected(std::move(right.error()));
  }
  return tree;
}

void BTree::Changed(std::span<ExclusivePage* const> pages) noexcept {
  if (log_ != nullptr) {
    log_->Append(pages);
    return;
  }
  for (ExclusivePage* const page : pages) page->MarkDirty(0);
}

Error BTree::NotANode(uint64_t page, const NodeHeader& header) {
  return {.code = ErrorCode::kCorrupt,
          .message = "page " + std::to_string(page) + " is not the node that it should be: mark " +
                     std::to_string(header.mark) + ", level " + std::to_string(header.level) +
                     ", " + std::to_string(header.count) + " keys",
          .where = "BTree"};
}

// Who was in the way may need the processor.
void BTree::Pause(int restarts) noexcept {
  constexpr int kAtOnce = 3;
  if (restarts >= kAtOnce) std::this_thread::yield();
}

// --- Descending ---------------------------------------------------------------------------------

BTree::OrRestart<BTree::Look> BTree::LookInto(uint64_t number, Expected<OptimisticPage> page,
                                              int level) {
  if (!page) return tl::unexpected(std::move(page.error()));
  const auto header = page->Read<NodeHeader>(layout_.base());
  if (!layout_.IsPlausible(header) || !IsAt(header, level)) [[unlikely]] {
    if (page->Validate()) return tl::unexpected(NotANode(number, header));
    return std::nullopt;
  }
  return Look{*std::move(page), header};
}

BTree::OrRestart<BTree::Look> BTree::LookAtRoot() {
  return LookInto(kRootPage, file_.Peek(kRootPage), kRootLevel);
}

BTree::OrRestart<BTree::Look> BTree::LookAtChild(const Look& parent, size_t index, Access access) {
  const auto child = parent.page.Read<uint64_t>(layout_.ValueAt(parent.header, index));
  if (!parent.page.Validate()) return std::nullopt;
  auto page = file_.Peek(child, access);
  // The child may have been freed before it was looked at: then anything may have come of that.
  if (!parent.page.Validate()) return std::nullopt;
  return LookInto(child, std::move(page), parent.header.level - 1);
}

BTree::OrRestart<BTree::Look> BTree::LookForLeaf(Key key, Access access) {
  auto look = LookAtRoot();
  while (look && *look && !(*look)->header.is_leaf()) {
    const Look& node = **look;
    const size_t index = Search(node.page, layout_, node.header.count, key);
    look = LookAtChild(node, index, node.header.level == 1 ? access : Access::kNormal);
  }
  return look;
}

template <class Guard>
Expected<Guard> BTree::Fix(uint64_t page, int level) {
  Expected<Guard> fixed = [&] {
    if constexpr (std::is_same_v<Guard, SharedPage>) {
      return file_.FixShared(page);
    } else {
      return file_.FixExclusive(page);
    }
  }();
  if (!fixed) return fixed;
  const auto header = NodeBytes(fixed->data()).template Read<NodeHeader>(layout_.base());
  if (!layout_.IsPlausible(header) || !IsAt(header, level)) {
    return tl::unexpected(NotANode(page, header));
  }
  return fixed;
}

template <class Guard>
Expected<Guard> BTree::LatchLeaf(Key key) {
  auto node = Fix<Guard>(kRootPage, kRootLevel);
  while (node) {
    const NodeBytes bytes(node->data());
    const auto header = bytes.Read<NodeHeader>(layout_.base());
    if (header.is_leaf()) return node;
    const size_t index = Search(bytes, layout_, header.count, key);
    auto child = Fix<Guard>(bytes.Read<uint64_t>(layout_.ValueAt(header, index)), header.level - 1);
    // The node is latched until its child is.
    node = std::move(child);
  }
  return node;
}

template Expected<ExclusivePage> BTree::Fix<ExclusivePage>(uint64_t page, int level);

// --- Reading ------------------------------------------------------------------------------------

Expected<std::optional<Value>> BTree::Find(Key key) {
  const auto read = [&](const auto& page, const NodeHeader& header) -> std::optional<Value> {
    const size_t index = Search(page, layout_, header.count, key);
    if (index == header.count || page.template Read<Key>(layout_.KeyAt(index)) != key) {
      return std::nullopt;
    }
    return page.template Read<Value>(layout_.ValueAt(header, index));
  };
  for (int restarts = 0; restarts < restarts_max_; ++restarts) {
    Pause(restarts);
    auto leaf = LookForLeaf(key, Access::kNormal);
    if (!leaf) return tl::unexpected(std::move(leaf.error()));
    if (!*leaf) continue;
    const std::optional<Value> value = read((*leaf)->page, (*leaf)->header);
    if ((*leaf)->page.Validate()) return value;
  }
  auto leaf = LatchLeaf<SharedPage>(key);
  if (!leaf) return tl::unexpected(std::move(leaf.error()));
  const NodeBytes bytes(leaf->data());
  return read(bytes, bytes.Read<NodeHeader>(layout_.base()));
}

Expected<Key> BTree::ReadLeaf(Key from, Access access, std::vector<Entry>& entries) {
  const auto read = [&](const auto& page, const NodeHeader& header) {
    entries.clear();
    entries.reserve(layout_.CountMax(header));
    for (size_t i = Search(page, layout_, header.count, from); i < header.count; ++i) {
      entries.push_back({page.template Read<Key>(layout_.KeyAt(i)),
                         page.template Read<Value>(layout_.ValueAt(header, i))});
    }
    return header.upper;
  };
  for (int restarts = 0; restarts < restarts_max_; ++restarts) {
    Pause(restarts);
    auto leaf = LookForLeaf(from, access);
    if (!leaf) return tl::unexpected(std::move(leaf.error()));
    if (!*leaf) continue;
    const Key upper = read((*leaf)->page, (*leaf)->header);
    if ((*leaf)->page.Validate()) return upper;
  }
  auto leaf = LatchLeaf<SharedPage>(from);
  if (!leaf) return tl::unexpected(std::move(leaf.error()));
  const NodeBytes bytes(leaf->data());
  return read(bytes, bytes.Read<NodeHeader>(layout_.base()));
}

// --- Writing ------------------------------------------------------------------------------------

bool BTree::Lacks(Change change, const NodeHeader& header) const noexcept {
  switch (change) {
    case Change::kInsert:
      return header.count == layout_.CountMax(header);
    case Change::kErase:
      return !header.is_root() && header.count <= layout_.CountMin(header);
    case Change::kUpdate:
      break;
  }
  return false;
}

Expected<BTree::Place> BTree::LatchFor(Change change, Key key) {
  enum class Next { kNothing, kRoom, kChange };
  size_t index = 0;
  const auto decide = [&](const auto& page, const NodeHeader& header) {
    index = Search(page, layout_, header.count, key);
    const bool is_there =
        index < header.count && page.template Read<Key>(layout_.KeyAt(index)) == key;
    if (is_there == (change == Change::kInsert)) return Next::kNothing;
    return Lacks(change, header) ? Next::kRoom : Next::kChange;
  };
  for (int restarts = 0;; ++restarts) {
    Next next;
    if (restarts < restarts_max_) {
      Pause(restarts);
      auto leaf = LookForLeaf(key, Access::kNormal);
      if (!leaf) return tl::unexpected(std::move(leaf.error()));
      if (!*leaf) continue;
      OptimisticPage& page = (*leaf)->page;
      next = decide(page, (*leaf)->header);
      if (next == Next::kChange) {
        if (auto latched = page.TryUpgrade()) return Place{*std::move(latched), index};
        continue;
      }
      if (!page.Validate()) continue;
    } else {
      auto leaf = LatchLeaf<ExclusivePage>(key);
      if (!leaf) return tl::unexpected(std::move(leaf.error()));
      next = decide(NodeBytes(leaf->data()), NodeOf(*leaf).header());
      if (next == Next::kChange) return Place{*std::move(leaf), index};
    }
    if (next == Next::kNothing) return Place{};
    if (auto made = MakeRoom(change, key); !made) return tl::unexpected(std::move(made.error()));
  }
}

Expected<bool> BTree::Insert(Key key, Value value) {
  auto place = LatchFor(Change::kInsert, key);
  if (!place) return tl::unexpected(std::move(place.error()));
  if (!place->page.is_held()) return false;
  NodeOf(place->page).Insert(place->index, key, value);
  ExclusivePage* const changed[] = {&place->page};
  Changed(changed);
  return true;
}

Expected<bool> BTree::Update(Key key, Value value) {
  auto place = LatchFor(Change::kUpdate, key);
  if (!place) return tl::unexpected(std::move(place.error()));
  if (!place->page.is_held()) return false;
  NodeOf(place->page).SetValue(place->index, value);
  ExclusivePage* const changed[] = {&place->page};
  Changed(changed);
  return true;
}

Expected<bool> BTree::Erase(Key key) {
  auto place = LatchFor(Change::kErase, key);
  if (!place) return tl::unexpected(std::move(place.error()));
  if (!place->page.is_held()) return false;
  NodeOf(place->page).Erase(place->index);
  ExclusivePage* const changed[] = {&place->page};
  Changed(changed);
  return true;
}

}  // namespace granary::btree
