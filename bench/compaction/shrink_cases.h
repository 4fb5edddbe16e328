// A file of 10,000 blobs of which half were removed becomes small.
//
//   compaction/shrink/granary                 timed; an operation is a step and its checkpoint
//   compaction/space_shrink/IMPLEMENTATION    the file's bytes for each byte of a blob
#ifndef GRANARY_BENCH_COMPACTION_SHRINK_CASES_H_
#define GRANARY_BENCH_COMPACTION_SHRINK_CASES_H_

#include <vector>

#include "bench/compaction/counted.h"

namespace granary::bench {

void RegisterShrink();
std::vector<CountedCase> CountedShrink();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_SHRINK_CASES_H_
