// BTree::Validate: whether the tree is one.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "integration/examples/btree/btree.h"

namespace granary::btree {

class BTree::Validation {
 public:
  explicit Validation(BTree& tree) noexcept : tree_(tree) {}

  Expected<BTreeReport> Run() {
    auto pages = MetaPage::ReadAll(tree_.pool_, tree_.file_.file(), tree_.layout_);
    if (!pages) return tl::unexpected(std::move(pages.error()));
    seen_.resize(pages->page_count);
    report_.pages = pages->page_count;
    report_.free_pages = pages->free.size();
    seen_[kMetaPage] = true;
    for (const uint64_t page : pages->free) {
      if (!See(page)) return Wrong(page, "is free twice, or beyond the file's pages");
    }
    if (auto right = Visit(kRootPage, std::nullopt, 0, kKeyMax); !right) {
      return tl::unexpected(std::move(right.error()));
    }
    for (uint64_t page = 0; page < seen_.size(); ++page) {
      if (!seen_[page]) return Wrong(page, "is neither free nor in the tree");
    }
    return report_;
  }

 private:
  static tl::unexpected<Error> Wrong(uint64_t page, const std::string& what) {
    return tl::unexpected(Error{.code = ErrorCode::kCorrupt,
                                .message = "page " + std::to_string(page) + " " + what,
                                .where = "BTree::Validate"});
  }
  // False if it was seen, or is none.
  bool See(uint64_t page) {
    if (page >= seen_.size() || seen_[page]) return false;
    seen_[page] = true;
    return true;
  }

  // The node and all below it, which are to have the keys from `lower` to `upper`.
  Expected<void> Visit(uint64_t page, std::optional<size_t> level, Key lower, Key upper) {
    if (!See(page)) return Wrong(page, "is free, or in the tree twice, or beyond the file's pages");
    // A copy, so that no more than one page is latched.
    std::vector<std::byte> bytes(tree_.layout_.page_bytes());
    {
      auto fixed = tree_.file_.FixShared(page, Access::kScan);
      if (!fixed) return tl::unexpected(std::move(fixed.error()));
      bytes.assign(fixed->bytes().begin(), fixed->bytes().end());
    }
    const Node node(bytes.data(), tree_.layout_);
    const NodeHeader header = node.header();
    if (!tree_.layout_.IsPlausible(header) || (level && header.level != *level)) {
      return tl::unexpected(NotANode(page, header));
    }
    if (header.lower != lower || header.upper != upper) {
      return Wrong(page, "has keys from " + std::to_string(header.lower) + " to " +
                             std::to_string(header.upper) + ", and the one above says from " +
                             std::to_string(lower) + " to " + std::to_string(upper));
    }
    if (page != kRootPage && header.count < tree_.layout_.CountMin(header)) {
      return Wrong(page, "has " + std::to_string(header.count) +
                             " keys, and may have no fewer than " +
                             std::to_string(tree_.layout_.CountMin(header)));
    }
    for (size_t i = 0; i < header.count; ++i) {
      const Key key = node.key(i);
      if (key < lower || key > upper || (i != 0 && key <= node.key(i - 1))) {
        return Wrong(page, "has the key " + std::to_string(key) + " as its number " +
                               std::to_string(i) + ", out of order or beyond the fences");
      }
    }
    if (!level) report_.height = header.level + size_t{1};
    if (header.is_leaf()) {
      ++report_.leaves;
      report_.entries += header.count;
      return {};
    }
    ++report_.inner_nodes;
    for (size_t i = 0; i <= header.count; ++i) {
      const Key from = i == 0 ? lower : node.key(i - 1) + 1;
      const Key to = i == header.count ? upper : node.key(i);
      if (auto right = Visit(node.value(i), header.level - 1, from, to); !right) return right;
    }
    return {};
  }

  BTree& tree_;
  BTreeReport report_;
  // Of each page.
  std::vector<bool> seen_;
};

Expected<BTreeReport> BTree::Validate() { return Validation(*this).Run(); }

}  // namespace granary::btree
