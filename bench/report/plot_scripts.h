// What gnuplot is told to draw.
#ifndef GRANARY_BENCH_REPORT_PLOT_SCRIPTS_H_
#define GRANARY_BENCH_REPORT_PLOT_SCRIPTS_H_

#include <filesystem>
#include <string>
#include <vector>

#include "bench/report/results.h"

namespace granary::bench {

// The part of the values' axis that plots show: logarithmic for times, from zero for counts.
struct Axis {
  bool timed = true;
  double low = 0;
  double high = 0;
};

// Wide enough for all values of these cases, which are all timed or all counted.
Axis AxisFor(const std::vector<const CaseResults*>& cases);

// One case: implementations below each other, the best on top; a dot at the median, a line from the
// least to the greatest, and the median in words.
std::string PanelScript(const CaseResults& one_case, const Axis& axis,
                        const std::filesystem::path& out);

// Many cases of one family: from left to right, a line for each implementation.
std::string ChartScript(const std::vector<const CaseResults*>& cases, const Axis& axis,
                        const std::filesystem::path& out);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_PLOT_SCRIPTS_H_
