// MetaPage: the first page of a tree's file, which knows which pages are nobody's.
//
// The numbers of free pages are in the meta page itself, as many as fit. When one more comes, it
// takes them all into its own bytes, and is the first of a chain of such pages; when the meta page
// has none left, it takes those of the first of the chain back, and that one is free. So a page
// that is freed is mostly not written, and one that is used again not read. SQLite's list of free
// pages is the model.
#ifndef GRANARY_INTEGRATION_EXAMPLES_BTREE_META_PAGE_H_
#define GRANARY_INTEGRATION_EXAMPLES_BTREE_META_PAGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "integration/examples/btree/node.h"
#include "memory/error.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/page_types.h"

namespace granary::btree {

// Of the meta page, and of the pages of the chain.
struct MetaHeader {
  static constexpr uint32_t kMark = 0x6174656d;   // "meta"
  static constexpr uint32_t kChain = 0x65657266;  // "free"
  static constexpr uint32_t kVersion = 1;

  uint32_t mark = kMark;
  uint32_t version = kVersion;
  uint32_t page_bytes = 0;
  // Where the tree's bytes begin in each page.
  uint32_t base = 0;
  // Pages have numbers below this; of the meta page only.
  uint64_t page_count = 0;
  // The first page of the chain, or the next one; 0 for none.
  uint64_t chain = 0;
  // How many numbers follow.
  uint64_t free_count = 0;
};
static_assert(sizeof(MetaHeader) == 40);

// The meta page while it is the caller's alone; latched after all other pages but those that it
// hands out.
class MetaPage {
 public:
  // A file that has these two pages and nothing else.
  static void Format(std::byte* page, const NodeLayout& layout) noexcept;
  // kCorrupt if this is not the meta page of a tree with such pages.
  static Expected<void> Check(const std::byte* page, const NodeLayout& layout);
  // Errors of the pool; kCorrupt.
  static Expected<MetaPage> Latch(BufferPool& pool, FileId file, const NodeLayout& layout);

  // A page of zeros that is nobody's, exclusively. Takes a frame of the reservation, or none. After
  // an error nothing has changed.
  Expected<ExclusivePage> Take(PageReservation& reservation);
  // Frees the page, which the file's keeps no longer; the guard is empty afterwards, unless the
  // page has become one of the chain: then it was changed.
  void Put(ExclusivePage& page) noexcept;

  ExclusivePage& page() noexcept { return page_; }

  // How many pages the file has, and which of them are free, those of the chain included. Nobody
  // changes the tree meanwhile.
  struct Pages {
    uint64_t page_count = 0;
    std::vector<uint64_t> free;
  };
  static Expected<Pages> ReadAll(BufferPool& pool, FileId file, const NodeLayout& layout);

 private:
  MetaPage(BufferPool& pool, FileId file, const NodeLayout& layout, ExclusivePage page) noexcept
      : pool_(&pool), file_(file), layout_(&layout), page_(std::move(page)) {}

  BufferPoolCore& pages() const noexcept { return *pool_; }

  BufferPool* pool_;
  FileId file_;
  const NodeLayout* layout_;
  ExclusivePage page_;
};

}  // namespace granary::btree

#endif  // GRANARY_INTEGRATION_EXAMPLES_BTREE_META_PAGE_H_
