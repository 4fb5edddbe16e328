// The cases in which every page is in memory: how long it takes to find one and let it go.
#ifndef GRANARY_BENCH_BUFFER_HIT_CASES_H_
#define GRANARY_BENCH_BUFFER_HIT_CASES_H_

namespace granary::bench {

// fix_unfix/DISTRIBUTION/pages:P/threads:N and peek/... .
void RegisterHits();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_HIT_CASES_H_
