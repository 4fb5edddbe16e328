#include "bench/cache_sim/pool_cache.h"

#include <cstdio>
#include <cstdlib>

#include "pool/buffer/memory_page_store.h"

namespace granary::bench {

namespace {

// Nothing is in them; the smallest that a store has.
constexpr size_t kPageBytes = 512;

}  // namespace

Expected<std::unique_ptr<PoolCache>> PoolCache::Create(EvictionKind kind, size_t pages) {
  auto frames = PagePool::Create({.page_bytes = kPageBytes, .max_pages = pages});
  if (!frames) return tl::unexpected(std::move(frames.error()));
  BufferPoolOptions options;
  options.pages = frames->get();
  options.frames = pages;
  options.eviction = kind;
  // Who misses evicts, one page for one, as a cache on paper does.
  options.has_evictor = false;
  options.record_pins = false;
  auto pool = BufferPool::Create(options);
  if (!pool) return tl::unexpected(std::move(pool.error()));
  auto store = MemoryPageStore::Create(
      {.page_bytes = kPageBytes, .pages = kPagesMax, .contents = MemoryPages::kDiscard});
  if (!store) return tl::unexpected(std::move(store.error()));
  AttachOptions attach;
  attach.store = std::move(*store);
  attach.pages_max = kPagesMax;
  auto file = (*pool)->Attach(std::move(attach));
  if (!file) return tl::unexpected(std::move(file.error()));
  return std::unique_ptr<PoolCache>(new PoolCache(std::move(*frames), std::move(*pool), *file));
}

bool PoolCache::Access(PageKey page, granary::Access access) {
  const PageId id = {file_, page};
  const bool is_there = pool_->TryPeek(id).has_value();
  const auto fixed = pool_->FixShared(id, access);
  if (!fixed) {
    std::fprintf(stderr, "cache_sim: %s\n", fixed.error().message.c_str());
    std::abort();
  }
  return is_there;
}

}  // namespace granary::bench
