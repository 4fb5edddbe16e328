#include "bench/report/programs.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "bench/report/process.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWorkspace = "granary";
constexpr double kListSecondsMax = 60;
// For one start of one program: far above what any takes, and it ends a program that hangs.
constexpr double kRunSecondsMax = 600;

// The folder that the paths in a helpers file are relative to.
std::optional<fs::path> RunfilesRoot(const fs::path& program) {
  std::error_code ignored;
  fs::path own = program;
  own += ".runfiles";
  if (fs::is_directory(own / kWorkspace, ignored)) {
    return own / kWorkspace;
  }
  for (fs::path folder = program; folder != folder.root_path(); folder = folder.parent_path()) {
    if (folder.extension() == ".runfiles") {
      return folder / kWorkspace;
    }
  }
  for (const char* variable : {"RUNFILES_DIR", "TEST_SRCDIR"}) {
    if (const char* value = std::getenv(variable); value != nullptr) {
      return fs::path(value) / kWorkspace;
    }
  }
  return std::nullopt;
}

ProgramError Because(const fs::path& program, const ProcessEnd& end) {
  return {.interrupted = end.kind == ProcessEnd::Kind::kInterrupted,
          .message = program.filename().string() + " " + end.Describe()};
}

}  // namespace

OrFailure<Suites> FindSuites(const fs::path& argv0) {
  const fs::path self = fs::absolute(argv0);
  fs::path listing = self;
  listing += ".helpers";
  std::ifstream lines(listing);
  const auto root = RunfilesRoot(self);
  if (!lines || !root) {
    return Fail(kExitIncomplete,
                fmt::format("{} is not there; start this with: bazel run //bench:{}",
                            listing.string(), self.filename().string()));
  }
  Suites suites{.root = *root, .programs = {}};
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) {
      suites.programs.push_back((*root / line).lexically_normal());
    }
  }
  if (suites.programs.empty()) {
    return Fail(kExitIncomplete, listing.string() + " lists no benchmark program");
  }
  return suites;
}

tl::expected<Program, ProgramError> ListProgram(const fs::path& path) {
  const auto begin = std::chrono::steady_clock::now();
  const ProcessEnd end = RunProcess({path, "--benchmark_list_tests=true"}, kListSecondsMax);
  if (!end.ok()) {
    return tl::unexpected<ProgramError>(Because(path, end));
  }
  Program program;
  program.path = path;
  program.startup_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::istringstream lines(end.out);
  for (std::string line; std::getline(lines, line);) {
    auto name = ParseBenchmarkName(line);
    if (!name) {
      return tl::unexpected<ProgramError>(
          ProgramError{.message = fmt::format(
                           "{} lists '{}', which is not SUITE/CASE[/VARIANT...]/IMPLEMENTATION",
                           program.name(), line)});
    }
    program.benchmarks.push_back(*std::move(name));
  }
  return program;
}

tl::expected<ProgramRun, ProgramError> RunProgram(const Program& program,
                                                  const RunRequest& request) {
  std::error_code ignored;
  fs::remove(request.scratch, ignored);
  const ProcessEnd end =
      RunProcess({program.path, "--benchmark_filter=" + ExactFilter(request.full_names),
                  "--benchmark_format=json", "--benchmark_out_format=json",
                  "--benchmark_out=" + request.scratch.string(), "--benchmark_repetitions=1",
                  "--benchmark_enable_random_interleaving=true",
                  fmt::format("--benchmark_min_time={:.6f}", request.min_time_seconds)},
                 kRunSecondsMax);
  if (!end.ok()) {
    return tl::unexpected<ProgramError>(Because(program.path, end));
  }
  std::ostringstream json;
  json << std::ifstream(request.scratch).rdbuf();
  auto run = ParseRun(json.str());
  if (!run) {
    return tl::unexpected<ProgramError>(
        ProgramError{.message = fmt::format("{} {}, but its results cannot be read: {}",
                                            program.name(), end.Describe(), run.error())});
  }
  return *std::move(run);
}

}  // namespace granary::bench
