// What the results say about granary: against its peers, case by case and family by family.
#ifndef GRANARY_BENCH_REPORT_COMPARISON_H_
#define GRANARY_BENCH_REPORT_COMPARISON_H_

#include <optional>
#include <string>
#include <vector>

#include "bench/report/results.h"
#include "bench/report/statistics.h"

namespace granary::bench {

// A peer in one case.
struct Peer {
  std::string implementation;
  // Median: ns an operation, or a count.
  double value;
  // Peer over granary: above 1, granary is better. Of a count, all three figures are the same.
  Ratio ratio;
};

// One implementation of granary in one case. Less is better, of times and of counts.
struct Comparison {
  std::string suite;
  std::string case_name;
  std::string family;
  bool timed;
  // What is counted, unless it is timed.
  std::string counter;
  // `granary` or one of its variants.
  std::string subject;
  // Variants of granary stand below the row of `granary` itself, and count neither for verdicts nor
  // for means.
  bool is_variant;
  double granary;
  // The peer with the least ratio.
  std::optional<Peer> best_peer;
  std::optional<Peer> reference;
  std::optional<double> limit;

  bool loses() const { return best_peer && best_peer->ratio.median < 1; }
};

// Cases that have no implementation of granary are left out. Order as in `results`.
std::vector<Comparison> Compare(const std::vector<Result>& results);

// The timed cases that differ in their variant only.
struct Family {
  std::string suite;
  std::string name;
  int cases_count;
  // Geometric means over the cases' ratios; nothing where no case has such a peer.
  std::optional<double> versus_reference;
  std::optional<double> versus_best_peer;
};

std::vector<Family> Summarize(const std::vector<Comparison>& comparisons);

// The comparisons in which granary is worse than some peer, variants left out.
std::vector<Comparison> Losses(const std::vector<Comparison>& comparisons);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_COMPARISON_H_
