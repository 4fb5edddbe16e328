// RocksDB's block caches, with every block in the cache.
#ifndef GRANARY_BENCH_BUFFER_ROCKSDB_CACHES_H_
#define GRANARY_BENCH_BUFFER_ROCKSDB_CACHES_H_

#include <rocksdb/cache.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "bench/buffer/pages.h"
#include "bench/program.h"

namespace granary::bench {

// A value is a pointer to a page; a key, as RocksDB's own, 16 bytes of a file and a place.
class RocksdbCache {
 public:
  static constexpr size_t kThreadsMax = SIZE_MAX;

  [[gnu::always_inline]] uint64_t Read(uint64_t page) {
    const Key key(page);
    rocksdb::Cache::Handle* const handle = cache_->Lookup(key.slice());
    if (handle == nullptr) [[unlikely]]
      Die("RocksDB's cache has lost page " + std::to_string(page));
    const uint64_t word = ReadWord(static_cast<const std::byte*>(cache_->Value(handle)), page);
    cache_->Release(handle);
    return word;
  }

 protected:
  // Half as much again as the pages are charged: shards are not filled evenly, and nothing is to be
  // evicted.
  static size_t CapacityFor(size_t pages) { return pages * (kPageBytes + kPageBytes / 2); }

  RocksdbCache(size_t pages, std::shared_ptr<rocksdb::Cache> cache)
      : memory_(pages), cache_(std::move(cache)) {
    for (size_t page = 0; page < pages; ++page) {
      const Key key(page);
      if (!cache_->Insert(key.slice(), memory_.At(page), kPageBytes, nullptr).ok()) {
        Die("RocksDB's cache does not take page " + std::to_string(page));
      }
    }
  }

 private:
  class Key {
   public:
    explicit Key(uint64_t page) : words_{1, page} {}
    rocksdb::Slice slice() const { return {reinterpret_cast<const char*>(words_), sizeof(words_)}; }

   private:
    uint64_t words_[2];
  };

  PageMemory memory_;
  std::shared_ptr<rocksdb::Cache> cache_;
};

class RocksdbHyperClock : public RocksdbCache {
 public:
  static constexpr const char* kName = "rocksdb_hyper_clock";

  explicit RocksdbHyperClock(size_t pages)
      : RocksdbCache(
            pages,
            rocksdb::HyperClockCacheOptions(CapacityFor(pages), kPageBytes).MakeSharedCache()) {}
};

class RocksdbLru : public RocksdbCache {
 public:
  static constexpr const char* kName = "rocksdb_lru";

  explicit RocksdbLru(size_t pages)
      : RocksdbCache(pages, rocksdb::NewLRUCache(CapacityFor(pages))) {}
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_ROCKSDB_CACHES_H_
