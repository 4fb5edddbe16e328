// The cases that count how many requests of a recording find their page.
#ifndef GRANARY_BENCH_BUFFER_HIT_RATIO_CASES_H_
#define GRANARY_BENCH_BUFFER_HIT_RATIO_CASES_H_

namespace granary::bench {

// hit_ratio/RECORDING/pages:N
void RegisterHitRatios();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_HIT_RATIO_CASES_H_
