#include "bench/report/html_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/report/escape_html.h"
#include "bench/report/html_style.h"
#include "bench/report/implementations.h"
#include "bench/report/table.h"
#include "bench/report/units.h"

namespace granary::bench {
namespace {

std::string Times(int count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string List(const std::vector<std::string>& entries) {
  std::string html = "<ul>\n";
  for (const std::string& entry : entries) {
    html += "<li>" + EscapeHtml(entry) + "</li>\n";
  }
  return html + "</ul>\n";
}

std::string Intro(const Page& page) {
  std::vector<std::string> suites;
  for (const Result& result : page.results) {
    if (suites.empty() || suites.back() != result.name.suite) {
      suites.push_back(result.name.suite);
    }
  }
  std::string html = "<h1>granary against its peers</h1>\n<p class=\"quiet\">";
  html += fmt::format("{} of {} in {}, {}; measured on {}.",
                      Times(static_cast<int>(page.results.size()), "result", "results"),
                      Times(static_cast<int>(suites.size()), "suite", "suites"),
                      FormatSeconds(page.seconds),
                      Times(page.rounds_count, "interleaved round", "interleaved rounds"),
                      EscapeHtml(page.machine.date));
  html += " Suites: " + EscapeHtml(fmt::format("{}", fmt::join(suites, ", "))) + ".";
  if (page.quick) {
    html +=
        " This was a <b>quick</b> run: fewer and shorter rounds, hence rougher figures than "
        "those of a full one.";
  }
  return html + "</p>\n";
}

std::string Verdict(const Page& page) {
  const std::vector<Comparison> losses = Losses(page.comparisons);
  const auto compared =
      static_cast<int>(std::ranges::count_if(page.comparisons, [](const Comparison& it) {
        return it.best_peer.has_value() && !it.is_variant;
      }));
  std::string html;
  if (compared == 0) {
    html = "<div class=\"card verdict\">No case has both granary and a peer: nothing is compared.";
  } else if (losses.empty()) {
    html = fmt::format(
        "<div class=\"card verdict\"><b>granary loses nowhere</b>: in {} it is at least level "
        "with the best peer.",
        Times(compared, "compared case", "compared cases"));
  } else {
    html = fmt::format(
        "<div class=\"card verdict bad\"><b>granary loses on {} of {}</b>, in each to the best "
        "of all peers:\n{}",
        losses.size(), Times(compared, "compared case", "compared cases"),
        List(DescribeLosses(losses)));
  }
  html += "</div>\n";
  if (!page.problems.empty()) {
    html += "<div class=\"card verdict bad\"><b>Not everything could be measured:</b>\n" +
            List(page.problems) + "</div>\n";
  }
  if (!page.skipped.empty()) {
    html += "<div class=\"card verdict\"><b>Left out, as it cannot run on this machine:</b>\n" +
            List({page.skipped.begin(), page.skipped.end()}) + "</div>\n";
  }
  return html;
}

// What a tile says is about a family against the reference, or against the best peer where the
// reference takes no part.
std::string Tile(const Family& family) {
  const auto ratio = family.versus_reference ? family.versus_reference : family.versus_best_peer;
  const std::string_view whom = family.versus_reference ? kReference : "the best peer";
  std::string html = fmt::format("<div class=\"tile{}\"><b>{}</b>",
                                 !ratio       ? " none"
                                 : *ratio < 1 ? " bad"
                                              : "",
                                 EscapeHtml(family.suite + "/" + family.name));
  html += fmt::format("<div class=\"figure\">{}</div>", ratio ? FormatRatio(*ratio) : "–");
  html += fmt::format("<span>{}</span>",
                      ratio ? fmt::format("the speed of {}", whom) : "there is no peer");
  if (family.versus_reference && family.versus_best_peer) {
    html += fmt::format("<span>best peer: {}</span>", FormatRatio(*family.versus_best_peer));
  }
  return html + fmt::format("<span>{}</span></div>\n", Times(family.cases_count, "case", "cases"));
}

std::string Tiles(const Page& page) {
  const std::vector<Family> families = Summarize(page.comparisons);
  if (families.empty()) {
    return "";
  }
  std::string html =
      "<p>How many times as fast as RocksDB's arena granary is: the geometric mean over the cases "
      "of each family. Above 1x granary is faster.</p>\n<div class=\"tiles\">\n";
  for (const Family& family : families) {
    html += Tile(family);
  }
  return html + "</div>\n";
}

std::string MachineCard(const Page& page) {
  const Machine& machine = page.machine;
  std::vector<std::string> versions;
  for (const auto& [name, version] : machine.versions) {
    versions.push_back(fmt::format("{} {}", name, version));
  }
  const std::vector<std::pair<const char*, std::string>> facts = {
      {"processor", fmt::format("{}, {}", machine.cpu, Times(machine.cores, "core", "cores"))},
      {"memory", fmt::format("{:.1f} GiB", std::ldexp(machine.memory_bytes, -30))},
      {"kernel", machine.kernel},
      {"huge pages (THP)", machine.transparent_huge_pages},
      {"compiler", machine.compiler},
      {"build", machine.build},
      {"load average", fmt::format("{:.2f} at the end", machine.load_average)},
      {"time a benchmark",
       fmt::format("at least {} in each round", FormatNs(page.min_time_seconds * 1e9))},
      {"versions", versions.empty() ? "unknown" : fmt::format("{}", fmt::join(versions, ", "))}};
  std::string html = "<div class=\"card\"><dl class=\"machine\">\n";
  for (const auto& [name, fact] : facts) {
    html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, EscapeHtml(fact));
  }
  return html + "</dl></div>\n";
}

std::string_view HowToRead() {
  return R"(<h2>How to read this</h2>
<p><b>An operation</b> is one item of a benchmark: one allocation in most cases, and in the others
what the case's name says (a reset, a whole batch, a query). Times are nanoseconds an operation;
less is better.</p>
<p><b>Rounds.</b> Every benchmark is run once in every round, the implementations of a case next to
each other, in an order that changes from round to round. A machine that is slow for a while is
slow for all of them, so that the <b>ratios</b> are trustworthy where the times alone are not: a
ratio is the peer's time divided by granary's in the same round, and what is shown is the median
over the rounds. Above 1x granary is faster, below 1x the peer is.</p>
<p><b>Spread</b> is the range between the quartiles of the rounds' ratios to the best peer: half of
the rounds lie within. A spread that has 1.00 in it means that the two are level, as far as this
machine can tell. In the plots the dot is the median time, and the line goes from the fastest to
the slowest round.</p>
<p><b>The best peer</b> is the one with the lowest ratio in this very case: granary is compared
with the strongest of all, which may be another one in each case. <b>raw</b> (hollow) is no
allocator but the least that any could do, a limit and not a peer. Variants of granary
(<i>granary_…</i>) have rows of their own and take no part in verdicts and means.</p>
<p><b>Counted cases</b> have no time: <i>held_per_asked</i> is how many bytes are held from the
system for each byte that was asked for, <i>instructions</i> how many an operation takes; both are
exact. <i>resident_mib</i> is by how much an operation makes the process's resident memory grow.
Less is better.</p>
)";
}

// Better, worse, or neither as far as the digits shown tell.
const char* Judgement(const std::optional<Peer>& peer) {
  if (!peer || FormatRatio(peer->ratio.median) == FormatRatio(1)) {
    return "";
  }
  return peer->ratio.median < 1 ? "bad" : "good";
}

std::string TableOf(const std::vector<const Comparison*>& comparisons) {
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  for (const std::string& cell : TableHead(comparisons.front()->timed)) {
    html += "<th>" + EscapeHtml(cell) + "</th>";
  }
  html += "</tr></thead><tbody>\n";
  for (const Comparison* it : comparisons) {
    const std::vector<std::string> cells = TableRow(*it);
    html += it->is_variant ? "<tr class=\"variant\">" : "<tr>";
    for (size_t i = 0; i < cells.size(); ++i) {
      const char* style = i == 1   ? "granary"
                          : i == 5 ? Judgement(it->best_peer)
                          : i == 6 ? Judgement(it->reference)
                                   : "";
      html += *style == '\0' ? "<td>" : fmt::format("<td class=\"{}\">", style);
      html += EscapeHtml(cells[i]) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

// The cases of one family, all timed or all counted.
struct Chapter {
  std::string suite;
  std::string family;
  bool timed;
  std::string counter;
  std::vector<const CaseResults*> cases;
};

std::vector<Chapter> Chapters(const std::vector<CaseResults>& cases) {
  std::vector<Chapter> chapters;
  for (const CaseResults& one_case : cases) {
    const BenchmarkName& name = one_case.name();
    if (chapters.empty() || chapters.back().suite != name.suite ||
        chapters.back().family != name.family() || chapters.back().timed != one_case.timed()) {
      chapters.push_back({name.suite,
                          name.family(),
                          one_case.timed(),
                          one_case.implementations.front()->main_counter,
                          {}});
    }
    chapters.back().cases.push_back(&one_case);
  }
  return chapters;
}

std::string Figure(const char* style, const std::string& caption, const std::string& svg) {
  return fmt::format("<figure{}><figcaption>{}</figcaption>\n{}</figure>\n", style,
                     EscapeHtml(caption), svg);
}

// One chart for all cases, or a panel for each.
std::string Figures(const Chapter& chapter, const Plots& plots) {
  const auto chart = plots.families.find(FamilyKey(*chapter.cases.front()));
  if (chart != plots.families.end()) {
    return Figure(" class=\"chart\"", chapter.suite + "/" + chapter.family, chart->second);
  }
  std::string html = "<div class=\"plots\">\n";
  for (const CaseResults* one_case : chapter.cases) {
    const auto panel = plots.cases.find(CaseKey(*one_case));
    if (panel != plots.cases.end()) {
      html += Figure("", chapter.suite + "/" + one_case->name().case_name, panel->second);
    }
  }
  return html + "</div>\n";
}

// What programs draw of the chapter's cases, each over the page's width.
std::string PicturesOf(const Chapter& chapter, const Page& page) {
  std::string html;
  for (const CaseResults* one_case : chapter.cases) {
    const std::string name = chapter.suite + "/" + one_case->name().case_name;
    const auto picture = page.pictures.find(name);
    if (picture != page.pictures.end()) {
      html += Figure(" class=\"drawn\"", name, picture->second);
    }
  }
  return html;
}

std::string RenderChapter(const Chapter& chapter, const Page& page) {
  std::string html = fmt::format("<h3>{}<small>{}</small></h3>\n", EscapeHtml(chapter.family),
                                 chapter.timed ? "time of an operation, logarithmic; less is better"
                                               : EscapeHtml(chapter.counter) + "; less is better");
  if (page.plots.failure.empty()) {
    html += Figures(chapter, page.plots);
  }
  std::vector<const Comparison*> rows;
  for (const Comparison& comparison : page.comparisons) {
    if (comparison.suite == chapter.suite && comparison.family == chapter.family &&
        comparison.timed == chapter.timed) {
      rows.push_back(&comparison);
    }
  }
  if (!rows.empty()) {
    html += TableOf(rows);
  }
  return html + PicturesOf(chapter, page);
}

}  // namespace

std::string RenderHtml(const Page& page) {
  std::string html = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  html += "<title>granary: benchmark report</title>\n<style>";
  html += StyleSheet();
  html += "</style>\n</head>\n<body>\n";
  html += SharedMarks();
  html += Intro(page) + Verdict(page) + Tiles(page) + MachineCard(page);
  if (!page.plots.failure.empty()) {
    html +=
        "<div class=\"card verdict bad\">There are no plots: " + EscapeHtml(page.plots.failure) +
        "</div>\n";
  }
  const std::vector<CaseResults> cases = GroupByCase(page.results);
  std::string suite;
  for (const Chapter& chapter : Chapters(cases)) {
    if (chapter.suite != suite) {
      suite = chapter.suite;
      html += "<h2>" + EscapeHtml(suite) + "</h2>\n";
    }
    html += RenderChapter(chapter, page);
  }
  html += HowToRead();
  return html + "</body>\n</html>\n";
}

}  // namespace granary::bench
