#include "bench/report/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <sstream>

#include "bench/report/implementations.h"
#include "bench/report/process.h"
#include "bench/report/units.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

constexpr double kGnuplotSecondsMax = 60;
constexpr size_t kWidth = 460;
constexpr size_t kRowHeight = 20;
constexpr size_t kAxisHeight = 44;
// Of the lines that lead the eye from a name to its dot: mostly transparent, as in #AARRGGBB.
constexpr const char* kGuideColor = "#c0808890";

// The part of the axis that a family's panels share.
struct Axis {
  bool timed = true;
  double low = 0;
  double high = 0;
};

// `1 ns`, `500 ns`, `2 µs`: a tic's label has no more digits than the tic.
std::string TicLabel(double ns) {
  constexpr std::array<const char*, 4> kUnits = {"ns", "µs", "ms", "s"};
  size_t unit = 0;
  while (ns > 999 && unit + 1 < kUnits.size()) {
    ns /= 1000;
    ++unit;
  }
  return fmt::format("{:.4g} {}", ns, kUnits[unit]);
}

// A power of ten at each tic; with few powers of ten also 2 and 5 times of them.
std::string Tics(const Axis& axis) {
  if (!axis.timed) {
    return "set xtics auto nomirror\n";
  }
  const bool is_short = axis.high / axis.low < 120;
  std::string tics;
  for (double ten = std::pow(10, std::floor(std::log10(axis.low))); ten <= axis.high; ten *= 10) {
    for (const int times : {1, 2, 5}) {
      const double at = ten * times;
      if ((times == 1 || is_short) && at >= axis.low && at <= axis.high) {
        tics += fmt::format("{}\"{}\" {}", tics.empty() ? "" : ", ", TicLabel(at), at);
      }
    }
  }
  return "set xtics (" + tics + ") nomirror\n";
}

Axis AxisOf(const std::vector<CaseResults>& cases, const CaseResults& mine) {
  Axis axis{.timed = mine.timed(), .low = 1e300, .high = 1e-300};
  for (const CaseResults& other : cases) {
    if (other.name().suite != mine.name().suite || other.name().family() != mine.name().family() ||
        other.timed() != mine.timed()) {
      continue;
    }
    for (const Result* result : other.implementations) {
      const std::vector<double> values = result->values();
      axis.low = std::min(axis.low, *std::ranges::min_element(values));
      axis.high = std::max(axis.high, *std::ranges::max_element(values));
    }
  }
  if (!axis.timed) {
    return {.timed = false, .low = 0, .high = axis.high > 0 ? axis.high * 1.08 : 1};
  }
  // A logarithm needs something above zero, and an axis with one tic at least says nothing.
  axis.low = std::max(1e-3, axis.low) / 1.25;
  axis.high = std::max(axis.high * 1.25, axis.low * 10);
  return axis;
}

// Names and colors come from benchmark names: a quote or a backslash would end a gnuplot string.
std::string Quoted(std::string text) {
  std::erase_if(text, [](char c) { return c == '"' || c == '\\' || c == '\n' || c == '`'; });
  return '"' + text + '"';
}

std::string RowLabel(const Result& result, size_t row, double graph_x, const char* align,
                     const std::string& text) {
  const std::string& name = result.name.implementation;
  const bool is_bold = name == kGranary;
  const bool is_colored = is_bold || name == kReference;
  return fmt::format("set label {} at graph {}, first {} {}{}{}\n", Quoted(text), graph_x, row,
                     align, is_bold ? " font \":Bold\"" : "",
                     is_colored ? fmt::format(" textcolor rgb \"{}\"", ColorOf(name)) : "");
}

// One panel: implementations below each other, the best on top; a dot at the median, a line from
// the least to the greatest. The columns of the data are row, median, least, greatest, and the
// dot's size, type and color, in the order in which gnuplot wants variable ones.
std::string PanelScript(const CaseResults& one_case, const Axis& axis, const fs::path& out) {
  std::vector<const Result*> rows = one_case.implementations;
  std::ranges::stable_sort(rows, std::greater<>{},
                           [](const Result* result) { return Median(result->values()); });
  size_t name_width = 0;
  std::string labels;
  std::string data;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<double> values = rows[i]->values();
    const std::string& name = rows[i]->name.implementation;
    const double median = Median(values);
    name_width = std::max(name_width, name.size());
    labels += RowLabel(*rows[i], i + 1, -0.02, "right", name);
    labels += RowLabel(*rows[i], i + 1, 1.02, "left",
                       axis.timed ? FormatNs(median) : FormatCount(median));
    const Role role = RoleOf(name);
    data += fmt::format("{} {} {} {} {} {} 0x{}\n", i + 1, std::max(median, axis.low),
                        std::max(*std::ranges::min_element(values), axis.low),
                        *std::ranges::max_element(values), name == kGranary ? 1.15 : 0.85,
                        role == Role::kLimit ? 6 : 7, ColorOf(name).substr(1));
  }
  std::string script = fmt::format("reset\nset term svg size {},{} noenhanced font \",12\"\n",
                                   kWidth, kAxisHeight + kRowHeight * rows.size());
  script += fmt::format("set output {}\n", Quoted(out.string()));
  script += fmt::format("set lmargin {}\nset rmargin 10\n", name_width + 2);
  script += "set tmargin 0.3\nset bmargin 1.8\n";
  // `set tics` turns all tics on, so that those of y go afterwards.
  script += "unset key\nset border 1\nset tics scale 0.4\nunset ytics\n";
  script += "set grid x lc rgb \"#808890\" lw 0.5 dt solid\n";
  script += fmt::format("set yrange [0.4:{}]\nset xrange [{}:{}]\n",
                        static_cast<double>(rows.size()) + 0.6, axis.low, axis.high);
  script += axis.timed ? "set logscale x\n" : "";
  script += Tics(axis) + labels + "$D << EOD\n" + data + "EOD\n";
  script +=
      fmt::format("plot $D using ({0}):1:($2-{0}):(0) with vectors nohead lw 1 lc rgb \"{1}\", ",
                  axis.low, kGuideColor);
  script +=
      "$D using 3:1:($4-$3):(0):7 with vectors nohead lw 2 lc rgb variable, "
      "$D using 2:1:5:6:7 with points pt variable ps variable lc rgb variable\n";
  return script + "unset output\n";
}

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// Everything from `begin` up to and including the next `end`.
void EraseAll(std::string& text, std::string_view begin, std::string_view end) {
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    const size_t last = text.find(end, at + begin.size());
    text.erase(at, last == std::string::npos ? last : last + end.size() - at);
  }
}

std::string ReadFile(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

Plots DrawPlots(const std::vector<Result>& results, const fs::path& scratch,
                const std::string& gnuplot) {
  const std::vector<CaseResults> cases = GroupByCase(results);
  const auto out = [&](size_t i) { return scratch / fmt::format("plot{}.svg", i); };
  const fs::path script = scratch / "plots.gnuplot";
  {
    // gnuplot reads UTF-8 only if it is told to.
    std::ofstream file(script);
    file << "set encoding utf8\n";
    for (size_t i = 0; i < cases.size(); ++i) {
      file << PanelScript(cases[i], AxisOf(cases, cases[i]), out(i));
    }
  }
  const ProcessEnd end = RunProcess({gnuplot, script}, kGnuplotSecondsMax);
  if (!end.ok()) {
    return {.svgs = {}, .failure = gnuplot + " " + end.Describe()};
  }
  Plots plots;
  for (size_t i = 0; i < cases.size(); ++i) {
    const BenchmarkName& name = cases[i].name();
    const std::string key = name.suite + "/" + name.case_name;
    plots.svgs[key] = InlineSvg(ReadFile(out(i)), key);
  }
  return plots;
}

std::string InlineSvg(std::string svg, std::string_view label) {
  const size_t begin = svg.find("<svg");
  const size_t view = svg.find("viewBox=\"");
  const size_t end = svg.find('>', begin);
  if (begin == std::string::npos || view == std::string::npos || end == std::string::npos) {
    return "";
  }
  const std::string box = svg.substr(view, svg.find('"', view + 9) + 1 - view);
  svg.erase(0, end + 1);
  EraseAll(svg, "<title>", "</title>");
  EraseAll(svg, "<desc>", "</desc>");
  EraseAll(svg, "<defs>", "</defs>");
  EraseAll(svg, " id=\"", "\"");
  ReplaceAll(svg, "xlink:href", "href");
  ReplaceAll(svg, "font-family=\":Bold\"", "font-weight=\"bold\"");
  EraseAll(svg, "font-family=\"", "\"");
  ReplaceAll(svg, "\"black\"", "\"currentColor\"");
  ReplaceAll(svg, "'black'", "'currentColor'");
  return fmt::format("<svg class=\"plot\" role=\"img\" aria-label=\"{}\" {}>{}", label, box, svg);
}

std::string_view SharedMarks() {
  return R"(<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>
<circle id="gpPt5" r="1" fill="none" stroke="currentColor" stroke-width="0.4"/>
<circle id="gpPt6" r="1" fill="currentColor" stroke="none"/>
</defs></svg>)";
}

}  // namespace granary::bench
