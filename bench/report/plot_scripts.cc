#include "bench/report/plot_scripts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bench/report/implementations.h"
#include "bench/report/units.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPanelWidth = 460;
constexpr size_t kRowHeight = 20;
constexpr size_t kAxisHeight = 44;
constexpr size_t kChartWidth = 1100;
constexpr size_t kChartHeight = 460;
// Of the lines that lead the eye from a name to its dot: mostly transparent, as in #AARRGGBB.
constexpr const char* kGuideColor = "#c0808890";
constexpr const char* kGrid = "lc rgb \"#808890\" lw 0.5 dt solid";

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

// The multiples of powers of ten that have tics: as many as there is room for labels.
std::vector<int> TicMultiples(double range) {
  if (range < 25) {
    return {1, 2, 5};
  }
  return range < 250 ? std::vector<int>{1, 3} : std::vector<int>{1};
}

std::string Tics(const Axis& axis, char which) {
  if (!axis.timed) {
    return fmt::format("set {}tics auto nomirror\n", which);
  }
  const std::vector<int> multiples = TicMultiples(axis.high / axis.low);
  std::string tics;
  for (double ten = std::pow(10, std::floor(std::log10(axis.low))); ten <= axis.high; ten *= 10) {
    for (const int times : multiples) {
      const double at = ten * times;
      if (at >= axis.low && at <= axis.high) {
        tics += fmt::format("{}\"{}\" {}", tics.empty() ? "" : ", ", TicLabel(at), at);
      }
    }
  }
  return fmt::format("set {}tics ({}) nomirror\n", which, tics);
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
  const bool is_colored = is_bold || IsReference(name);
  return fmt::format("set label {} at graph {}, first {} {}{}{}\n", Quoted(text), graph_x, row,
                     align, is_bold ? " font \":Bold\"" : "",
                     is_colored ? fmt::format(" textcolor rgb \"{}\"", ColorOf(name)) : "");
}

// What every plot begins with.
std::string Begin(size_t width, size_t height, const fs::path& out) {
  return fmt::format("reset\nset term svg size {},{} noenhanced font \",12\"\nset output {}\n",
                     width, height, Quoted(out.string()));
}

// The names of all implementations, in the order in which the cases have them.
std::vector<std::string> Implementations(const std::vector<const CaseResults*>& cases) {
  std::vector<std::string> names;
  for (const CaseResults* one_case : cases) {
    for (const Result* result : one_case->implementations) {
      const std::string& name = result->name.implementation;
      if (std::ranges::find(names, name) == names.end()) {
        names.push_back(name);
      }
    }
  }
  // Granary is drawn last, and lies above the others.
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name != kGranary; });
  return names;
}

// The way a line looks in a chart.
std::string LineStyle(const std::string& implementation) {
  const Role role = RoleOf(implementation);
  const bool is_granary = implementation == kGranary;
  return fmt::format("pt {} ps {} lw {} dt {} lc rgb \"{}\"", role == Role::kLimit ? 6 : 7,
                     is_granary ? 0.75 : 0.5, is_granary ? 3 : 1.5,
                     role == Role::kPeer || is_granary ? "solid" : "2", ColorOf(implementation));
}

}  // namespace

Axis AxisFor(const std::vector<const CaseResults*>& cases) {
  Axis axis{.timed = cases.front()->timed(), .low = 1e300, .high = 1e-300};
  for (const CaseResults* one_case : cases) {
    for (const Result* result : one_case->implementations) {
      const std::vector<double> values = result->values();
      axis.low = std::min(axis.low, *std::ranges::min_element(values));
      axis.high = std::max(axis.high, *std::ranges::max_element(values));
    }
  }
  if (!axis.timed) {
    return {.timed = false, .low = 0, .high = axis.high > 0 ? axis.high * 1.08 : 1};
  }
  // A logarithm needs something above zero, and an axis with one tic at most says nothing.
  axis.low = std::max(1e-3, axis.low) / 1.25;
  axis.high = std::max(axis.high * 1.25, axis.low * 10);
  return axis;
}

// The columns of the data are row, median, least, greatest, and the dot's size, type and color, in
// the order in which gnuplot wants variable ones.
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
  std::string script = Begin(kPanelWidth, kAxisHeight + kRowHeight * rows.size(), out);
  script += fmt::format("set lmargin {}\nset rmargin 10\n", name_width + 2);
  script += "set tmargin 0.3\nset bmargin 1.8\n";
  // `set tics` turns all tics on, so that those of y go afterwards.
  script += "unset key\nset border 1\nset tics scale 0.4\nunset ytics\n";
  script += fmt::format("set grid x {}\n", kGrid);
  script += fmt::format("set yrange [0.4:{}]\nset xrange [{}:{}]\n",
                        static_cast<double>(rows.size()) + 0.6, axis.low, axis.high);
  script += axis.timed ? "set logscale x\n" : "";
  script += Tics(axis, 'x') + labels + "$D << EOD\n" + data + "EOD\n";
  script +=
      fmt::format("plot $D using ({0}):1:($2-{0}):(0) with vectors nohead lw 1 lc rgb \"{1}\", ",
                  axis.low, kGuideColor);
  script +=
      "$D using 3:1:($4-$3):(0):7 with vectors nohead lw 2 lc rgb variable, "
      "$D using 2:1:5:6:7 with points pt variable ps variable lc rgb variable\n";
  return script + "unset output\n";
}

std::string ChartScript(const std::vector<const CaseResults*>& cases, const Axis& axis,
                        const fs::path& out) {
  std::string tics;
  for (size_t i = 0; i < cases.size(); ++i) {
    tics += fmt::format("{}{} {}", i == 0 ? "" : ", ", Quoted(cases[i]->name().variant()), i + 1);
  }
  std::string data;
  std::string plots;
  for (const std::string& name : Implementations(cases)) {
    const std::string block = fmt::format("$D{}", plots.size());
    data += block + " << EOD\n";
    for (size_t i = 0; i < cases.size(); ++i) {
      // A line is interrupted where an implementation takes no part.
      const Result* result = cases[i]->Find(name);
      data += result == nullptr
                  ? "\n"
                  : fmt::format("{} {}\n", i + 1, std::max(Median(result->values()), axis.low));
    }
    data += "EOD\n";
    plots += fmt::format("{}{} using 1:2 with linespoints {} title {}", plots.empty() ? "" : ", ",
                         block, LineStyle(name), Quoted(name));
  }

  std::string script = Begin(kChartWidth, kChartHeight, out);
  script += "set border 3\nset tics scale 0.4\nset key outside right center reverse Left\n";
  script += fmt::format("set grid y {0}\nset grid x {0}\n", kGrid);
  script += fmt::format("set xrange [0.6:{}]\nset yrange [{}:{}]\n",
                        static_cast<double>(cases.size()) + 0.4, axis.low, axis.high);
  script += axis.timed ? "set logscale y\n" : "";
  script += Tics(axis, 'y') + "set xtics (" + tics + ") nomirror rotate by -45\n";
  return script + data + "plot " + plots + "\nunset output\n";
}

}  // namespace granary::bench
