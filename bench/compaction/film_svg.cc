#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <span>
#include <string_view>

#include "bench/compaction/film_picture.h"
#include "bench/compaction/film_units.h"
#include "bench/report/escape_html.h"

namespace granary::bench {
namespace {

constexpr double kWidth = 1100;
constexpr double kHeight = 672;
constexpr double kFirstY = 112;
constexpr double kStripHeight = 20;
constexpr double kGap = 10;

// From left to right.
struct Extent {
  double begin;
  double width;
  double end() const { return begin + width; }
};
constexpr Extent kMap = {104, 640};
constexpr Extent kBytes = {772, 146};
constexpr Extent kFragmentation = {958, 126};

constexpr int kDensities = 8;
constexpr int kMarks = 4;

// Where an act is, and how time passes in it.
struct Act {
  std::span<const FilmFrame> frames;
  double y;
  double height;

  double row_height() const { return height / static_cast<double>(frames.size()); }
  // A frame is what there is at the end of its row.
  double EndOfRow(size_t row) const { return y + static_cast<double>(row + 1) * row_height(); }
  double YOfTime(uint64_t time) const {
    const auto last = static_cast<double>(frames.back().time);
    return y + height * (last > 0 ? static_cast<double>(time) / last : 0);
  }
};

// The page's colors. Used space is drawn over free space, the denser the less transparent.
constexpr std::string_view kStyle = R"(<style>
.picture{--ground:#fff;--ink:#1d2126;--faint:#646c76;--rule:#dfe2e0;--used:#0b7a5b;--free:#f3e2b3;--into:#c22a6a;--slid:#2f6fd8;--held:#7a6fb0;--bad:#d9622b;
font:12px system-ui,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
@media (prefers-color-scheme:dark){.picture{--ground:#1c2024;--ink:#e4e7ea;--faint:#98a1ab;--rule:#32383e;--used:#2fae86;--free:#4c4127;--into:#ff6fa5;--slid:#6fa4ff;--held:#a99ee0;--bad:#f0874f}}
@media print{.picture{--ground:#fff;--ink:#000;--faint:#444;--rule:#ccc;--used:#0b7a5b;--free:#f3e2b3;--into:#c22a6a;--slid:#2f6fd8;--held:#7a6fb0;--bad:#d9622b}}
.picture text{fill:var(--ink)}.picture text.q{fill:var(--faint)}.picture .b{font-weight:650}.picture .t{font-size:15px;font-weight:650}
.picture .e{text-anchor:end}.picture .m{text-anchor:middle}.picture .halo{paint-order:stroke;stroke:var(--ground);stroke-width:4px;stroke-linejoin:round}
.picture .ground{fill:var(--ground)}.picture .free{fill:var(--free)}.picture .rule{stroke:var(--rule);fill:none}.picture .axis{stroke:var(--faint);fill:none}
.picture .u{stroke:var(--used)}.picture .i{stroke:var(--into)}.picture .s{stroke:var(--slid)}.picture .cells{fill:none;shape-rendering:crispEdges}
.picture .line{fill:none;stroke:var(--ink);stroke-width:1.5}.picture .live{fill:var(--used);fill-opacity:.25}.picture .held{stroke:var(--held);stroke-dasharray:4 3}.picture .bad{stroke:var(--bad)}
</style>
)";

// 1, 2 or 5 times a power of ten: at most `count` of them are in `range`.
double StepOf(double range, int count) {
  if (!(range > 0)) return 1;
  const double least = range / count;
  const double ten = std::pow(10, std::floor(std::log10(least)));
  for (const double times : {1.0, 2.0, 5.0}) {
    if (ten * times >= least) return ten * times;
  }
  return ten * 10;
}

// From nothing to a little of what moved, in quarters of the share's root, so that little is seen.
int MarkOf(uint64_t moved_bytes, uint64_t cell_bytes) {
  if (moved_bytes == 0) return 0;
  const double share = static_cast<double>(moved_bytes) / static_cast<double>(cell_bytes);
  return std::min(kMarks, 1 + static_cast<int>(std::sqrt(share) * kMarks));
}

class Drawing {
 public:
  Drawing(const RegionFilm& film, const FilmCaption& caption) : film_(film), caption_(caption) {}

  std::string Draw() {
    Add("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"picture\" role=\"img\" width=\"{0}\" "
        "height=\"{1}\" viewBox=\"0 0 {0} {1}\" aria-label=\"{2}\">\n",
        kWidth, kHeight, EscapeHtml(caption_.title));
    svg_ += kStyle;
    Add("<rect class=\"ground\" width=\"{}\" height=\"{}\"/>\n", kWidth, kHeight);
    ChooseAxes();
    DrawCaption();
    const Act workload = {film_.workload, kFirstY, 240};
    DrawAct(workload, FilmFrame(), "the workload: allocated");
    DrawPhases(workload);
    double y = workload.y + workload.height + kGap;
    DrawStrip(film_.before(), "before", y);
    y += kStripHeight + kGap;
    const Act moves = {film_.defragmentation, y, 200};
    if (film_.defragmentation.empty()) {
      Text(kMap.begin + kMap.width / 2, y + moves.height / 2, "m q", "nothing had to be moved");
    } else {
      DrawAct(moves, film_.before(), "defragmentation: moved");
    }
    y += moves.height + kGap;
    DrawStrip(film_.after(), "after", y);
    DrawAxes(y + kStripHeight + 4);
    return svg_ + "</svg>\n";
  }

 private:
  template <class... Args>
  void Add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(svg_), format, std::forward<Args>(args)...);
  }
  void Text(double x, double y, std::string_view style, std::string_view text) {
    Add("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\">{}</text>\n", x, y, style, EscapeHtml(text));
  }
  void Line(double x1, double y1, double x2, double y2, std::string_view style) {
    Add("<path class=\"{}\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>\n", style, x1, y1, x2, y2);
  }

  static std::string BytesLabel(double bytes, double max) {
    const ByteUnit unit = UnitFor(max);
    return bytes == 0 ? "0" : fmt::format("{:.4g} {}", bytes / unit.bytes, unit.name);
  }
  // Calls `visit` for what ticks are at; `unit` is that of the labels.
  static void ForEachTick(double max, double unit, int count,
                          const std::function<void(double)>& visit) {
    const double step = StepOf(max / unit, count) * unit;
    for (int i = 0; i * step <= max * 1.0001; ++i) visit(i * step);
  }

  void ChooseAxes() {
    address_max_ = static_cast<double>(film_.cell_bytes * film_.columns);
    double fragmentation_max = 0;
    for (const auto* act : {&film_.workload, &film_.defragmentation}) {
      for (const FilmFrame& frame : *act) {
        fragmentation_max = std::max(fragmentation_max, frame.fragmentation);
        bytes_max_ =
            std::max(bytes_max_, static_cast<double>(std::max(frame.held_bytes, frame.end_bytes)));
      }
    }
    // What a workload frees at once makes a peak beside which nothing else would be seen.
    const double usual = std::max(0.05, film_.before().fragmentation * 1.4);
    is_cut_ = fragmentation_max > 2 * usual;
    fragmentation_max_ = is_cut_ ? usual : std::max(0.05, fragmentation_max);
    fragmentation_peak_ = fragmentation_max;
  }

  double XOfBytes(uint64_t bytes) const {
    return kBytes.begin + kBytes.width * static_cast<double>(bytes) / bytes_max_;
  }
  double XOfFragmentation(double fragmentation) const {
    return kFragmentation.begin +
           kFragmentation.width * std::min(1.0, fragmentation / fragmentation_max_);
  }

  void DrawCaption() {
    Text(16, 26, "t", caption_.title);
    Text(16, 45, "q", caption_.subtitle);
    const DefragReport& report = film_.report;
    const auto bytes = [](uint64_t count) { return FormatBytes(static_cast<double>(count)); };
    std::string what = "Nothing had to be moved";
    if (report.moved_bytes() > 0) {
      what = fmt::format("{} were moved, and the end fell by {}", bytes(report.moved_bytes()),
                         bytes(report.reclaimed_bytes));
      if (report.evacuated_bytes > 0 && report.slid_bytes > 0) {
        what += fmt::format(" (into holes {}, for {})", bytes(report.evacuated_bytes),
                            bytes(report.evacuation_reclaimed_bytes));
      }
    }
    what += fmt::format("; fragmentation {} before, {} after",
                        FormatPercent(film_.before().fragmentation),
                        FormatPercent(film_.after().fragmentation));
    if (caption_.target >= 0) {
      what += fmt::format(" (PMDK promises {:.3g} %)", caption_.target * 100);
    }
    Text(16, 62, "q", what + ".");
    DrawLegend(86);
    Text(kBytes.begin, kFirstY - 10, "b", "bytes");
    Text(kFragmentation.begin, kFirstY - 10, "b", "fragmentation");
  }

  void DrawLegend(double y) {
    double x = kMap.begin;
    const auto item = [&](std::string_view what, double width, const auto& draw) {
      draw();
      Text(x + 6, y, "q", what);
      x += width;
    };
    const double middle = y - 4;
    item("used, from little to all", 178, [&] {
      Add("<rect class=\"free\" x=\"{}\" y=\"{}\" width=\"48\" height=\"12\"/>\n", x, y - 10);
      for (int i = 1; i <= kDensities; ++i) {
        Add("<path class=\"u\" stroke-width=\"12\" stroke-opacity=\"{:.3g}\" d=\"M{} {}h6\"/>\n",
            Opacity(i), x, middle);
        x += 6;
      }
    });
    item("free", 46, [&] {
      Add("<rect class=\"free\" x=\"{}\" y=\"{}\" width=\"16\" height=\"12\"/>\n", x, y - 10);
      x += 16;
    });
    const auto mark = [&](std::string_view style) {
      Add("<path class=\"{}\" stroke-width=\"12\" d=\"M{} {}h16\"/>\n", style, x, middle);
      x += 16;
    };
    item("moved into a hole", 122, [&] { mark("i"); });
    item("slid down", 76, [&] { mark("s"); });
    x = kBytes.begin;
    const double line_y = y - 4;
    x = kBytes.begin;
    Add("<rect class=\"live\" x=\"{}\" y=\"{}\" width=\"16\" height=\"12\"/>\n", x, y - 10);
    Text(x + 20, y, "q", "live");
    x += 52;
    Line(x, line_y, x + 16, line_y, "line");
    Text(x + 20, y, "q", "end");
    x += 50;
    Line(x, line_y, x + 16, line_y, "line held");
    Text(x + 20, y, "q", "held");
    if (is_cut_) {
      Text(kFragmentation.begin, y, "q",
           fmt::format("cut off; up to {}", FormatPercent(fragmentation_peak_)));
    }
  }

  // Most cells are nearly full: their differences are to be seen best.
  static double Opacity(int density) {
    return 0.14 + 0.86 * std::pow(static_cast<double>(density) / kDensities, 1.7);
  }

  // Rows of cells, in units of cells and rows.
  void DrawCells(std::span<const FilmFrame> frames, double y, double row_height) {
    Add("<g class=\"cells\" transform=\"translate({} {}) scale({:.6g} {:.6g})\">\n", kMap.begin, y,
        kMap.width / static_cast<double>(film_.columns), row_height);
    std::string below_end;
    for (const FilmFrame& frame : frames) {
      fmt::format_to(std::back_inserter(below_end), "H{:.5g}v1",
                     static_cast<double>(frame.end_bytes) / static_cast<double>(film_.cell_bytes));
    }
    Add("<path class=\"free\" d=\"M0 0{}H0z\"/>\n", below_end);
    DrawLevels("u", kDensities, frames,
               [&](const FilmCell& cell) { return DensityOf(cell.used_bytes, film_.cell_bytes); });
    DrawLevels("s", kMarks, frames,
               [&](const FilmCell& cell) { return MarkOf(cell.slid_bytes, film_.cell_bytes); });
    DrawLevels("i", kMarks, frames, [&](const FilmCell& cell) {
      return MarkOf(cell.evacuated_bytes, film_.cell_bytes);
    });
    svg_ += "</g>\n";
  }

  // A path for all cells of a level, with a line for each run of them.
  void DrawLevels(std::string_view style, int levels, std::span<const FilmFrame> frames,
                  const auto& level_of) {
    for (int level = 1; level <= levels; ++level) {
      std::string runs;
      for (size_t row = 0; row < frames.size(); ++row) {
        const std::vector<FilmCell>& cells = frames[row].cells;
        for (size_t begin = 0; begin < cells.size();) {
          size_t end = begin;
          while (end < cells.size() && level_of(cells[end]) == level) ++end;
          if (end > begin) {
            fmt::format_to(std::back_inserter(runs), "M{} {}h{}", begin, row, end - begin);
          }
          begin = std::max(end, begin + 1);
        }
      }
      if (runs.empty()) continue;
      const double opacity =
          levels == kDensities ? Opacity(level) : 0.1 + 0.9 * level / static_cast<double>(levels);
      Add("<path class=\"{}\" transform=\"translate(0 .5)\" stroke-opacity=\"{:.3g}\" d=\"{}\"/>\n",
          style, opacity, runs);
    }
  }

  // `first` is what there is when it begins.
  void DrawAct(const Act& act, const FilmFrame& first, std::string_view name) {
    DrawCells(act.frames, act.y, act.row_height());
    Add("<text class=\"m b\" transform=\"translate(22 {:.1f}) rotate(-90)\">{}</text>\n",
        act.y + act.height / 2, EscapeHtml(name));
    const auto last = static_cast<double>(act.frames.back().time);
    ForEachTick(last, UnitFor(last).bytes, 5, [&](double at) {
      const double y = act.YOfTime(static_cast<uint64_t>(at));
      Line(kMap.begin - 5, y, kMap.begin, y, "axis");
      Text(kMap.begin - 9, y + 4, "e q", BytesLabel(at, last));
    });
    DrawCurves(act, first);
  }

  static std::string Curve(const Act& act, const FilmFrame& first, const auto& x_of) {
    std::string points = fmt::format("M{:.1f} {:.1f}", x_of(first), act.y);
    for (size_t row = 0; row < act.frames.size(); ++row) {
      fmt::format_to(std::back_inserter(points), "L{:.1f} {:.1f}", x_of(act.frames[row]),
                     act.EndOfRow(row));
    }
    return points;
  }

  void DrawCurves(const Act& act, const FilmFrame& first) {
    for (const Extent& panel : {kBytes, kFragmentation}) {
      Add("<rect class=\"rule\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n", panel.begin,
          act.y, panel.width, act.height);
    }
    const auto curve = [&](const auto& x_of) { return Curve(act, first, x_of); };
    Add("<path class=\"live\" d=\"{0}H{1}V{2}z\"/>\n",
        curve([&](const FilmFrame& frame) { return XOfBytes(frame.live_bytes); }), kBytes.begin,
        act.y);
    Add("<path class=\"line held\" d=\"{}\"/>\n",
        curve([&](const FilmFrame& frame) { return XOfBytes(frame.held_bytes); }));
    Add("<path class=\"line\" d=\"{}\"/>\n",
        curve([&](const FilmFrame& frame) { return XOfBytes(frame.end_bytes); }));
    Add("<path class=\"line bad\" d=\"{}\"/>\n",
        curve([&](const FilmFrame& frame) { return XOfFragmentation(frame.fragmentation); }));
  }

  void DrawPhases(const Act& act) {
    for (size_t i = 1; i < film_.phases.size(); ++i) {
      const FilmPhase& phase = film_.phases[i];
      const double y = act.YOfTime(phase.time);
      Line(kMap.begin, y, kFragmentation.end(), y, "axis");
      Text(kMap.begin + 8, y + 14, "halo", "from here on " + FormatSizes(phase));
    }
  }

  void DrawStrip(const FilmFrame& frame, std::string_view name, double y) {
    FilmFrame still = frame;
    for (FilmCell& cell : still.cells) cell.evacuated_bytes = cell.slid_bytes = 0;
    DrawCells({&still, 1}, y, kStripHeight);
    const double text_y = y + kStripHeight / 2 + 4;
    Text(kMap.begin - 9, text_y, "e b", name);
    const ByteUnit unit = UnitFor(static_cast<double>(frame.held_bytes));
    Text(
        kBytes.begin, text_y, "",
        fmt::format("end {:.3g}, held {:.3g} {}", static_cast<double>(frame.end_bytes) / unit.bytes,
                    static_cast<double>(frame.held_bytes) / unit.bytes, unit.name));
    Text(kFragmentation.begin, text_y, "b", FormatPercent(frame.fragmentation));
  }

  // Those of all that is above, at `y`.
  void DrawAxes(double y) {
    const auto axis = [&](const Extent& extent, double max, double unit, int count,
                          const std::function<std::string(double)>& label) {
      Line(extent.begin, y, extent.end(), y, "axis");
      ForEachTick(max, unit, count, [&](double at) {
        const double x = extent.begin + extent.width * at / max;
        Line(x, y, x, y + 5, "axis");
        Text(x, y + 18, "m q", label(at));
      });
    };
    axis(kMap, address_max_, UnitFor(address_max_).bytes, 8,
         [&](double at) { return BytesLabel(at, address_max_); });
    axis(kBytes, bytes_max_, UnitFor(bytes_max_).bytes, 3,
         [&](double at) { return BytesLabel(at, bytes_max_); });
    axis(kFragmentation, fragmentation_max_, 0.01, 3,
         [](double at) { return at == 0 ? "0" : fmt::format("{:.4g} %", at * 100); });
    Text(kMap.begin + kMap.width / 2, y + 34, "m q",
         fmt::format("address; a cell is {}", FormatBytes(static_cast<double>(film_.cell_bytes))));
  }

  const RegionFilm& film_;
  const FilmCaption& caption_;
  std::string svg_;
  double address_max_ = 1;
  double bytes_max_ = 1;
  double fragmentation_max_ = 1;
  double fragmentation_peak_ = 0;
  bool is_cut_ = false;
};

}  // namespace

int DensityOf(uint64_t used_bytes, uint64_t cell_bytes) {
  if (used_bytes >= cell_bytes) return kDensities;
  if (used_bytes == 0) return 0;
  const double share = static_cast<double>(used_bytes) / static_cast<double>(cell_bytes);
  return 1 + static_cast<int>(share * (kDensities - 1));
}

std::string RenderFilmSvg(const RegionFilm& film, const FilmCaption& caption) {
  return Drawing(film, caption).Draw();
}

}  // namespace granary::bench
