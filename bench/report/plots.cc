#include "bench/report/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "bench/report/plot_scripts.h"
#include "bench/report/process.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

constexpr double kGnuplotSecondsMax = 60;
// Cases whose times are further apart than this have an axis each, as all their differences would
// be too small to see on one.
constexpr double kSharedAxisRatioMax = 1000;
// So many panels can be looked at one by one; a family that has more cases has a chart.
constexpr size_t kPanelsMax = 12;

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

std::string FamilyKey(const CaseResults& one_case) {
  const BenchmarkName& name = one_case.name();
  return fmt::format("{}/{}{}", name.suite, name.family(), one_case.timed() ? "" : "#");
}

std::string CaseKey(const CaseResults& one_case) {
  const BenchmarkName& name = one_case.name();
  return fmt::format("{}/{}{}", name.suite, name.case_name, one_case.timed() ? "" : "#");
}

Plots DrawPlots(const std::vector<Result>& results, const fs::path& scratch,
                const std::string& gnuplot) {
  const std::vector<CaseResults> cases = GroupByCase(results);
  std::map<std::string, std::vector<const CaseResults*>> families;
  for (const CaseResults& one_case : cases) {
    families[FamilyKey(one_case)].push_back(&one_case);
  }

  Plots plots;
  // Where the plot of a key is going to be.
  std::vector<std::pair<std::string*, fs::path>> outs;
  const auto out_for = [&](std::string& svg) {
    outs.emplace_back(&svg, scratch / fmt::format("plot{}.svg", outs.size()));
    return outs.back().second;
  };
  // gnuplot reads UTF-8 only if it is told to.
  std::string text = "set encoding utf8\n";
  for (const auto& [key, members] : families) {
    const Axis axis = AxisFor(members);
    if (members.size() > kPanelsMax) {
      text += ChartScript(members, axis, out_for(plots.families[key]));
      continue;
    }
    const bool is_shared = !axis.timed || axis.high / axis.low <= kSharedAxisRatioMax;
    for (const CaseResults* one_case : members) {
      text += PanelScript(*one_case, is_shared ? axis : AxisFor({one_case}),
                          out_for(plots.cases[CaseKey(*one_case)]));
    }
  }

  const fs::path script = scratch / "plots.gnuplot";
  std::ofstream(script) << text;
  const ProcessEnd end = RunProcess({gnuplot, script}, kGnuplotSecondsMax);
  if (!end.ok()) {
    return {.cases = {}, .families = {}, .failure = gnuplot + " " + end.Describe()};
  }
  for (const auto& plots_of : {&plots.cases, &plots.families}) {
    for (auto& [key, svg] : *plots_of) {
      const auto out = std::ranges::find(outs, &svg, &std::pair<std::string*, fs::path>::first);
      svg = InlineSvg(ReadFile(out->second), key);
    }
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
