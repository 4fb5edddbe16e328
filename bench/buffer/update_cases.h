// The cases in which pages are changed.
#ifndef GRANARY_BENCH_BUFFER_UPDATE_CASES_H_
#define GRANARY_BENCH_BUFFER_UPDATE_CASES_H_

namespace granary::bench {

// update/uniform/...
void RegisterUpdates();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_UPDATE_CASES_H_
