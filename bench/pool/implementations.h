// Which implementations this program measures, by how many threads they can serve.
//
// A malloc replaces the malloc of its whole process, and with it what the pools get their memory
// from. So there is one program with everything that stands on glibc's malloc, and one for each
// other malloc, of the same sources, which measures that malloc alone; and one for DPDK, which
// starts threads and takes memory before it does anything.
#ifndef GRANARY_BENCH_POOL_IMPLEMENTATIONS_H_
#define GRANARY_BENCH_POOL_IMPLEMENTATIONS_H_

#include <cstddef>

#if defined(GRANARY_BENCH_DPDK)
#include "bench/pool/dpdk_mempool.h"
#elif defined(GRANARY_BENCH_MALLOC_ONLY)
#include "bench/pool/mallocs.h"
#else
#include "bench/pool/mallocs.h"
#include "bench/pool/pools.h"
#include "bench/pool/raw.h"
#endif

namespace granary::bench {

template <template <size_t> class... kTemplates>
struct Implementations {};

// Calls `visit.operator()<Implementation>()` for each of the list, with pages of `kPageBytes`.
template <size_t kPageBytes, template <size_t> class... kTemplates, class Visitor>
void ForEach(Implementations<kTemplates...>, const Visitor& visit) {
  (visit.template operator()<kTemplates<kPageBytes>>(), ...);
}

#if defined(GRANARY_BENCH_DPDK)

using OneThread = Implementations<DpdkMempool>;
using ManyThreads = Implementations<DpdkMempool>;
using HandingOver = Implementations<DpdkMempool>;

#elif defined(GRANARY_BENCH_MALLOC_ONLY)

using OneThread = Implementations<Malloc>;
using ManyThreads = Implementations<Malloc>;
using HandingOver = Implementations<Malloc>;

#else

using OneThread =
    Implementations<Granary, GranaryLocal, BoostPool, PmrPool, Foonathan, FreeList, Malloc, Raw>;
using ManyThreads =
    Implementations<Granary, BoostPoolMutex, PmrPoolSynchronized, FreeListMutex, Malloc, Raw>;
// Another thread frees than allocates.
using HandingOver =
    Implementations<Granary, BoostPoolMutex, PmrPoolSynchronized, FreeListMutex, Malloc, RawRound>;

#endif

}  // namespace granary::bench

#endif  // GRANARY_BENCH_POOL_IMPLEMENTATIONS_H_
