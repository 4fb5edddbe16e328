// The report as a page for people.
#ifndef GRANARY_BENCH_REPORT_HTML_WRITER_H_
#define GRANARY_BENCH_REPORT_HTML_WRITER_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report/comparison.h"
#include "bench/report/machine.h"
#include "bench/report/plots.h"
#include "bench/report/results.h"

namespace granary::bench {

struct Page {
  Machine machine;
  std::vector<Result> results;
  std::vector<Comparison> comparisons;
  Plots plots;
  // What programs draw of cases: <svg> elements by SUITE/CASE.
  std::map<std::string, std::string> pictures;
  int rounds_count = 0;
  double min_time_seconds = 0;
  double seconds = 0;
  // --quick: the page says that its figures are rough.
  bool quick = false;
  // Programs and benchmarks that failed.
  std::vector<std::string> problems;
  // What cannot run on this machine, and why.
  std::set<std::string> skipped;
};

// One file that needs no other: styles and plots are inside, scripts there are none.
std::string RenderHtml(const Page& page);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_HTML_WRITER_H_
