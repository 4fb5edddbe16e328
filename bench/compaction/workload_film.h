// Films of the fragmentation workloads: what each does with a CompactingHeap, and what
// defragmentation does then.
#ifndef GRANARY_BENCH_COMPACTION_WORKLOAD_FILM_H_
#define GRANARY_BENCH_COMPACTION_WORKLOAD_FILM_H_

#include <cstddef>
#include <cstdint>

#include "bench/compaction/region_film.h"
#include "memory/region/workloads/fragmentation_workloads.h"

namespace granary::bench {

struct FilmOptions {
  FragmentationWorkloadOptions workload;
  // The film has so many cells a frame, and so many frames, at most. At least 1.
  size_t columns = 320;
  size_t workload_frames = 120;
  size_t defragmentation_frames = 100;
};

// Runs the workload twice, as it takes a run to know how long it lasts.
RegionFilm FilmWorkload(const FilmOptions& options);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_WORKLOAD_FILM_H_
