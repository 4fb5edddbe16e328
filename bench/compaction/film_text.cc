#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "bench/compaction/film_picture.h"
#include "bench/compaction/film_units.h"

namespace granary::bench {
namespace {

// From an eighth of a cell's bytes on, a mark stands for what was moved; less is not shown.
constexpr uint64_t kMarkedParts = 8;
// What stands beside a row.
constexpr const char* kColumns = "{:>12}  {}  {:>9} {:>9} {:>7}\n";

std::string_view SignOf(const FilmCell& cell, uint64_t cell_bytes) {
  constexpr std::array<std::string_view, 9> kDensities = {"·", "░", "░", "▒", "▒",
                                                          "▒", "▓", "▓", "█"};
  const uint64_t marked = std::max<uint64_t>(1, cell_bytes / kMarkedParts);
  if (cell.evacuated_bytes >= marked && cell.evacuated_bytes >= cell.slid_bytes) return "o";
  if (cell.slid_bytes >= marked) return "<";
  return kDensities[static_cast<size_t>(DensityOf(cell.used_bytes, cell_bytes))];
}

std::string Row(const RegionFilm& film, const FilmFrame& frame, const std::string& when,
                bool shows_moves) {
  std::string cells;
  for (FilmCell cell : frame.cells) {
    if (!shows_moves) cell.evacuated_bytes = cell.slid_bytes = 0;
    cells += SignOf(cell, film.cell_bytes);
  }
  const size_t count = std::min(film.columns, frame.cells.size());
  cells += std::string(film.columns - count, ' ');
  return fmt::format(
      fmt::runtime(kColumns), when, cells, FormatBytes(static_cast<double>(frame.end_bytes)),
      FormatBytes(static_cast<double>(frame.held_bytes)), FormatPercent(frame.fragmentation));
}

}  // namespace

std::string RenderFilmText(const RegionFilm& film, const FilmCaption& caption) {
  std::string text = caption.title + "\n" + caption.subtitle + "\n\n";
  text += fmt::format(fmt::runtime(kColumns), "allocated",
                      fmt::format("{:<{}}", "address", film.columns), "end", "held", "fragm.");
  size_t phase = 1;
  for (const FilmFrame& frame : film.workload) {
    for (; phase < film.phases.size() && film.phases[phase].time < frame.time; ++phase) {
      text += fmt::format("{:>12}  from here on {}\n", "", FormatSizes(film.phases[phase]));
    }
    text += Row(film, frame, FormatBytes(static_cast<double>(frame.time)), false);
  }
  text += film.defragmentation.empty() ? "\nnothing had to be moved\n" : "\n       moved\n";
  for (const FilmFrame& frame : film.defragmentation) {
    text += Row(film, frame, FormatBytes(static_cast<double>(frame.time)), true);
  }
  if (!film.defragmentation.empty()) text += "\n" + Row(film, film.after(), "after", false);
  return text + "\n█ used  ▓▒░ partly  · free  o moved into a hole  < slid down\n";
}

}  // namespace granary::bench
