#include "bench/report/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "bench/report/interrupt.h"
#include "bench/report/units.h"

namespace granary::bench {
namespace {

// What is run of the timed benchmarks in the pilot belongs to no round.
constexpr int kPilotRound = 0;

tl::unexpected<Failure> Interrupted() {
  return Fail(kExitInterrupted + InterruptSignal(), "interrupted; nothing was written");
}

}  // namespace

OrFailure<void> Session::List(const std::vector<std::filesystem::path>& paths,
                              const NameFilter& filter) {
  std::map<std::string, std::string> owners;
  for (const auto& path : paths) {
    auto listed = ListProgram(path);
    if (!listed && listed.error().interrupted) {
      return Interrupted();
    }
    if (!listed) {
      Complain(listed.error().message);
      continue;
    }
    std::vector<BenchmarkName> mine;
    for (BenchmarkName& name : listed->benchmarks) {
      const auto [owner, is_new] = owners.emplace(name.shown(), listed->name());
      if (!is_new) {
        Complain(fmt::format("{} is in {} already; that of {} is left out", name.shown(),
                             owner->second, listed->name()));
      } else if (filter(name)) {
        mine.push_back(std::move(name));
      }
    }
    listed->benchmarks = std::move(mine);
    programs_.push_back(*std::move(listed));
  }
  if (owners.empty()) {
    return Fail(kExitIncomplete, "no program lists any benchmark");
  }
  std::erase_if(programs_, [](const Program& program) { return program.benchmarks.empty(); });
  if (programs_.empty()) {
    return Fail(kExitUsage, "no benchmark matches the filter; --list shows the names");
  }
  for (const Program& program : programs_) {
    for (const BenchmarkName& name : program.benchmarks) {
      results_.Announce(name);
    }
  }
  return {};
}

std::vector<std::string> Session::SortedNames() const {
  std::vector<std::string> names;
  for (const Program& program : programs_) {
    for (const BenchmarkName& name : program.benchmarks) {
      names.push_back(name.shown());
    }
  }
  std::ranges::sort(names);
  return names;
}

OrFailure<Findings> Session::Measure(const Budget& budget) {
  if (auto checked = CheckBuilds(); !checked) {
    return tl::unexpected<Failure>(checked.error());
  }
  const auto pilot = RunPilot();
  if (!pilot) {
    return tl::unexpected<Failure>(pilot.error());
  }

  Planner planner(budget, *pilot, progress_.elapsed_seconds());
  Findings findings;
  while (planner.WantsAnotherRound()) {
    const double begin = progress_.elapsed_seconds();
    if (auto ran = RunRound(findings.rounds_count + 1, planner); !ran) {
      return tl::unexpected<Failure>(ran.error());
    }
    ++findings.rounds_count;
    findings.min_time_seconds = planner.min_time();
    planner.RoundTook(progress_.elapsed_seconds() - begin, progress_.elapsed_seconds());
  }
  findings.results = results_.Measured();
  findings.context = context_;
  findings.seconds = progress_.elapsed_seconds();
  findings.problems = problems_;
  findings.pictures = pictures_;
  findings.skipped = skipped_;
  return findings;
}

OrFailure<void> Session::CheckBuilds() {
  for (size_t i = 0; i < programs_.size(); ++i) {
    if (programs_[i].benchmarks.empty()) {
      continue;
    }
    progress_.Show("checking how " + programs_[i].name() + " was built");
    const auto run = RunStep(i, {programs_[i].benchmarks.front().full}, Pilot::kMinTime);
    if (!run) {
      return tl::unexpected<Failure>(run.error());
    }
    if (run->context.empty()) {
      continue;  // It failed, and that has been said.
    }
    const auto build = run->context.find("granary_build");
    const std::string said = build == run->context.end() ? "" : build->second;
    if (said != kOptimizedBuild) {
      return Fail(kExitNotOptimized,
                  fmt::format("{} {}, not an optimised build: its times would mean nothing; start "
                              "the report with: bazel run //bench:report",
                              programs_[i].name(),
                              said.empty() ? "does not say that it is optimised and may be "
                                             "anything"
                                           : "is a build of kind '" + said + "'"));
    }
    context_.insert(run->context.begin(), run->context.end());
    std::ranges::move(PicturesOf(programs_[i].path, run->context), std::back_inserter(pictures_));
  }
  return {};
}

OrFailure<Pilot> Session::RunPilot() {
  Pilot pilot{.timed_count = 0, .seconds = 0};
  // Groups as large as filters allow: it is only to be over soon.
  const std::vector<Step> steps = OrderRound(programs_, CasesPerGroup(1, 0), random_);
  std::set<std::string> done;
  for (size_t i = 0; i < steps.size(); ++i) {
    progress_.Show(fmt::format("pilot: step {} of {}", i + 1, steps.size()));
    const double begin = progress_.elapsed_seconds();
    const auto run = RunStep(steps[i].program, steps[i].full_names, Pilot::kMinTime);
    if (!run) {
      return tl::unexpected<Failure>(run.error());
    }
    int timed_count = 0;
    for (const Measurement& measurement : run->measurements) {
      if (measurement.timed) {
        ++timed_count;
      } else {
        results_.Record(kPilotRound, measurement);
        done.insert(measurement.name.full);
      }
    }
    pilot.timed_count += timed_count;
    if (timed_count > 0) {
      pilot.seconds += progress_.elapsed_seconds() - begin;
    }
  }
  DropBenchmarks(done);
  return pilot;
}

OrFailure<void> Session::RunRound(int round, const Planner& planner) {
  double startup_seconds = 0;
  for (const Program& program : programs_) {
    startup_seconds = std::max(startup_seconds, program.startup_seconds);
  }
  const std::vector<Step> steps =
      OrderRound(programs_, CasesPerGroup(startup_seconds, planner.min_time()), random_);
  for (size_t i = 0; i < steps.size(); ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(steps.size());
    const double rounds_left = planner.rounds_planned() - round + 1 - share;
    progress_.Show(fmt::format(
        "round {} of {}, {:.0f} %: about {} left; now {}", round, planner.rounds_planned(),
        100 * (round - 1 + share) / planner.rounds_planned(),
        FormatSeconds(rounds_left * planner.round_seconds()), steps[i].full_names.front()));
    const auto run = RunStep(steps[i].program, steps[i].full_names, planner.min_time());
    if (!run) {
      return tl::unexpected<Failure>(run.error());
    }
    for (const Measurement& measurement : run->measurements) {
      results_.Record(round, measurement);
    }
  }
  return {};
}

OrFailure<ProgramRun> Session::RunStep(size_t program, const std::vector<std::string>& names,
                                       double min_time) {
  Program& it = programs_[program];
  if (it.benchmarks.empty()) {
    return ProgramRun{};  // It has failed before.
  }
  auto run = RunProgram(
      it, {.full_names = names, .min_time_seconds = min_time, .scratch = scratch_ / "run.json"});
  if (run) {
    std::set<std::string> failed;
    for (const std::string& error : run->errors) {
      Complain(error);
      failed.insert(error.substr(0, error.find(": ")));
    }
    for (const auto& [name, why] : run->skipped) {
      Skip(name, why);
      failed.insert(name.full);
    }
    DropBenchmarks(failed);
    return *std::move(run);
  }
  if (run.error().interrupted) {
    return Interrupted();
  }
  // A program that fails once is not asked again: its further figures would be as doubtful.
  Complain(run.error().message);
  it.benchmarks.clear();
  return ProgramRun{};
}

void Session::Complain(const std::string& problem) {
  progress_.Say("report: " + problem);
  problems_.push_back(problem);
}

void Session::Skip(const BenchmarkName& name, const std::string& why) {
  const std::string line = fmt::format("{}/{}: {}", name.suite, name.implementation, why);
  if (skipped_.insert(line).second) {
    progress_.Say("report: left out, as it cannot run here: " + line);
  }
}

void Session::DropBenchmarks(const std::set<std::string>& full_names) {
  for (Program& program : programs_) {
    std::erase_if(program.benchmarks,
                  [&](const BenchmarkName& name) { return full_names.contains(name.full); });
  }
}

}  // namespace granary::bench
