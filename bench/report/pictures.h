// Pictures that benchmark programs draw themselves, of cases that no plot of numbers shows.
//
// A program names them in its context, `granary_pictures`: SUITE/CASE, separated by commas. Started
// with --granary_picture=SUITE/CASE it prints one, an <svg> element.
#ifndef GRANARY_BENCH_REPORT_PICTURES_H_
#define GRANARY_BENCH_REPORT_PICTURES_H_

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report/results.h"

namespace granary::bench {

struct PictureSource {
  std::filesystem::path program;
  // SUITE/CASE.
  std::string name;
};

// What a program names in its context.
std::vector<PictureSource> PicturesOf(const std::filesystem::path& program,
                                      const std::map<std::string, std::string>& context);

struct Pictures {
  // <svg> elements by SUITE/CASE.
  std::map<std::string, std::string> svgs;
  // One for each that could not be drawn.
  std::vector<std::string> problems;
};

// Those of the cases that have results, one after the other. Ends early when a person stops it.
Pictures DrawPictures(const std::vector<PictureSource>& sources,
                      const std::vector<Result>& results);

// Whether it can stand inside the page: one <svg> element that runs no script and fetches nothing.
bool IsInlineSvg(std::string_view svg);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_PICTURES_H_
