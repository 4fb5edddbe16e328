#include "bench/report/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/report/implementations.h"
#include "bench/report/units.h"

namespace granary::bench {
namespace {

constexpr const char* kNothing = "-";
// Counts are exact: the header of a block is a loss already. Those that are smaller than this share
// one line.
constexpr double kSlightLoss = 0.005;

// Bytes that continue a UTF-8 character take no room.
size_t WidthOf(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string FormatValue(const Comparison& comparison, double value) {
  return comparison.timed ? FormatNs(value) : FormatCount(value);
}

// A table of the comparisons that belong to one suite and are of one kind.
struct Section {
  std::string title;
  std::vector<std::vector<std::string>> rows;
};

std::string TitleOf(const Comparison& it) {
  return it.timed ? fmt::format("{}: time of an operation", it.suite)
                  : fmt::format("{}: {}", it.suite, it.counter);
}

std::vector<Section> Sections(const std::vector<Comparison>& comparisons) {
  std::vector<Section> sections;
  for (const Comparison& it : comparisons) {
    const std::string title = TitleOf(it);
    auto section = std::ranges::find(sections, title, &Section::title);
    if (section == sections.end()) {
      section = sections.insert(sections.end(), Section{title, {TableHead(it.timed)}});
    }
    section->rows.push_back(TableRow(it));
  }
  return sections;
}

std::string RenderLosses(const std::vector<Comparison>& comparisons) {
  const std::vector<Comparison> losses = Losses(comparisons);
  if (losses.empty()) {
    const bool has_peers = std::ranges::any_of(
        comparisons, [](const Comparison& it) { return it.best_peer.has_value(); });
    return has_peers ? "granary loses nowhere: it is at least level with the best peer in every "
                       "case.\n"
                     : "granary is compared with nobody: no case has granary and a peer.\n";
  }
  std::string text = "granary loses on:\n";
  for (const std::string& line : DescribeLosses(losses)) {
    text += "  " + line + "\n";
  }
  return text;
}

std::string RenderFamilies(const std::vector<Family>& families) {
  if (families.empty()) {
    return "";
  }
  std::vector<std::vector<std::string>> rows = {
      {"family", "cases", "rocksdb / granary", "best peer / granary"}};
  const auto mean = [](const std::optional<double>& ratio) {
    return ratio ? FormatRatio(*ratio) : kNothing;
  };
  for (const Family& family : families) {
    rows.push_back({family.suite + "/" + family.name, fmt::format("{}", family.cases_count),
                    mean(family.versus_reference), mean(family.versus_best_peer)});
  }
  return "geometric means (above 1x, granary is faster)\n" + AlignColumns(rows);
}

}  // namespace

std::vector<std::string> TableHead(bool timed) {
  const std::string reference(kReference);
  std::vector<std::string> head = {"case",
                                   std::string(kGranary),
                                   "best peer",
                                   reference,
                                   std::string(kLimit),
                                   "best peer / granary",
                                   reference + " / granary"};
  if (timed) {
    head.emplace_back("spread");
  }
  return head;
}

std::vector<std::string> TableRow(const Comparison& it) {
  const auto value = [&](const auto& peer) {
    return peer ? FormatValue(it, peer->value) : kNothing;
  };
  const auto ratio = [](const auto& peer) {
    return peer ? FormatRatio(peer->ratio.median) : kNothing;
  };
  std::vector<std::string> row = {
      it.is_variant ? "  as " + it.subject : it.case_name,
      FormatValue(it, it.granary),
      it.best_peer ? it.best_peer->implementation + " " + value(it.best_peer) : kNothing,
      value(it.reference),
      it.limit ? FormatValue(it, *it.limit) : kNothing,
      ratio(it.best_peer),
      ratio(it.reference)};
  if (it.timed) {
    row.push_back(it.best_peer ? FormatSpread(it.best_peer->ratio) : kNothing);
  }
  return row;
}

std::string AlignColumns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], WidthOf(row[i]));
    }
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - WidthOf(row[i]), ' ');
      const bool is_last = i + 1 == row.size();
      if (i == 0) {
        text += row[i] + (is_last ? "" : padding);
      } else {
        text += "  " + padding + row[i];
      }
    }
    text += '\n';
  }
  return text;
}

std::string FormatSpread(const Ratio& ratio) {
  return fmt::format("{:.2f}-{:.2f}", ratio.low, ratio.high);
}

std::string DescribeLoss(const Comparison& loss) {
  const Peer& peer = *loss.best_peer;
  std::string text =
      fmt::format("{}/{}: {}{} against {} of {}", loss.suite, loss.case_name,
                  loss.timed ? "" : loss.counter + " ", FormatValue(loss, loss.granary),
                  FormatValue(loss, peer.value), peer.implementation);
  if (!loss.timed) {
    return text;
  }
  text += fmt::format(" ({:.3f}x, quartiles {:.3f}-{:.3f}", peer.ratio.median, peer.ratio.low,
                      peer.ratio.high);
  return text + (peer.ratio.high >= 1 ? ": within the spread)" : ")");
}

std::vector<std::string> DescribeLosses(const std::vector<Comparison>& losses) {
  std::vector<std::string> lines;
  std::vector<std::string> slight;
  for (const Comparison& loss : losses) {
    if (loss.timed || loss.best_peer->ratio.median < 1 - kSlightLoss) {
      lines.push_back(DescribeLoss(loss));
    } else {
      slight.push_back(fmt::format("{}/{} ({:.5f} against {:.5f} of {})", loss.suite,
                                   loss.case_name, loss.granary, loss.best_peer->value,
                                   loss.best_peer->implementation));
    }
  }
  if (!slight.empty()) {
    lines.push_back(
        fmt::format("by less than {:.1f} % each: {}", 100 * kSlightLoss, fmt::join(slight, ", ")));
  }
  return lines;
}

std::string RenderText(const std::vector<Comparison>& comparisons) {
  std::string text;
  for (const Section& section : Sections(comparisons)) {
    text += section.title + "\n" + AlignColumns(section.rows) + "\n";
  }
  text += RenderLosses(comparisons);
  const std::string families = RenderFamilies(Summarize(comparisons));
  return families.empty() ? text : text + "\n" + families;
}

}  // namespace granary::bench
