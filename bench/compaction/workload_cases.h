// The fragmentation workloads W0 to W9.
//
//   compaction/workload/Wn/IMPLEMENTATION          timed; an operation is an allocation or a free
//   compaction/space_workload/Wn/IMPLEMENTATION    what is held for what is left in the end
#ifndef GRANARY_BENCH_COMPACTION_WORKLOAD_CASES_H_
#define GRANARY_BENCH_COMPACTION_WORKLOAD_CASES_H_

#include <vector>

#include "bench/compaction/counted.h"

namespace granary::bench {

void RegisterWorkloads();
std::vector<CountedCase> CountedWorkloads();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_WORKLOAD_CASES_H_
