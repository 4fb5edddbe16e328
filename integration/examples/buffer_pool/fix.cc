// The ways to a page: latched shared, latched exclusively, looked at.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

namespace {

// The log of the sample: an LSN for each record, nothing durable before FlushTo.
class Log final : public granary::WalGate {
 public:
  granary::Lsn Append(granary::PageId, uint64_t) { return ++last_; }
  granary::Lsn Flushed() const noexcept override { return flushed_; }
  granary::Expected<void> FlushTo(granary::Lsn lsn) override {
    if (flushed_ < lsn) flushed_ = lsn;
    return {};
  }

 private:
  std::atomic<granary::Lsn> last_ = 0;
  std::atomic<granary::Lsn> flushed_ = 0;
};

constexpr size_t kCountOffset = 32;

}  // namespace

// [sample]
granary::Expected<uint64_t> ReadCount(granary::BufferPool& pool, granary::PageId id) {
  auto page = pool.FixShared(id);
  if (!page) return tl::unexpected(page.error());
  uint64_t count;
  std::memcpy(&count, page->data() + kCountOffset, sizeof(count));
  return count;
}
// [/sample]

// [sample]
granary::Expected<void> AddToCount(granary::BufferPool& pool, Log& log, granary::PageId id,
                                   uint64_t difference) {
  auto page = pool.FixExclusive(id);
  if (!page) return tl::unexpected(page.error());
  uint64_t count;
  std::memcpy(&count, page->data() + kCountOffset, sizeof(count));
  count += difference;
  const granary::Lsn lsn = log.Append(id, count);
  std::memcpy(page->data() + kCountOffset, &count, sizeof(count));
  page->MarkDirty(lsn);
  return {};
}
// [/sample]

// [sample]
granary::Expected<uint64_t> PeekCount(granary::BufferPool& pool, granary::PageId id) {
  for (int tries = 0; tries < 10; ++tries) {
    auto page = pool.Peek(id);
    if (!page) return tl::unexpected(page.error());
    const auto count = page->Read<uint64_t>(kCountOffset);  // Anything, as yet.
    if (page->Validate()) return count;
  }
  return ReadCount(pool, id);  // Somebody changes it all the time.
}
// [/sample]

// [sample]
granary::Expected<uint64_t> CountOf(const granary::BufferPool::FileView& file, uint64_t page) {
  if (auto peeked = file.TryPeek(page)) {
    const auto count = peeked->Read<uint64_t>(kCountOffset);
    if (peeked->Validate()) return count;
  }
  return ReadCount(file.pool(), {file.file(), page});
}
// [/sample]

// [sample]
// Makes the count even, and does not latch the page if it is.
granary::Expected<void> MakeEven(granary::BufferPool& pool, Log& log, granary::PageId id) {
  while (true) {
    auto peeked = pool.Peek(id);
    if (!peeked) return tl::unexpected(peeked.error());
    const auto count = peeked->Read<uint64_t>(kCountOffset);
    if (count % 2 == 0) {
      if (peeked->Validate()) return {};
      continue;
    }
    // The page as it was looked at, or nothing.
    auto page = peeked->TryUpgrade();
    if (!page) continue;
    const uint64_t even = count + 1;
    const granary::Lsn lsn = log.Append(id, even);
    std::memcpy(page->data() + kCountOffset, &even, sizeof(even));
    page->MarkDirty(lsn);
    return {};
  }
}
// [/sample]

int main() {
  Log log;
  auto pages = granary::PagePool::Create({.page_bytes = 4096, .max_pages = 64});
  if (!pages) return 1;
  auto pool = granary::BufferPool::Create({.pages = pages->get(), .frames = 16, .wal_gate = &log});
  if (!pool) return 2;
  auto store = granary::MemoryPageStore::Create({.pages = 100});
  if (!store) return 3;
  const auto file = (*pool)->Attach({.store = std::move(*store), .pages_max = 100});
  if (!file) return 4;
  for (uint64_t page = 0; page < 100; ++page) {
    const granary::PageId id = {*file, page};
    if (!AddToCount(**pool, log, id, page)) return 5;
    if (!MakeEven(**pool, log, id)) return 6;
  }
  const auto view = (*pool)->ViewOf(*file);
  if (!view) return 9;
  for (uint64_t page = 0; page < 100; ++page) {
    const granary::PageId id = {*file, page};
    if (ReadCount(**pool, id) != page + page % 2) return 7;
    if (PeekCount(**pool, id) != page + page % 2) return 8;
    if (CountOf(*view, page) != page + page % 2) return 10;
  }
  return 0;
}
