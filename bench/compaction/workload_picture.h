// The fragmentation workloads as pictures, with their captions.
#ifndef GRANARY_BENCH_COMPACTION_WORKLOAD_PICTURE_H_
#define GRANARY_BENCH_COMPACTION_WORKLOAD_PICTURE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/compaction/film_picture.h"
#include "bench/compaction/workload_film.h"

namespace granary::bench {

// Of the size that the counted cases have.
inline constexpr uint64_t kPictureDivisor = 200;

FilmCaption CaptionOf(const RegionFilm& film, const FragmentationWorkloadOptions& options);

// For a program of the report, which is asked for pictures by the cases they belong to.
std::vector<std::string> WorkloadPictures();
// Nothing if there is none by this name.
std::optional<std::string> WorkloadPicture(std::string_view name);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_WORKLOAD_PICTURE_H_
