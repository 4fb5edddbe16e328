// The front of all benchmark suites: measures, compares, and writes the report.
#include <fmt/format.h>

#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "bench/report/comparison.h"
#include "bench/report/html_writer.h"
#include "bench/report/interrupt.h"
#include "bench/report/json_writer.h"
#include "bench/report/machine.h"
#include "bench/report/options.h"
#include "bench/report/output_file.h"
#include "bench/report/pictures.h"
#include "bench/report/plots.h"
#include "bench/report/programs.h"
#include "bench/report/progress.h"
#include "bench/report/session.h"
#include "bench/report/table.h"
#include "bench/report/units.h"

namespace granary::bench {
namespace {

int PrintNames(const Session& session) {
  for (const std::string& name : session.SortedNames()) {
    std::printf("%s\n", name.c_str());
  }
  return session.problems().empty() ? kExitSuccess : kExitIncomplete;
}

std::string DescribeRun(const Findings& findings) {
  return fmt::format("{} results; {} rounds, at least {} a benchmark in each, {} in all\n",
                     findings.results.size(), findings.rounds_count,
                     FormatNs(findings.min_time_seconds * 1e9), FormatSeconds(findings.seconds));
}

OrFailure<int> Publish(const Findings& findings, const Options& options,
                       const std::filesystem::path& scratch) {
  const Pictures pictures = DrawPictures(findings.pictures, findings.results);
  std::vector<std::string> problems = findings.problems;
  problems.insert(problems.end(), pictures.problems.begin(), pictures.problems.end());
  for (const std::string& problem : pictures.problems) {
    std::fprintf(stderr, "report: %s\n", problem.c_str());
  }
  Page page{.machine = DescribeMachine(findings.context),
            .results = findings.results,
            .comparisons = Compare(findings.results),
            .plots = DrawPlots(findings.results, scratch),
            .pictures = pictures.svgs,
            .rounds_count = findings.rounds_count,
            .min_time_seconds = findings.min_time_seconds,
            .seconds = findings.seconds,
            .quick = options.quick,
            .problems = problems,
            .skipped = findings.skipped};
  const std::string html = RenderHtml(page);
  const std::string json = RenderJson(page.machine, page.results);
  if (InterruptSignal() != 0) {
    return Fail(kExitInterrupted + InterruptSignal(), "interrupted; nothing was written");
  }
  std::printf("%s\n%s\n", RenderText(page.comparisons).c_str(), DescribeRun(findings).c_str());
  std::fflush(stdout);
  for (const auto& [path, text] : {std::pair(options.html_path, html), {options.json_path, json}}) {
    if (auto written = WriteWhole(path, text); !written) {
      return tl::unexpected<Failure>(written.error());
    }
    std::fprintf(stderr, "report: wrote %s\n", path.c_str());
  }
  if (findings.results.empty()) {
    return Fail(kExitIncomplete, "nothing could be measured");
  }
  return problems.empty() ? kExitSuccess : kExitIncomplete;
}

OrFailure<int> Run(std::span<char*> arguments) {
  const auto options = ParseOptions(static_cast<int>(arguments.size()), arguments.data());
  if (!options) {
    return tl::unexpected<Failure>(options.error());
  }
  if (!options->help.empty()) {
    std::printf("%s", options->help.c_str());
    return kExitSuccess;
  }
  CatchInterrupts();
  const auto suites = FindSuites(arguments.front());
  if (!suites) {
    return tl::unexpected<Failure>(suites.error());
  }
  // All paths are absolute by now; programs inherit this folder.
  std::filesystem::current_path(suites->root);
  const auto scratch = ScratchFolder::Create();
  if (!scratch) {
    return tl::unexpected<Failure>(scratch.error());
  }
  Progress progress;
  Session session(scratch->path(), progress);
  if (auto listed = session.List(suites->programs, options->filter); !listed) {
    return tl::unexpected<Failure>(listed.error());
  }
  if (options->list) {
    return PrintNames(session);
  }
  progress.Show("measuring");
  const auto findings = session.Measure(options->quick ? kQuickBudget : kFullBudget);
  if (!findings) {
    return tl::unexpected<Failure>(findings.error());
  }
  progress.Show("drawing");
  return Publish(*findings, *options, scratch->path());
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) {
  const auto status = granary::bench::Run(std::span(argv, static_cast<size_t>(argc)));
  if (status) {
    return *status;
  }
  std::fprintf(stderr, "report: %s\n", status.error().message.c_str());
  return status.error().exit_status;
}
