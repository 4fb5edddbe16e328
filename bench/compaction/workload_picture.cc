#include "bench/compaction/workload_picture.h"

#include <fmt/format.h>

#include "bench/compaction/film_units.h"

namespace granary::bench {
namespace {

std::string NameOf(int number) { return fmt::format("compaction/space_workload/W{}", number); }

}  // namespace

FilmCaption CaptionOf(const RegionFilm& film, const FragmentationWorkloadOptions& options) {
  std::string sizes;
  for (const FilmPhase& phase : film.phases) {
    sizes += (sizes.empty() ? "" : ", then ") + FormatSizes(phase);
  }
  const FragmentationWorkload workload(options);
  const auto live = static_cast<double>(workload.live_bytes_max());
  std::string subtitle = fmt::format("{} operations: {} are allocated in each phase, ",
                                     film.operations, FormatBytes(5 * live));
  subtitle += options.number == 9
                  ? fmt::format("until the heap of {} is full",
                                FormatBytes(static_cast<double>(workload.heap_bytes())))
                  : fmt::format("and {} are live at most", FormatBytes(live));
  if (options.divisor != 1) subtitle += fmt::format("; 1/{} of PMDK's size", options.divisor);
  return {.title = fmt::format("W{}: blocks of {}", options.number, sizes),
          .subtitle = subtitle + ".",
          .target = kPmdkDefragmentedTargets[static_cast<size_t>(options.number)]};
}

std::vector<std::string> WorkloadPictures() {
  std::vector<std::string> names;
  names.reserve(kFragmentationWorkloads);
  for (int number = 0; number < kFragmentationWorkloads; ++number) names.push_back(NameOf(number));
  return names;
}

std::optional<std::string> WorkloadPicture(std::string_view name) {
  for (int number = 0; number < kFragmentationWorkloads; ++number) {
    if (name != NameOf(number)) continue;
    const FilmOptions options{.workload = {.number = number, .divisor = kPictureDivisor}};
    const RegionFilm film = FilmWorkload(options);
    return RenderFilmSvg(film, CaptionOf(film, options.workload));
  }
  return std::nullopt;
}

}  // namespace granary::bench
