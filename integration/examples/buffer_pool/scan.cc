// A query that reads a table once, and leaves the pool as it was.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/page_scope.h"
#include "pool/page_pool.h"

// [sample]
granary::Expected<uint64_t> Sum(granary::BufferPool& pool, granary::FileId file, uint64_t pages) {
  granary::PageScope query(pool, {.name = "sum", .pins_max = 4, .scan_ring_frames = 64});
  uint64_t sum = 0;
  for (uint64_t page = 0; page < pages; ++page) {
    auto fixed = query.FixShared({file, page}, granary::Access::kScan);
    if (!fixed) return tl::unexpected(fixed.error());
    uint64_t number;
    std::memcpy(&number, (*fixed)->data(), sizeof(number));
    sum += number;
  }
  return sum;
}
// [/sample]

// [sample]
// The same for pages that are known beforehand, here and there in the file: while one is read,
// those behind it come.
granary::Expected<uint64_t> SumOf(granary::BufferPool& pool, std::span<const granary::PageId> ids) {
  constexpr size_t kAhead = 64;
  constexpr size_t kAtOnce = 16;
  uint64_t sum = 0;
  size_t asked = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    while (asked < ids.size() && asked < i + kAhead) {
      const auto some = ids.subspan(asked, std::min(kAtOnce, ids.size() - asked));
      // What is not taken is brought, or refused, when it is fixed.
      (void)pool.StartPrefetch(some);
      asked += some.size();
    }
    auto fixed = pool.FixShared(ids[i]);
    if (!fixed) return tl::unexpected(fixed.error());
    uint64_t number;
    std::memcpy(&number, fixed->data(), sizeof(number));
    sum += number;
  }
  return sum;
}
// [/sample]

int main() {
  auto pages = granary::PagePool::Create({.page_bytes = 4096, .max_pages = 200});
  if (!pages) return 1;
  auto pool = granary::BufferPool::Create({.pages = pages->get(), .frames = 200});
  if (!pool) return 2;
  // Page n begins with n.
  auto store =
      granary::MemoryPageStore::Create({.pages = 1000, .contents = granary::MemoryPages::kDiscard});
  if (!store) return 3;
  const auto file = (*pool)->Attach({.store = std::move(*store), .pages_max = 1000});
  if (!file) return 4;
  for (int times = 0; times < 3; ++times) {
    for (uint64_t page = 0; page < 100; ++page) {
      if (!(*pool)->FixShared({*file, page})) return 5;
    }
  }
  if (Sum(**pool, *file, 1000) != uint64_t{999} * 1000 / 2) return 6;
  if ((*pool)->Stats().ring_reuses == 0) return 7;
  const uint64_t misses = (*pool)->Stats().misses;
  for (uint64_t page = 0; page < 100; ++page) {
    if (!(*pool)->FixShared({*file, page})) return 8;
  }
  if ((*pool)->Stats().misses != misses) return 9;
  std::array<granary::PageId, 50> ids;
  for (uint64_t i = 0; i < ids.size(); ++i) ids[i] = {*file, 13 * i};
  return SumOf(**pool, ids) == uint64_t{13} * 50 * 49 / 2 ? 0 : 10;
}
