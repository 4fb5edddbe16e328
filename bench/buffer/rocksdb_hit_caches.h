// RocksDB's block caches under a recording: nothing is in their blocks.
#ifndef GRANARY_BENCH_BUFFER_ROCKSDB_HIT_CACHES_H_
#define GRANARY_BENCH_BUFFER_ROCKSDB_HIT_CACHES_H_

#include <rocksdb/cache.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "bench/buffer/pages.h"
#include "bench/cache_sim/simulated_cache.h"
#include "bench/program.h"

namespace granary::bench {

// One shard, and no charge for what a cache remembers besides its blocks: it has room for exactly
// so many pages. Nobody is told that a scan is one.
class RocksdbHitCache final : public CacheUnderTest {
 public:
  static std::unique_ptr<RocksdbHitCache> HyperClock(size_t pages) {
    return Make(rocksdb::HyperClockCacheOptions(
                    pages * kPageBytes, kPageBytes, /*num_shard_bits=*/0,
                    /*strict_capacity_limit=*/false,
                    /*memory_allocator=*/nullptr, rocksdb::kDontChargeCacheMetadata)
                    .MakeSharedCache());
  }
  static std::unique_ptr<RocksdbHitCache> Lru(size_t pages) {
    rocksdb::LRUCacheOptions options;
    options.capacity = pages * kPageBytes;
    options.num_shard_bits = 0;
    options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
    return Make(rocksdb::NewLRUCache(options));
  }

  bool Access(PageKey page, granary::Access /*access*/) override {
    const uint64_t words[] = {1, page};
    const rocksdb::Slice key(reinterpret_cast<const char*>(words), sizeof(words));
    if (rocksdb::Cache::Handle* const handle = cache_->Lookup(key); handle != nullptr) {
      cache_->Release(handle);
      return true;
    }
    if (!cache_->Insert(key, &block_, kPageBytes, nullptr).ok()) {
      Die("RocksDB's cache does not take a block");
    }
    return false;
  }

 private:
  explicit RocksdbHitCache(std::shared_ptr<rocksdb::Cache> cache) : cache_(std::move(cache)) {}

  static std::unique_ptr<RocksdbHitCache> Make(std::shared_ptr<rocksdb::Cache> cache) {
    return std::unique_ptr<RocksdbHitCache>(new RocksdbHitCache(std::move(cache)));
  }

  char block_ = 0;
  std::shared_ptr<rocksdb::Cache> cache_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_ROCKSDB_HIT_CACHES_H_
