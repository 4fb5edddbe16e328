#include "bench/report/schedule.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace granary::bench {
namespace {

// The share of a step that may go into starting the program.
constexpr double kStartupShareMax = 0.1;
// The share of the time left that rounds are planned for: they never take exactly what is expected.
constexpr double kPlannedShare = 0.96;
// A step's filter must stay a regular expression that std::regex takes.
constexpr size_t kCasesPerGroupMax = 16;

}  // namespace

Planner::Planner(const Budget& budget, const Pilot& pilot, double spent_seconds)
    : budget_(budget), pilot_(pilot), spent_seconds_(spent_seconds) {
  min_time_ = budget_.min_time_most;
  Plan();
}

double Planner::round_seconds() const { return RoundSeconds(min_time_); }

void Planner::RoundTook(double seconds, double spent_seconds) {
  spent_seconds_ = spent_seconds;
  ++rounds_made_;
  const double asked = pilot_.timed_count * (min_time_ - Pilot::kMinTime);
  if (asked > 0) {
    overhead_ = std::max(0.1, (seconds - pilot_.seconds) / asked);
  }
  Plan();
}

bool Planner::WantsAnotherRound() const {
  if (pilot_.timed_count == 0 || rounds_made_ >= rounds_planned_) {
    return false;
  }
  return rounds_made_ < budget_.rounds_min || spent_seconds_ + round_seconds() <= budget_.seconds;
}

void Planner::Plan() {
  const double left = std::max(0.0, budget_.seconds - spent_seconds_);
  const int goal_left = budget_.rounds_goal - rounds_made_;
  if (goal_left > 0) {
    // Rounds first, then precision: the minimum time shrinks until the goal fits.
    const double spare = kPlannedShare * left / goal_left - pilot_.seconds;
    const double fitting = Pilot::kMinTime + spare / (overhead_ * std::max(1, pilot_.timed_count));
    min_time_ = std::clamp(fitting, budget_.min_time_least, min_time_);
  }

  const int fit = static_cast<int>(std::min(1e6, left / std::max(1e-6, round_seconds())));
  rounds_planned_ = std::clamp(rounds_made_ + fit, budget_.rounds_min, budget_.rounds_max);
}

double Planner::RoundSeconds(double min_time) const {
  return pilot_.seconds + overhead_ * pilot_.timed_count * (min_time - Pilot::kMinTime);
}

size_t CasesPerGroup(double startup_seconds, double min_time) {
  // A program that has a single implementation runs one benchmark a case, for about twice the
  // minimum time.
  const double cases = startup_seconds / (kStartupShareMax * 2 * std::max(1e-6, min_time));
  return static_cast<size_t>(
      std::clamp(std::ceil(cases), 1.0, static_cast<double>(kCasesPerGroupMax)));
}

std::vector<Step> OrderRound(const std::vector<Program>& programs, size_t cases_per_group,
                             std::mt19937_64& random) {
  // The cases in the order in which they are first listed, each with its group.
  std::map<std::string, size_t> groups;
  for (const Program& program : programs) {
    for (const BenchmarkName& name : program.benchmarks) {
      groups.emplace(name.suite + "/" + name.case_name, groups.size() / cases_per_group);
    }
  }
  std::vector<size_t> group_order((groups.size() + cases_per_group - 1) / cases_per_group);
  std::iota(group_order.begin(), group_order.end(), size_t{0});
  std::ranges::shuffle(group_order, random);

  std::vector<size_t> program_order(programs.size());
  std::iota(program_order.begin(), program_order.end(), size_t{0});

  std::vector<Step> steps;
  for (const size_t group : group_order) {
    std::ranges::shuffle(program_order, random);
    for (const size_t program : program_order) {
      Step step{.program = program, .full_names = {}};
      for (const BenchmarkName& name : programs[program].benchmarks) {
        if (groups.at(name.suite + "/" + name.case_name) == group) {
          step.full_names.push_back(name.full);
        }
      }
      if (!step.full_names.empty()) {
        steps.push_back(std::move(step));
      }
    }
  }
  return steps;
}

}  // namespace granary::bench
