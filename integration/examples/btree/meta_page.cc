#include "integration/examples/btree/meta_page.h"

#include <cstring>
#include <string>
#include <utility>

namespace granary::btree {

namespace {

MetaHeader HeaderOf(const std::byte* page, const NodeLayout& layout) noexcept {
  return NodeBytes(page).Read<MetaHeader>(layout.base());
}
void SetHeader(std::byte* page, const NodeLayout& layout, const MetaHeader& header) noexcept {
  std::memcpy(page + layout.base(), &header, sizeof(header));
}
size_t NumberAt(const NodeLayout& layout, size_t index) noexcept {
  return layout.base() + sizeof(MetaHeader) + index * sizeof(uint64_t);
}
size_t FreeMax(const NodeLayout& layout) noexcept {
  return (layout.page_bytes() - NumberAt(layout, 0)) / sizeof(uint64_t);
}
void CopyNumbers(const std::byte* from, std::byte* to, const NodeLayout& layout,
                 size_t count) noexcept {
  const size_t begin = NumberAt(layout, 0);
  std::memcpy(to + begin, from + begin, count * sizeof(uint64_t));
}

Error Corrupt(uint64_t page, const std::string& what) {
  return {.code = ErrorCode::kCorrupt,
          .message = "page " + std::to_string(page) + " " + what,
          .where = "btree::MetaPage"};
}

Expected<void> CheckChain(uint64_t page, const MetaHeader& header, const NodeLayout& layout) {
  if (header.mark != MetaHeader::kChain || header.free_count > FreeMax(layout)) {
    return tl::unexpected(Corrupt(page, "is in the chain of free pages and does not say so"));
  }
  return {};
}

}  // namespace

void MetaPage::Format(std::byte* page, const NodeLayout& layout) noexcept {
  SetHeader(page, layout,
            {.page_bytes = static_cast<uint32_t>(layout.page_bytes()),
             .base = static_cast<uint32_t>(layout.base()),
             .page_count = kRootPage + 1});
}

Expected<void> MetaPage::Check(const std::byte* page, const NodeLayout& layout) {
  const MetaHeader header = HeaderOf(page, layout);
  if (header.mark != MetaHeader::kMark || header.version != MetaHeader::kVersion) {
    return tl::unexpected(Corrupt(kMetaPage, "is not the first of a tree of version 1: mark " +
                                                 std::to_string(header.mark) + ", version " +
                                                 std::to_string(header.version)));
  }
  if (header.page_bytes != layout.page_bytes() || header.base != layout.base()) {
    return tl::unexpected(
        Corrupt(kMetaPage, "is of a tree with pages of " + std::to_string(header.page_bytes) +
                               " bytes, from the byte " + std::to_string(header.base) +
                               " on, and not " + std::to_string(layout.page_bytes()) + " from " +
                               std::to_string(layout.base()) + " on"));
  }
  if (header.page_count <= kRootPage || header.free_count > FreeMax(layout)) {
    return tl::unexpected(Corrupt(kMetaPage, "has " + std::to_string(header.page_count) +
                                                 " pages and " + std::to_string(header.free_count) +
                                                 " free ones, of at most " +
                                                 std::to_string(FreeMax(layout))));
  }
  return {};
}

Expected<MetaPage> MetaPage::Latch(BufferPool& pool, FileId file, const NodeLayout& layout) {
  auto page = pool.FixExclusive({file, kMetaPage});
  if (!page) return tl::unexpected(std::move(page.error()));
  if (auto right = Check(page->data(), layout); !right) {
    return tl::unexpected(std::move(right.error()));
  }
  return MetaPage(pool, file, layout, *std::move(page));
}

Expected<ExclusivePage> MetaPage::Take(PageReservation& reservation) {
  MetaHeader header = HeaderOf(page_.data(), *layout_);
  // No change of the new page is in the log before the meta page's last one.
  const Lsn since = page_.lsn();
  if (header.free_count != 0) {
    const auto number =
        NodeBytes(page_.data()).Read<uint64_t>(NumberAt(*layout_, header.free_count - 1));
    auto page = pages().CreatePage({file_, number}, reservation, since);
    if (!page) return page;
    --header.free_count;
    SetHeader(page_.data(), *layout_, header);
    return page;
  }
  if (header.chain != 0) {
    auto page = pool_->FixExclusive({file_, header.chain});
    if (!page) return page;
    const MetaHeader its = HeaderOf(page->data(), *layout_);
    if (auto right = CheckChain(header.chain, its, *layout_); !right) {
      return tl::unexpected(std::move(right.error()));
    }
    CopyNumbers(page->data(), page_.data(), *layout_, its.free_count);
    header.free_count = its.free_count;
    header.chain = its.chain;
    SetHeader(page_.data(), *layout_, header);
    std::memset(page->data() + layout_->base(), 0, layout_->page_bytes() - layout_->base());
    return page;
  }
  auto page = pages().CreatePage({file_, header.page_count}, reservation, since);
  if (!page) return page;
  ++header.page_count;
  SetHeader(page_.data(), *layout_, header);
  return page;
}

void MetaPage::Put(ExclusivePage& page) noexcept {
  MetaHeader header = HeaderOf(page_.data(), *layout_);
  const uint64_t number = page.id().page;
  if (header.free_count < FreeMax(*layout_)) {
    std::memcpy(page_.data() + NumberAt(*layout_, header.free_count), &number, sizeof(number));
    ++header.free_count;
    SetHeader(page_.data(), *layout_, header);
    pool_->Discard(std::move(page));
    return;
  }
  MetaHeader its = header;
  its.mark = MetaHeader::kChain;
  CopyNumbers(page_.data(), page.data(), *layout_, header.free_count);
  SetHeader(page.data(), *layout_, its);
  header.chain = number;
  header.free_count = 0;
  SetHeader(page_.data(), *layout_, header);
}

Expected<MetaPage::Pages> MetaPage::ReadAll(BufferPool& pool, FileId file,
                                            const NodeLayout& layout) {
  Pages pages;
  uint64_t next = kMetaPage;
  do {
    auto page = pool.FixShared({file, next});
    if (!page) return tl::unexpected(std::move(page.error()));
    const MetaHeader header = HeaderOf(page->data(), layout);
    auto right = next == kMetaPage ? Check(page->data(), layout) : CheckChain(next, header, layout);
    if (!right) return tl::unexpected(std::move(right.error()));
    if (next == kMetaPage) {
      pages.page_count = header.page_count;
    } else {
      pages.free.push_back(next);
    }
    for (size_t i = 0; i < header.free_count; ++i) {
      pages.free.push_back(NodeBytes(page->data()).Read<uint64_t>(NumberAt(layout, i)));
    }
    if (pages.free.size() > pages.page_count) {
      return tl::unexpected(Corrupt(next, "ends a chain of more free pages than there are pages"));
    }
    next = header.chain;
  } while (next != 0);
  return pages;
}

}  // namespace granary::btree
