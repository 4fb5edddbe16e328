#include "bench/compaction/region_film.h"

#include <algorithm>
#include <utility>

namespace granary::bench {

void RegionCamera::Add(Range range, uint64_t FilmCell::*field) {
  if (range.size == 0) return;
  const size_t last = (range.end() - 1) / cell_bytes_;
  if (cells_.size() <= last) cells_.resize(last + 1);
  for (uint64_t at = range.offset; at < range.end();) {
    const size_t cell = at / cell_bytes_;
    const uint64_t next = std::min(range.end(), (cell + 1) * cell_bytes_);
    cells_[cell].*field += next - at;
    at = next;
  }
}

void RegionCamera::Moved(Range to, bool is_slide) {
  Add(to, is_slide ? &FilmCell::slid_bytes : &FilmCell::evacuated_bytes);
}

FilmFrame RegionCamera::Take(const CompactingHeap& heap, uint64_t time) {
  heap.space().ForEachUsed([&](Range used) { Add(used, &FilmCell::used_bytes); });
  const HeapStats stats = heap.Stats();
  FilmFrame frame{.time = time,
                  .live_bytes = stats.used_bytes,
                  .end_bytes = stats.end_bytes,
                  .held_bytes = stats.held_bytes - stats.record_bytes,
                  .fragmentation = stats.fragmentation,
                  .cells = std::exchange(cells_, {})};
  // What was moved to since, and is above the end now, is gone.
  frame.cells.resize((frame.end_bytes + cell_bytes_ - 1) / cell_bytes_);
  return frame;
}

}  // namespace granary::bench
