// One measuring session: from the programs' lists of benchmarks to the samples of all rounds.
#ifndef GRANARY_BENCH_REPORT_SESSION_H_
#define GRANARY_BENCH_REPORT_SESSION_H_

#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bench/report/failure.h"
#include "bench/report/name_filter.h"
#include "bench/report/pictures.h"
#include "bench/report/programs.h"
#include "bench/report/progress.h"
#include "bench/report/results.h"
#include "bench/report/schedule.h"

namespace granary::bench {

// What a session found out.
struct Findings {
  std::vector<Result> results;
  // The programs' contexts, merged; the first program's entry counts.
  std::map<std::string, std::string> context;
  int rounds_count = 0;
  double min_time_seconds = 0;
  double seconds = 0;
  // What went wrong with single programs or benchmarks; the rest was measured.
  std::vector<std::string> problems;
  // That programs can draw.
  std::vector<PictureSource> pictures;
  // `SUITE/IMPLEMENTATION: WHY` for what cannot run on this machine; that is no problem.
  std::set<std::string> skipped;
};

class Session {
 public:
  // `scratch` is a folder for the programs' results.
  Session(std::filesystem::path scratch, Progress& progress)
      : scratch_(std::move(scratch)), progress_(progress) {}

  // Asks every program for its benchmarks, and keeps those that the filter lets through. Fails if
  // there are none.
  OrFailure<void> List(const std::vector<std::filesystem::path>& paths, const NameFilter& filter);

  // All names, sorted.
  std::vector<std::string> SortedNames() const;

  // Measures what is listed. Fails if a program is not an optimised build, or if a person stops it.
  OrFailure<Findings> Measure(const Budget& budget);

  const std::vector<std::string>& problems() const { return problems_; }

 private:
  // Refuses programs that are not optimised, after one short run of each.
  OrFailure<void> CheckBuilds();
  // Runs everything once, for next to no time: the counted benchmarks are done then, and dropped,
  // and what a round of the timed ones costs is known.
  OrFailure<Pilot> RunPilot();
  OrFailure<void> RunRound(int round, const Planner& planner);
  OrFailure<ProgramRun> RunStep(size_t program, const std::vector<std::string>& names,
                                double min_time);
  void Complain(const std::string& problem);
  void Skip(const BenchmarkName& name, const std::string& why);
  void DropBenchmarks(const std::set<std::string>& full_names);

  const std::filesystem::path scratch_;
  Progress& progress_;
  // A fixed seed: the order is arbitrary, but the same in every session.
  std::mt19937_64 random_{20240601};
  std::vector<Program> programs_;
  Results results_;
  std::map<std::string, std::string> context_;
  std::vector<PictureSource> pictures_;
  std::vector<std::string> problems_;
  std::set<std::string> skipped_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_SESSION_H_
