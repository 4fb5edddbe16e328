#include "bench/compaction/workload_film.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "bench/compaction/checked.h"
#include "bench/program.h"
#include "memory/region/compacting_heap.h"

namespace granary::bench {
namespace {

// Small beside what is live, so that what is held follows the end.
constexpr uint64_t kChunkBytes = uint64_t{16} << 10;

// How long a workload lasts, and how far its addresses go.
struct Extent {
  uint64_t operations = 0;
  uint64_t allocated_bytes = 0;
  uint64_t moved_bytes = 0;
  uint64_t end_bytes_max = 0;
};

// One run; a film is made of it if there is one to be made.
class Run final : private MoveObserver {
 public:
  using Object = BlockHandle;

  explicit Run(const FragmentationWorkloadOptions& options)
      : workload_(options),
        heap_(Surely(CompactingHeap::Create({.limit_bytes = workload_.heap_bytes(),
                                             .chunk_bytes = kChunkBytes,
                                             .observer = this}))) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // `frames` of each act, as far as it lasts that long, while it is as long as `extent` says.
  void Record(RegionFilm& film, const Extent& extent, const FilmOptions& options) {
    film_ = &film;
    camera_.emplace(film.cell_bytes);
    allocated_a_frame_ = std::max<uint64_t>(1, extent.allocated_bytes / options.workload_frames);
    moved_a_frame_ = std::max<uint64_t>(1, extent.moved_bytes / options.defragmentation_frames);
  }

  Extent Go() {
    if (!workload_.Run(*this)) Die("there is no room for what a workload asks for");
    if (film_ != nullptr) TakeLast(film_->workload, extent_.allocated_bytes);
    const DefragReport report = heap_->Defragment();
    if (film_ != nullptr) {
      film_->operations = extent_.operations;
      film_->report = report;
      if (extent_.moved_bytes > 0) TakeLast(film_->defragmentation, extent_.moved_bytes);
    }
    return extent_;
  }

  // What a workload asks for.
  std::optional<BlockHandle> Allocate(uint64_t bytes) {
    const auto block = heap_->Allocate(bytes);
    if (!block) return std::nullopt;
    const uint64_t frames_before = extent_.allocated_bytes / allocated_a_frame_;
    ++extent_.operations;
    extent_.allocated_bytes += bytes;
    extent_.end_bytes_max = std::max(extent_.end_bytes_max, heap_->Stats().end_bytes);
    if (film_ != nullptr && extent_.allocated_bytes / allocated_a_frame_ != frames_before) {
      film_->workload.push_back(camera_->Take(*heap_, extent_.allocated_bytes));
    }
    return *block;
  }
  void Free(BlockHandle block) {
    Surely(heap_->Free(block));
    ++extent_.operations;
  }
  void PhaseBegins(uint64_t size_min, uint64_t size_max) {
    if (film_ != nullptr) film_->phases.push_back({extent_.allocated_bytes, size_min, size_max});
  }

 private:
  // The highest block, without overlap, goes into a hole; everything else is slid.
  void BeforeMove(const BlockMove& move) noexcept override {
    const uint64_t grain = heap_->options().grain;
    const uint64_t held_end = (move.from.end() + grain - 1) / grain * grain;
    const bool is_highest = held_end == heap_->Stats().end_bytes;
    is_slide_ = !is_highest || move.to.end() > move.from.offset;
  }
  void AfterMove(const BlockMove& move) noexcept override {
    const uint64_t frames_before = extent_.moved_bytes / moved_a_frame_;
    extent_.moved_bytes += move.to.size;
    if (film_ == nullptr) return;
    camera_->Moved(move.to, is_slide_);
    if (extent_.moved_bytes / moved_a_frame_ == frames_before) return;
    film_->defragmentation.push_back(camera_->Take(*heap_, extent_.moved_bytes));
  }
  void MoveAbandoned(const BlockMove& /*move*/) noexcept override {}

  // What there is in the end. Time may have stood still since the last frame, and the heap not.
  void TakeLast(std::vector<FilmFrame>& frames, uint64_t time) {
    if (!frames.empty() && frames.back().time == time) {
      frames.back() = KeepMoves(camera_->Take(*heap_, time), frames.back());
    } else {
      frames.push_back(camera_->Take(*heap_, time));
    }
  }
  static FilmFrame KeepMoves(FilmFrame frame, const FilmFrame& shown) {
    for (size_t i = 0; i < std::min(frame.cells.size(), shown.cells.size()); ++i) {
      frame.cells[i].evacuated_bytes = shown.cells[i].evacuated_bytes;
      frame.cells[i].slid_bytes = shown.cells[i].slid_bytes;
    }
    return frame;
  }

  FragmentationWorkload workload_;
  std::unique_ptr<CompactingHeap> heap_;
  Extent extent_;
  bool is_slide_ = false;

  RegionFilm* film_ = nullptr;
  std::optional<RegionCamera> camera_;
  uint64_t allocated_a_frame_ = 1;
  uint64_t moved_a_frame_ = 1;
};

}  // namespace

RegionFilm FilmWorkload(const FilmOptions& options) {
  const Extent extent = Run(options.workload).Go();
  RegionFilm film;
  film.columns = options.columns;
  film.cell_bytes =
      std::max<uint64_t>(1, (extent.end_bytes_max + options.columns - 1) / options.columns);
  Run run(options.workload);
  run.Record(film, extent, options);
  (void)run.Go();
  return film;
}

}  // namespace granary::bench
