// Who is measured. An implementation is constructed with so many pages, all of which it has in
// memory, and Read(page) finds one, reads its word, and lets it go.
#ifndef GRANARY_BENCH_BUFFER_IMPLEMENTATIONS_H_
#define GRANARY_BENCH_BUFFER_IMPLEMENTATIONS_H_

#include "bench/buffer/berkeley_db_pool.h"
#include "bench/buffer/granary_pools.h"
#include "bench/buffer/mapped_file.h"
#include "bench/buffer/raw.h"
#include "bench/buffer/rocksdb_caches.h"
#include "bench/buffer/sqlite_page_cache.h"

namespace granary::bench {

template <class... Listed>
struct Implementations {};

// Calls `visit.operator()<Implementation>()` for each of the list.
template <class... Listed, class Visitor>
void ForEach(Implementations<Listed...>, const Visitor& visit) {
  (visit.template operator()<Listed>(), ...);
}

using FixUnfix = Implementations<GranaryFix, GranaryViewFix, RocksdbHyperClock, RocksdbLru,
                                 BerkeleyDbPool, SqlitePageCache, MappedFile, Raw>;
// The peers have no other way to read a page.
using Peek = Implementations<GranaryTryPeek, GranaryViewPeek, GranaryPeek, RocksdbHyperClock,
                             RocksdbLru, BerkeleyDbPool, SqlitePageCache, MappedFile, Raw>;

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_IMPLEMENTATIONS_H_
