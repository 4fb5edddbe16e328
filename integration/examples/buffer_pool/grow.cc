// A new page within a latch, where nothing may fail.
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

namespace {

constexpr size_t kNextOffset = 32;

}  // namespace

// [sample]
// Puts a new page behind `id` in a list of pages.
granary::Expected<granary::PageId> InsertBehind(granary::BufferPool& pool, granary::PageId id,
                                                granary::Lsn lsn) {
  auto reserved = pool.Reserve(1);  // May evict, write and wait; nothing is latched yet.
  if (!reserved) return tl::unexpected(reserved.error());
  auto page = pool.FixExclusive(id);
  if (!page) return tl::unexpected(page.error());
  auto made = pool.Allocate(id.file, *reserved, lsn);  // Zeros, dirty, exclusively ours.
  if (!made) return tl::unexpected(made.error());
  std::memcpy(made->data() + kNextOffset, page->data() + kNextOffset, sizeof(uint64_t));
  const uint64_t number = made->id().page;
  std::memcpy(page->data() + kNextOffset, &number, sizeof(number));
  page->MarkDirty(lsn);
  return made->id();
}
// [/sample]

int main() {
  auto pages = granary::PagePool::Create({.page_bytes = 4096, .max_pages = 64});
  if (!pages) return 1;
  auto pool = granary::BufferPool::Create({.pages = pages->get(), .frames = 4});
  if (!pool) return 2;
  auto store = granary::MemoryPageStore::Create({.pages = 1, .capacity_pages = 20});
  if (!store) return 3;
  const auto file = (*pool)->Attach({.store = std::move(*store), .pages_max = 20});
  if (!file) return 4;
  for (uint64_t i = 1; i < 20; ++i) {
    const auto made = InsertBehind(**pool, {*file, 0}, i);
    if (!made || made->page != i) return 5;
  }
  // The file is full.
  const auto refused = InsertBehind(**pool, {*file, 0}, 20);
  if (refused || refused.error().code != granary::ErrorCode::kOutOfMemory) return 6;
  uint64_t page = 0;
  for (uint64_t i = 19; i > 0; --i) {
    auto fixed = (*pool)->FixShared({*file, page});
    if (!fixed) return 7;
    std::memcpy(&page, fixed->data() + kNextOffset, sizeof(page));
    if (page != i) return 8;
  }
  return 0;
}
