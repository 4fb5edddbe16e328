// A region of 100,000 free ranges, in a file and out of it again.
//
//   compaction/snapshot/{save,load}/IMPLEMENTATION
//
// Timed; an operation is a snapshot.
#ifndef GRANARY_BENCH_COMPACTION_SNAPSHOT_CASES_H_
#define GRANARY_BENCH_COMPACTION_SNAPSHOT_CASES_H_

namespace granary::bench {

void RegisterSnapshots();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_SNAPSHOT_CASES_H_
