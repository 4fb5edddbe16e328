// The plots of the page, drawn by gnuplot as SVG that stands inside the page.
#ifndef GRANARY_BENCH_REPORT_PLOTS_H_
#define GRANARY_BENCH_REPORT_PLOTS_H_

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report/results.h"

namespace granary::bench {

struct Plots {
  // <svg> elements by CaseKey: a panel for each case of a family that has few.
  std::map<std::string, std::string> cases;
  // By FamilyKey: a chart for each family that has many.
  std::map<std::string, std::string> families;
  // Why there are none, if so.
  std::string failure;
};

std::string CaseKey(const CaseResults& one_case);
std::string FamilyKey(const CaseResults& one_case);

// Draws everything with one run of gnuplot. Files go to `scratch`. A failure is part of what is
// returned: the page says so and does without.
Plots DrawPlots(const std::vector<Result>& results, const std::filesystem::path& scratch,
                const std::string& gnuplot = "gnuplot");

// What gnuplot writes, as it can stand inside a page: no prolog, no names that several plots on a
// page would share, the page's font, and the page's text color instead of black. The marks are in
// SharedMarks().
std::string InlineSvg(std::string svg, std::string_view label);

// The shapes that all inline plots refer to; once a page.
std::string_view SharedMarks();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_PLOTS_H_
