// SQLite's page cache, without the pager above it.
#ifndef GRANARY_BENCH_BUFFER_SQLITE_PAGE_CACHE_H_
#define GRANARY_BENCH_BUFFER_SQLITE_PAGE_CACHE_H_

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/buffer/pages.h"
#include "bench/program.h"

namespace granary::bench {

// Made for one connection: it has no lock.
class SqlitePageCache {
 public:
  static constexpr const char* kName = "sqlite_pcache";
  static constexpr size_t kThreadsMax = 1;

  explicit SqlitePageCache(size_t pages) : methods_(Methods()) {
    // What the pager has beside each page.
    constexpr int kExtraBytes = 136;
    cache_ = methods_.xCreate(kPageBytes, kExtraBytes, 1);
    if (cache_ == nullptr) Die("SQLite has no memory for a page cache");
    // One more than there are, so that none goes.
    methods_.xCachesize(cache_, static_cast<int>(pages + 1));
    for (size_t page = 0; page < pages; ++page) {
      constexpr int kCreate = 2;
      sqlite3_pcache_page* const made = Fetch(page, kCreate);
      WriteWord(static_cast<std::byte*>(made->pBuf), page);
      methods_.xUnpin(cache_, made, 0);
    }
  }
  ~SqlitePageCache() { methods_.xDestroy(cache_); }
  SqlitePageCache(const SqlitePageCache&) = delete;
  SqlitePageCache& operator=(const SqlitePageCache&) = delete;

  [[gnu::always_inline]] uint64_t Read(uint64_t page) {
    sqlite3_pcache_page* const found = Fetch(page, 0);
    const uint64_t word = ReadWord(static_cast<const std::byte*>(found->pBuf), page);
    methods_.xUnpin(cache_, found, 0);
    return word;
  }

 private:
  // SQLite's own cache, which has to be asked for before SQLite is initialised.
  static const sqlite3_pcache_methods2& Methods() {
    static const sqlite3_pcache_methods2 methods = [] {
      sqlite3_pcache_methods2 own = {};
      if (::sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &own) != SQLITE_OK ||
          ::sqlite3_initialize() != SQLITE_OK) {
        Die("SQLite does not tell its page cache");
      }
      return own;
    }();
    return methods;
  }

  [[gnu::always_inline]] sqlite3_pcache_page* Fetch(uint64_t page, int create) {
    // SQLite's first page is 1.
    sqlite3_pcache_page* const found =
        methods_.xFetch(cache_, static_cast<unsigned>(page + 1), create);
    if (found == nullptr) [[unlikely]]
      Die("SQLite's page cache does not have page " + std::to_string(page));
    return found;
  }

  const sqlite3_pcache_methods2& methods_;
  sqlite3_pcache* cache_ = nullptr;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_SQLITE_PAGE_CACHE_H_
