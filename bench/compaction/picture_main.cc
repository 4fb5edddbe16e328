// Draws what a heap looks like while a fragmentation workload runs and while it is defragmented: as
// an SVG file, or for a terminal.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "bench/compaction/workload_picture.h"
#include "bench/report/command_line.h"
#include "bench/report/failure.h"
#include "bench/report/output_file.h"

namespace granary::bench {
namespace {

// What fits on a screen.
constexpr FilmOptions kTextOptions = {
    .workload = {}, .columns = 72, .workload_frames = 24, .defragmentation_frames = 20};

struct PictureOptions {
  FragmentationWorkloadOptions workload{.divisor = kPictureDivisor};
  // Empty: for a terminal.
  std::string svg;
};

OrFailure<int> Draw(const PictureOptions& options) {
  FilmOptions film_options = options.svg.empty() ? kTextOptions : FilmOptions();
  film_options.workload = options.workload;
  if (options.svg.empty()) {
    const RegionFilm film = FilmWorkload(film_options);
    std::printf("%s", RenderFilmText(film, CaptionOf(film, options.workload)).c_str());
    return kExitSuccess;
  }
  const auto path = OutputPath("--svg", options.svg);
  if (!path) return tl::unexpected<Failure>(path.error());
  const RegionFilm film = FilmWorkload(film_options);
  const auto written = WriteWhole(*path, RenderFilmSvg(film, CaptionOf(film, options.workload)));
  if (!written) return tl::unexpected<Failure>(written.error());
  return kExitSuccess;
}

OrFailure<int> Run(int argc, const char* const* argv) {
  PictureOptions options;
  std::string workload;
  CLI::App app(
      "Draws a heap over time: while a fragmentation workload runs, and while it is defragmented. "
      "Prints it, or writes an SVG file.",
      "picture");
  app.add_option("--workload", workload, "W0 to W9.")
      ->required()
      ->check([](const std::string& given) {
        const bool is_one =
            given.size() == 2 && given[0] == 'W' && given[1] >= '0' && given[1] <= '9';
        return is_one ? std::string() : fmt::format("'{}' is none of W0 to W9", given);
      })
      ->type_name("Wn");
  app.add_option("--svg", options.svg, "Write the picture here; relative to where you stand.")
      ->type_name("PATH");
  app.add_option("--divisor", options.workload.divisor, "So much smaller than PMDK's size.")
      ->capture_default_str()
      ->check(CLI::Range(1, 2000))
      ->type_name("N");
  app.add_option("--seed", options.workload.seed, "Of what is random.")
      ->capture_default_str()
      ->type_name("N");
  const auto help = ParseCommandLine(app, argc, argv);
  if (!help) return tl::unexpected<Failure>(help.error());
  if (!help->empty()) {
    std::printf("%s", help->c_str());
    return kExitSuccess;
  }
  options.workload.number = workload[1] - '0';
  return Draw(options);
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) {
  try {
    const auto status = granary::bench::Run(argc, argv);
    if (status) return *status;
    std::fprintf(stderr, "picture: %s\n", status.error().message.c_str());
    return status.error().exit_status;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "picture: %s\n", error.what());
    return granary::bench::kExitIncomplete;
  }
}
