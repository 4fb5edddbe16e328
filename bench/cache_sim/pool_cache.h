// The buffer pool under a trace: real frames, latches and entries, over a store that costs nothing.
#ifndef GRANARY_BENCH_CACHE_SIM_POOL_CACHE_H_
#define GRANARY_BENCH_CACHE_SIM_POOL_CACHE_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "bench/cache_sim/simulated_cache.h"
#include "memory/error.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/eviction.h"
#include "pool/page_pool.h"

namespace granary::bench {

// Any number of threads may call Access at the same time.
class PoolCache final : public CacheUnderTest {
 public:
  // A pool of so many frames. Errors are those of PagePool and BufferPool.
  static Expected<std::unique_ptr<PoolCache>> Create(EvictionKind kind, size_t pages);

  // A page that cannot be had ends the process: here the store never fails, and no frame is kept.
  bool Access(PageKey page, granary::Access access) override;

  BufferPoolStats Stats() const { return pool_->Stats(); }

 private:
  PoolCache(std::unique_ptr<PagePool> pages, std::unique_ptr<BufferPool> pool, FileId file)
      : pages_(std::move(pages)), pool_(std::move(pool)), file_(file) {}

  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<BufferPool> pool_;
  FileId file_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_CACHE_SIM_POOL_CACHE_H_
