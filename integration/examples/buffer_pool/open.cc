// A buffer pool under a limit, and a file in it.
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "memory/memory_budget.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/open_page_store.h"
#include "pool/buffer/page_codec.h"
#include "pool/page_pool.h"

// [sample]
struct Cache {
  granary::MemoryBudget budget;
  std::unique_ptr<granary::PagePool> pages;
  std::unique_ptr<granary::BufferPool> pool;  // The last to come, and the first to go.

  explicit Cache(granary::MemoryBudget& engine) : budget(engine, {.name = "buffer pool"}) {}

  granary::Expected<void> Open(size_t page_bytes, size_t bytes, granary::WalGate* log) {
    const size_t frames = bytes / page_bytes;
    // Address space for twice as many, for a Resize one day.
    auto made_pages = granary::PagePool::Create(
        {.page_bytes = page_bytes, .max_pages = 2 * frames, .budget = &budget, .name = "frames"});
    if (!made_pages) return tl::unexpected(made_pages.error());
    pages = std::move(*made_pages);
    auto made_pool = granary::BufferPool::Create(
        {.pages = pages.get(), .frames = frames, .wal_gate = log, .budget = &budget});
    if (!made_pool) return tl::unexpected(made_pool.error());
    pool = std::move(*made_pool);
    return {};
  }
};
// [/sample]

// [sample]
granary::Expected<granary::FileId> AttachTable(Cache& cache, std::string path, granary::FileId id) {
  auto opened = granary::OpenPageStore(
      {.file = {.path = std::move(path), .page_bytes = cache.pages->page_bytes(), .create = true}});
  if (!opened) return tl::unexpected(opened.error());
  if (!opened->note.empty()) std::fprintf(stderr, "%s\n", opened->note.c_str());
  return cache.pool->Attach({.store = std::move(opened->store),
                             .codec = std::make_unique<granary::ChecksumPageCodec>(),
                             .pages_max = uint64_t{1} << 30,  // 4 TiB; 8 GiB of addresses.
                             .id = id});
}
// [/sample]

int main() {
  const std::string path = "buffer_pool_open_sample";
  granary::MemoryBudget engine({.name = "mydb", .hard_limit_bytes = size_t{64} << 20});
  Cache cache(engine);
  if (auto opened = cache.Open(4096, size_t{16} << 20, nullptr); !opened) {
    std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    return 1;
  }
  const auto file = AttachTable(cache, path, 7);
  if (!file) {
    std::fprintf(stderr, "%s\n", file.error().message.c_str());
    return 2;
  }
  {
    auto reserved = cache.pool->Reserve(1);
    if (!reserved) return 3;
    auto page = cache.pool->Allocate(*file, *reserved);
    if (!page || page->id() != granary::PageId{7, 0}) return 4;
  }
  if (!cache.pool->Checkpoint()) return 5;
  if (engine.Stats().taken_bytes == 0) return 6;
  if (cache.pool->FixShared({7, 1})) return 7;  // There is no such page.
  if (!cache.pool->Detach(*file)) return 8;
  return std::remove(path.c_str()) == 0 ? 0 : 9;
}
