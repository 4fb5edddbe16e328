// The front of the replay: reads the recordings, starts a worker for each repetition on each
// allocator, and shows what they found out.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "bench/replay/options.h"
#include "bench/replay/results.h"
#include "bench/report/interrupt.h"
#include "bench/report/output_file.h"
#include "bench/report/process.h"
#include "bench/report/programs.h"
#include "bench/report/progress.h"
#include "bench/traces/mapped_trace.h"
#include "bench/traces/rep_trace.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

// For one start of a worker: far above what any takes, and it ends one that hangs.
constexpr double kRunSecondsMax = 3600;

// A recording that is ready to be replayed.
struct Prepared {
  std::string name;
  size_t operations = 0;
  uint64_t region_bytes = 0;
  // What workers write.
  const char* writes = "pages";
  // The file that they map.
  fs::path path;
};

uint64_t PeakLiveBytes(const RepTrace& trace) {
  std::vector<uint64_t> sizes(trace.id_count);
  uint64_t live = 0;
  uint64_t peak = 0;
  for (const RepOperation& operation : trace.operations) {
    live -= sizes[operation.id];
    // What is more than there can be counts as all that there can be.
    uint64_t bytes = operation.kind == RepOperation::Kind::kFree ? 0 : operation.bytes;
    bytes = std::min(bytes, std::numeric_limits<uint64_t>::max() - live);
    sizes[operation.id] = bytes;
    live += bytes;
    peak = std::max(peak, live);
  }
  return peak;
}

uint64_t RegionBytesFor(uint64_t peak_bytes) {
  constexpr uint64_t kMin = uint64_t{1} << 30;
  constexpr uint64_t kMax = uint64_t{1} << 62;
  return peak_bytes > kMax / 4 ? kMax : std::bit_ceil(std::max(kMin, 4 * peak_bytes));
}

// What may be written without the machine running out of memory.
uint64_t WritableBytes() {
  std::ifstream lines("/proc/meminfo");
  constexpr std::string_view kKey = "MemAvailable:";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kKey)) return (std::stoull(line.substr(kKey.size())) << 10) / 4 * 3;
  }
  return std::numeric_limits<uint64_t>::max();
}

OrFailure<Prepared> Prepare(const ReplayOptions::Trace& source, const ReplayOptions& options,
                            const fs::path& path) {
  const auto trace = ReadRepTrace(source.path.string());
  if (!trace) return Fail(kExitUsage, trace.error().message);
  const uint64_t peak = PeakLiveBytes(*trace);
  const bool is_writable = peak <= WritableBytes();
  if (options.verify && !is_writable) {
    return Fail(kExitIncomplete,
                fmt::format("{}: {} bytes are live at once, and the machine has not the memory to "
                            "write and check them",
                            source.path.string(), peak));
  }
  const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  const auto written = WriteMappable(*trace, fd);
  ::close(fd);
  if (!written) return Fail(kExitIncomplete, written.error().message);
  return Prepared{
      .name = source.name,
      .operations = trace->operations.size(),
      .region_bytes = options.region_bytes != 0 ? options.region_bytes : RegionBytesFor(peak),
      .writes = options.verify ? "payload"
                : is_writable  ? "pages"
                               : "nothing",
      .path = path};
}

// The helper that is called `name`.
OrFailure<fs::path> FindWorker(const Suites& suites, std::string_view name) {
  for (const fs::path& program : suites.programs) {
    if (program.filename() == name) return program;
  }
  return Fail(kExitIncomplete, fmt::format("the program {} is not there", name));
}

struct Job {
  ReplayResult result;
  const Prepared* trace;
  fs::path worker;
  bool failed = false;
};

// Says why if it did not go well; a job that has failed is not tried again.
OrFailure<void> RunOnce(Job& job, Progress& progress) {
  const ProcessEnd end = RunProcess({job.worker, job.trace->path, job.result.allocator,
                                     fmt::format("{}", job.trace->region_bytes), job.trace->writes},
                                    kRunSecondsMax);
  if (end.kind == ProcessEnd::Kind::kInterrupted) {
    return Fail(kExitInterrupted + InterruptSignal(), "interrupted; nothing was written");
  }
  std::string problem;
  if (!end.ok()) {
    problem = end.Describe();
  } else if (const auto added = AddRepetition(end.out, job.result); !added) {
    problem = "its result cannot be read: " + added.error();
  }
  if (!problem.empty()) {
    job.failed = true;
    progress.Say(
        fmt::format("replay: {} on {}: {}", job.trace->name, job.result.allocator, problem));
  }
  return {};
}

// Everything once, again and again: what disturbs the machine for a while disturbs all alike.
OrFailure<void> RunAll(std::vector<Job>& jobs, int repetitions, Progress& progress) {
  for (int repetition = 1; repetition <= repetitions; ++repetition) {
    for (Job& job : jobs) {
      if (job.failed) continue;
      progress.Show(fmt::format("repetition {} of {}: {} on {}", repetition, repetitions,
                                job.trace->name, job.result.allocator));
      if (auto done = RunOnce(job, progress); !done) return done;
    }
  }
  return {};
}

OrFailure<int> Publish(std::vector<Job> jobs, const fs::path& json_path) {
  std::vector<ReplayResult> results;
  for (Job& job : jobs) {
    if (!job.failed) results.push_back(std::move(job.result));
  }
  std::printf("%s", RenderReplayText(results).c_str());
  std::fflush(stdout);
  if (!json_path.empty()) {
    if (auto written = WriteWhole(json_path, RenderReplayJson(results)); !written) {
      return tl::unexpected<Failure>(written.error());
    }
  }
  return results.size() == jobs.size() ? kExitSuccess : kExitIncomplete;
}

OrFailure<int> Run(std::span<char*> arguments) {
  const auto options = ParseReplayOptions(static_cast<int>(arguments.size()), arguments.data());
  if (!options) return tl::unexpected<Failure>(options.error());
  if (!options->help.empty()) {
    std::printf("%s", options->help.c_str());
    return kExitSuccess;
  }
  CatchInterrupts();
  const auto suites = FindSuites(arguments.front());
  if (!suites) return tl::unexpected<Failure>(suites.error());
  const auto scratch = ScratchFolder::Create();
  if (!scratch) return tl::unexpected<Failure>(scratch.error());

  Progress progress;
  std::vector<Prepared> traces;
  for (const ReplayOptions::Trace& source : options->traces) {
    progress.Show("reading " + source.name);
    auto prepared =
        Prepare(source, *options, scratch->path() / fmt::format("trace{}", traces.size()));
    if (!prepared) return tl::unexpected<Failure>(prepared.error());
    traces.push_back(*std::move(prepared));
  }
  std::vector<Job> jobs;
  for (const Prepared& trace : traces) {
    for (const ReplayAllocator& allocator : options->allocators) {
      const auto worker = FindWorker(*suites, allocator.program);
      if (!worker) return tl::unexpected<Failure>(worker.error());
      Job job{.result = {}, .trace = &trace, .worker = *worker};
      job.result.trace = trace.name;
      job.result.allocator = allocator.name;
      job.result.operations = trace.operations;
      job.result.verified = options->verify;
      jobs.push_back(std::move(job));
    }
  }
  if (auto done = RunAll(jobs, options->repetitions, progress); !done) {
    return tl::unexpected<Failure>(done.error());
  }
  progress.Clear();
  return Publish(std::move(jobs), options->json_path);
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) {
  const auto status = granary::bench::Run(std::span(argv, static_cast<size_t>(argc)));
  if (status) return *status;
  std::fprintf(stderr, "replay: %s\n", status.error().message.c_str());
  return status.error().exit_status;
}
