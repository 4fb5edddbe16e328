// Many blobs at once, in memory and in a file.
//
//   compaction/blobs_memory/{add,remove,readd}/IMPLEMENTATION
//   compaction/blobs_file/{add,remove,readd}/IMPLEMENTATION
//
// Timed; an operation is a blob.
#ifndef GRANARY_BENCH_COMPACTION_BLOB_CASES_H_
#define GRANARY_BENCH_COMPACTION_BLOB_CASES_H_

namespace granary::bench {

void RegisterBlobs();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_BLOB_CASES_H_
