// The cases in which pages are brought, from the operating system's cache or from the disk.
#ifndef GRANARY_BENCH_BUFFER_MISS_CASES_H_
#define GRANARY_BENCH_BUFFER_MISS_CASES_H_

namespace granary::bench {

// miss/uniform/threads:N, miss_ahead/uniform/threads:1, miss_direct/uniform/threads:N.
void RegisterMisses();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_BUFFER_MISS_CASES_H_
