// Which implementations this program measures.
//
// A malloc replaces the malloc of its whole process. So there is one program with everything that
// stands on glibc's malloc, and one for each other malloc, of the same sources, which measures that
// malloc alone.
#ifndef GRANARY_BENCH_REGION_IMPLEMENTATIONS_H_
#define GRANARY_BENCH_REGION_IMPLEMENTATIONS_H_

#include "bench/region/mallocs.h"
#ifndef GRANARY_BENCH_MALLOC_ONLY
#include "bench/region/regions.h"
#endif

namespace granary::bench {

// Calls `visit.operator()<Implementation>()` for all that this program measures.
template <class Visitor>
void ForEachImplementation(const Visitor& visit) {
#ifndef GRANARY_BENCH_MALLOC_ONLY
  visit.template operator()<Granary>();
  visit.template operator()<GranaryTracked>();
  visit.template operator()<GranaryLowest>();
  visit.template operator()<BoostRbtree>();
  visit.template operator()<BoostRbtreeOffset>();
#endif
  visit.template operator()<Malloc>();
}

// Whether it is a region with an end, and not a malloc.
template <class Implementation>
inline constexpr bool kIsRegion = requires(const Implementation& implementation,
                                           const typename Implementation::Handle& handle) {
  implementation.EndOf(handle, size_t{});
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_IMPLEMENTATIONS_H_
