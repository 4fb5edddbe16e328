#include "bench/report/html_style.h"

namespace granary::bench {

std::string_view StyleSheet() {
  return R"(
:root {
  color-scheme: light dark;
  --page: #fbfaf7; --card: #ffffff; --text: #1d2126; --quiet: #646c76; --line: #dfe2e0;
  --good: #0b7d5d; --bad: #bf4a1a; --good-tint: #e6f4ee; --bad-tint: #fbebe3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1c2024; --text: #e4e7ea; --quiet: #98a1ab; --line: #32383e;
    --good: #3fc49a; --bad: #f0874f; --good-tint: #17332a; --bad-tint: #3a251a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1180px; padding: 40px 28px 64px; background: var(--page);
  color: var(--text); font: 15px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; margin: 0 0 4px; }
h2 { font-size: 23px; margin: 52px 0 4px; padding-top: 18px; border-top: 2px solid var(--text); }
h3 { font-size: 17px; margin: 34px 0 8px; }
h3 small { font-weight: normal; font-size: 14px; color: var(--quiet); margin-left: 8px; }
p { margin: 6px 0 12px; max-width: 78ch; }
.quiet { color: var(--quiet); }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 20px;
  margin: 16px 0;
}
.verdict { border-left: 5px solid var(--good); background: var(--good-tint); font-size: 16px; }
.verdict.bad { border-left-color: var(--bad); background: var(--bad-tint); }
.verdict ul { margin: 8px 0 2px; padding-left: 20px; font-size: 14.5px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(176px, 1fr)); gap: 12px; }
.tile {
  background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--good);
  border-radius: 8px; padding: 10px 14px 12px;
}
.tile.bad { border-top-color: var(--bad); }
.tile.none { border-top-color: var(--line); }
.tile b { display: block; font-size: 14px; overflow-wrap: anywhere; }
.tile .figure {
  font-size: 29px; line-height: 1.25; font-weight: 650; color: var(--good);
  font-variant-numeric: tabular-nums;
}
.tile.bad .figure { color: var(--bad); }
.tile.none .figure { color: var(--quiet); }
.tile span { display: block; font-size: 12.5px; line-height: 1.4; color: var(--quiet); }
dl.machine {
  display: grid; grid-template-columns: max-content 1fr max-content 1fr; gap: 3px 18px; margin: 0;
  font-size: 14px;
}
dl.machine dt { color: var(--quiet); }
dl.machine dd { margin: 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(430px, 1fr)); gap: 12px; }
figure {
  margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 12px 4px;
}
figcaption { font-weight: 600; font-size: 14px; margin-bottom: 4px; }
svg.plot { display: block; width: 100%; max-width: 540px; height: auto; color: var(--text); }
.chart svg.plot { max-width: none; }
figure.drawn { margin: 12px 0; }
.drawn svg { display: block; width: 100%; height: auto; }
.gridline { stroke-opacity: 0.4; }
.scroll { overflow-x: auto; }
table {
  border-collapse: collapse; width: 100%; margin: 12px 0 4px; font-size: 14px;
  font-variant-numeric: tabular-nums;
}
th {
  font-weight: 600; font-size: 12.5px; color: var(--quiet); vertical-align: bottom;
  border-bottom: 1.5px solid var(--text);
}
th, td { text-align: right; padding: 5px 10px; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 2px; }
td { border-bottom: 1px solid var(--line); }
td.granary { font-weight: 650; }
tr.variant td { color: var(--quiet); font-weight: normal; }
tr.variant td:first-child { padding-left: 20px; }
td.good { color: var(--good); font-weight: 600; }
td.bad { color: var(--bad); font-weight: 600; }
@media (max-width: 700px) {
  body { padding: 20px 14px; }
  dl.machine { grid-template-columns: max-content 1fr; }
  .plots { grid-template-columns: 1fr; }
}
@media print {
  :root {
    color-scheme: light; --page: #fff; --card: #fff; --text: #000; --quiet: #444; --line: #ccc;
    --good: #0b7d5d; --bad: #bf4a1a; --good-tint: #fff; --bad-tint: #fff;
  }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  .plots { grid-template-columns: 1fr 1fr; }
  table { font-size: 9pt; }
  th, td { padding: 3px 5px; }
  figure, .tile, .card, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
)";
}

}  // namespace granary::bench
