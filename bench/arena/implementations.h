// Which implementations this program measures, by what they can do.
//
// A malloc replaces the malloc of its whole process, and with it the peers' source of blocks. So
// there is one program with everything that stands on glibc's malloc, and one for each other
// malloc, of the same sources, which measures that malloc alone.
#ifndef GRANARY_BENCH_ARENA_IMPLEMENTATIONS_H_
#define GRANARY_BENCH_ARENA_IMPLEMENTATIONS_H_

#include <cstddef>

#include "bench/arena/mallocs.h"

#ifndef GRANARY_BENCH_MALLOC_ONLY
#include "bench/arena/arenas.h"
#include "bench/arena/pools.h"
#include "bench/arena/raw.h"
#endif

namespace granary::bench {

template <template <size_t> class... kTemplates>
struct Implementations {};

// Calls `visit.operator()<Implementation>()` for each of the list, with blocks of `kBlockBytes`.
template <size_t kBlockBytes, template <size_t> class... kTemplates, class Visitor>
void ForEach(Implementations<kTemplates...>, const Visitor& visit) {
  (visit.template operator()<kTemplates<kBlockBytes>>(), ...);
}

#ifdef GRANARY_BENCH_MALLOC_ONLY

using AlignedImplementations = Implementations<Malloc>;
using Aligned8Implementations = Implementations<>;
using BytesImplementations = Implementations<>;
using LargeImplementations = Implementations<Malloc>;
using SweepImplementations = Implementations<Malloc>;
using ContainerImplementations = Implementations<NewDelete>;
#ifdef GRANARY_BENCH_MIMALLOC
using QueryImplementations = Implementations<Malloc, MimallocHeap>;
#else
using QueryImplementations = Implementations<Malloc>;
#endif

#else

using AlignedImplementations = Implementations<GranaryArena, RocksdbArena, RocksdbInterface,
                                               LlvmArena, ProtobufArena, PmrArena, Malloc, Raw>;
using Aligned8Implementations = Implementations<GranaryArena, RocksdbArena, LeveldbArena, LlvmArena,
                                                ProtobufArena, PmrArena, Raw>;
using BytesImplementations = Implementations<GranaryArena, RocksdbArena, RocksdbInterface,
                                             LeveldbArena, LlvmArena, PmrArena, Raw>;
// Raw has one block, so that what is larger would make it no more than go round.
using LargeImplementations =
    Implementations<GranaryArena, RocksdbArena, LlvmArena, ProtobufArena, PmrArena, Malloc>;
using SweepImplementations =
    Implementations<GranaryArena, RocksdbArena, LlvmArena, PmrArena, Malloc, Raw>;
using ResetImplementations = Implementations<GranaryArena, RocksdbArena, LlvmArena, PmrArena>;
using SpaceImplementations =
    Implementations<GranaryInline, RocksdbArena, LeveldbArena, LlvmArena, ProtobufArena, PmrArena>;
using ContainerImplementations = Implementations<GranaryArena, PmrArena, NewDelete>;
using QueryImplementations =
    Implementations<GranaryArena, GranaryFresh, RocksdbArena, LlvmArena, ProtobufArena, PmrArena,
                    AprPool, AprPoolNew, Talloc, Malloc, Raw>;

#endif

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_IMPLEMENTATIONS_H_
