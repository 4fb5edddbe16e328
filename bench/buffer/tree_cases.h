// The cases of B+-trees.
#ifndef GRANARY_BENCH_BUFFER_TREE_CASES_H_
#define GRANARY_BENCH_BUFFER_TREE_CASES_H_

namespace granary::bench {

// btree_lookup/..., btree_scan/..., btree_insert/...
void RegisterTrees();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_TREE_CASES_H_
