// When what is run: how long each benchmark, how many rounds, and in which order.
//
// A round takes every benchmark once. Within a round it goes through groups of cases, and within a
// group through all programs, so that the implementations of a case stand next to each other in
// time: what slows the machine down for a while slows down all of them, and their ratio stays.
#ifndef GRANARY_BENCH_REPORT_SCHEDULE_H_
#define GRANARY_BENCH_REPORT_SCHEDULE_H_

#include <random>
#include <string>
#include <vector>

#include "bench/report/programs.h"

namespace granary::bench {

// How much time there is, and how to spend it.
struct Budget {
  double seconds;
  // Fewer rounds than this are never made, even if they take longer than the budget.
  int rounds_min;
  // As many as this are made if benchmarks can be made short enough.
  int rounds_goal;
  // More than this are never made.
  int rounds_max;
  // For each benchmark in each round.
  double min_time_least;
  double min_time_most;
};

inline constexpr Budget kFullBudget = {.seconds = 320,
                                       .rounds_min = 3,
                                       .rounds_goal = 9,
                                       .rounds_max = 15,
                                       .min_time_least = 0.002,
                                       .min_time_most = 0.05};
inline constexpr Budget kQuickBudget = {.seconds = 45,
                                        .rounds_min = 3,
                                        .rounds_goal = 3,
                                        .rounds_max = 5,
                                        .min_time_least = 0.001,
                                        .min_time_most = 0.02};

// What the pilot found out: one pass over everything with a minimum time next to nothing.
struct Pilot {
  static constexpr double kMinTime = 0.0005;
  int timed_count;
  // Of the timed benchmarks' pass.
  double seconds;
};

// Fits rounds into the budget, and learns from every round what the next one costs.
class Planner {
 public:
  // `spent_seconds` is gone already, the pilot included.
  Planner(const Budget& budget, const Pilot& pilot, double spent_seconds);

  double min_time() const { return min_time_; }
  int rounds_planned() const { return rounds_planned_; }
  double round_seconds() const;

  // One more round has been made; all in all so much time is gone.
  void RoundTook(double seconds, double spent_seconds);
  bool WantsAnotherRound() const;

 private:
  void Plan();
  // What a round costs with this minimum time.
  double RoundSeconds(double min_time) const;

  const Budget budget_;
  const Pilot pilot_;
  double spent_seconds_;
  // How much longer a benchmark runs than the minimum time: Google Benchmark tries small numbers of
  // iterations first, and then aims at 1.4 times the minimum.
  double overhead_ = 2;
  double min_time_ = 0;
  int rounds_made_ = 0;
  int rounds_planned_ = 0;
};

// Benchmarks that one start of a program runs.
struct Step {
  size_t program;
  std::vector<std::string> full_names;
};

// How many cases a start of a program should run, so that starting it does not take most of the
// time.
size_t CasesPerGroup(double startup_seconds, double min_time);

// The steps of one round over all the programs' benchmarks. Groups and programs are shuffled, with
// `random`.
std::vector<Step> OrderRound(const std::vector<Program>& programs, size_t cases_per_group,
                             std::mt19937_64& random);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_SCHEDULE_H_
