// The report as text: a table per suite, and what follows from it.
#ifndef GRANARY_BENCH_REPORT_TABLE_H_
#define GRANARY_BENCH_REPORT_TABLE_H_

#include <string>
#include <string_view>
#include <vector>

#include "bench/report/comparison.h"

namespace granary::bench {

// The cells of the table: case, granary, best peer, reference, limit, the two ratios, and for timed
// cases the spread of the first ratio.
std::vector<std::string> TableHead(bool timed);
std::vector<std::string> TableRow(const Comparison& comparison);

// Columns as wide as their widest cell, the first one left-aligned and the others right-aligned.
// Widths count characters, not bytes.
std::string AlignColumns(const std::vector<std::vector<std::string>>& rows);

// `arena/reset: 5.00 µs against 4.00 µs of leveldb (0.800x, quartiles 0.790-0.810)`.
std::string DescribeLoss(const Comparison& loss);

// A line for each loss, and one for all counts that are above the peer's by next to nothing.
std::vector<std::string> DescribeLosses(const std::vector<Comparison>& losses);

// `1.38-1.51`, the quartiles of the rounds' ratios.
std::string FormatSpread(const Ratio& ratio);

// Everything that the report prints: tables, losses, means.
std::string RenderText(const std::vector<Comparison>& comparisons);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_TABLE_H_
