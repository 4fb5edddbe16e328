// What a CompactingHeap looks like over time: rows of cells, each cell a stretch of its addresses.
//
// The first act is what its owner does with it, the second its defragmentation. A frame is what
// there is at one time, with what was moved since the one before it.
#ifndef GRANARY_BENCH_COMPACTION_REGION_FILM_H_
#define GRANARY_BENCH_COMPACTION_REGION_FILM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/region/compacting_heap.h"

namespace granary::bench {

struct FilmCell {
  uint64_t used_bytes = 0;
  // What came here since the frame before: from the top into a hole, and from right above.
  uint64_t evacuated_bytes = 0;
  uint64_t slid_bytes = 0;
};

struct FilmFrame {
  // Bytes allocated in the first act, bytes moved in the second, since it began.
  uint64_t time = 0;
  // What blocks hold; behind the highest used byte; what the heap has of the system.
  uint64_t live_bytes = 0;
  uint64_t end_bytes = 0;
  uint64_t held_bytes = 0;
  // HeapStats::fragmentation.
  double fragmentation = 0;
  // Those that `cell_bytes` of the film divide [0, end_bytes) into.
  std::vector<FilmCell> cells;
};

// From here on objects are of [size_min, size_max) bytes, or all of size_min.
struct FilmPhase {
  uint64_t time = 0;
  uint64_t size_min = 0;
  uint64_t size_max = 0;
};

struct RegionFilm {
  // So many bytes of addresses are a cell, and so many cells are in the longest frame at most.
  uint64_t cell_bytes = 0;
  size_t columns = 0;
  // At least one. The last is what defragmentation begins with.
  std::vector<FilmFrame> workload;
  std::vector<FilmPhase> phases;
  // None if nothing had to be moved.
  std::vector<FilmFrame> defragmentation;
  // Allocations and frees.
  uint64_t operations = 0;
  DefragReport report;

  const FilmFrame& before() const { return workload.back(); }
  const FilmFrame& after() const {
    return defragmentation.empty() ? workload.back() : defragmentation.back();
  }
};

// Takes frames of one heap.
class RegionCamera {
 public:
  explicit RegionCamera(uint64_t cell_bytes) : cell_bytes_(cell_bytes) {}

  // Bytes were moved to `to`: the next frame shows it.
  void Moved(Range to, bool is_slide);
  FilmFrame Take(const CompactingHeap& heap, uint64_t time);

 private:
  // Adds the bytes of `range` to a field of the cells that it lies in.
  void Add(Range range, uint64_t FilmCell::*field);

  const uint64_t cell_bytes_;
  std::vector<FilmCell> cells_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_REGION_FILM_H_
