// Many queries at once under one limit, and what became of them.
//
//   bazel run -c opt //integration/examples/query_engine
//   bazel run -c opt //integration/examples/query_engine -- --memory-mib=64 --query='from lineitem
//   order limit 3'
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "integration/engine_memory.h"
#include "integration/examples/query_engine/engine.h"
#include "integration/examples/query_engine/tables.h"

namespace granary::query_engine {
namespace {

constexpr double kMib = 1 << 20;

struct Options {
  size_t memory_mib = 96;
  double scale = 0.05;
  size_t threads = 8;
  size_t queries = 300;
  size_t query_mib = 0;
  // Every so manieth query is cancelled while it runs.
  size_t cancel_every = 25;
  std::string query;
};

struct Kind {
  const char* text;
  // Of its own; 0 is the options'.
  size_t limit_mib = 0;
};

// The last one asks for more than it may have.
constexpr std::array kKinds = {
    Kind{"from customer where custkey > 100 and custkey < 201 order"},
    Kind{"from lineitem where orderkey > 500 and orderkey < 520 join orders group"},
    Kind{"from lineitem group"},
    Kind{"from lineitem order limit 100"},
    Kind{"from lineitem order"},
    Kind{"from lineitem join orders"},
    Kind{"from lineitem join orders join customer group order limit 10"},
    Kind{"from lineitem order limit 1000000", 4},
};

// What became of the queries of one kind.
struct Tally {
  size_t finished = 0;
  size_t refused = 0;
  size_t cancelled = 0;
  size_t failed = 0;
  size_t spilled = 0;
  uint64_t spilled_bytes = 0;
  size_t peak_bytes = 0;
  std::vector<double> seconds;
};

class Session {
 public:
  Session(const Options& options, EngineMemory& memory, Engine& engine)
      : options_(options), memory_(memory), engine_(engine), tallies_(kKinds.size()) {}

  void Run() {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < options_.threads; ++i) threads.emplace_back([this] { RunQueries(); });
    std::thread canceller([this] { CancelSome(); });
    ShowProgress();
    for (std::thread& thread : threads) thread.join();
    canceller.join();
  }

  void PrintSummary() const {
    fmt::print("{:<64} {:>8} {:>7} {:>9} {:>7} {:>9} {:>9} {:>10} {:>8}\n", "query", "finished",
               "refused", "cancelled", "spilled", "median ms", "worst ms", "spill MiB", "peak MiB");
    for (size_t i = 0; i < kKinds.size(); ++i) {
      const Tally& tally = tallies_[i];
      std::vector<double> seconds = tally.seconds;
      std::sort(seconds.begin(), seconds.end());
      const double median = seconds.empty() ? 0 : seconds[seconds.size() / 2];
      const double worst = seconds.empty() ? 0 : seconds.back();
      fmt::print("{:<64} {:>8} {:>7} {:>9} {:>7} {:>9.1f} {:>9.1f} {:>10.1f} {:>8.1f}\n",
                 kKinds[i].text, tally.finished, tally.refused, tally.cancelled, tally.spilled,
                 median * 1e3, worst * 1e3, static_cast<double>(tally.spilled_bytes) / kMib,
                 static_cast<double>(tally.peak_bytes) / kMib);
    }
    if (!first_refusal_.empty()) fmt::print("\nThe first refusal: {}\n", first_refusal_);
    if (!first_failure_.empty()) fmt::print("\nThe first failure: {}\n", first_failure_);
  }

  bool HasFailures() const { return !first_failure_.empty(); }

 private:
  void RunQueries() {
    for (;;) {
      const size_t number = next_.fetch_add(1);
      if (number >= options_.queries) return;
      const size_t kind = number % kKinds.size();
      const size_t limit_mib =
          kKinds[kind].limit_mib != 0 ? kKinds[kind].limit_mib : options_.query_mib;
      const Outcome outcome =
          engine_.Run({.text = kKinds[kind].text,
                       .id = number + 1,
                       .limit_bytes = limit_mib != 0 ? limit_mib << 20 : SIZE_MAX});
      Count(kind, outcome);
      done_.fetch_add(1);
    }
  }

  void Count(size_t kind, const Outcome& outcome) {
    const std::lock_guard lock(mutex_);
    Tally& tally = tallies_[kind];
    tally.spilled += outcome.spilled_bytes != 0;
    tally.spilled_bytes += outcome.spilled_bytes;
    tally.peak_bytes = std::max(tally.peak_bytes, outcome.peak_bytes);
    if (!outcome.error) {
      ++tally.finished;
      tally.seconds.push_back(outcome.seconds);
    } else if (outcome.error->code == ErrorCode::kOutOfMemory) {
      ++tally.refused;
      if (first_refusal_.empty()) first_refusal_ = outcome.error->message;
    } else if (outcome.error->code == ErrorCode::kAborted) {
      ++tally.cancelled;
    } else {
      ++tally.failed;
      if (first_failure_.empty()) first_failure_ = outcome.error->message;
    }
  }

  void CancelSome() {
    if (options_.cancel_every == 0) return;
    for (uint64_t id = options_.cancel_every; id <= options_.queries; id += options_.cancel_every) {
      while (done_ < options_.queries && !engine_.Cancel(id)) {
        if (next_ > id + options_.threads) break;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    }
  }

  void ShowProgress() const {
    const bool is_terminal = ::isatty(STDERR_FILENO) != 0;
    const auto begin = std::chrono::steady_clock::now();
    while (done_ < options_.queries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (!is_terminal) continue;
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
      const BudgetStats all = memory_.budget().Stats();
      const size_t done = done_;
      fmt::print(
          stderr, "\r\x1b[K{:>5} of {} queries  {:5.1f} s  memory {:6.1f} of {:.0f} MiB  [{:<40}]",
          done, options_.queries, elapsed.count(), static_cast<double>(all.taken_bytes) / kMib,
          static_cast<double>(all.hard_limit_bytes) / kMib,
          std::string(40 * done / options_.queries, '#'));
    }
    if (is_terminal) fmt::print(stderr, "\r\x1b[K");
  }

  const Options& options_;
  EngineMemory& memory_;
  Engine& engine_;
  std::atomic<size_t> next_ = 0;
  std::atomic<size_t> done_ = 0;
  std::mutex mutex_;
  std::vector<Tally> tallies_;
  std::string first_refusal_;
  std::string first_failure_;
};

int RunOne(const Options& options, Engine& engine) {
  const Outcome outcome =
      engine.Run({.text = options.query,
                  .limit_bytes = options.query_mib != 0 ? options.query_mib << 20 : SIZE_MAX});
  if (outcome.error) {
    fmt::print(stderr, "{}: {}\n", ErrorCodeName(outcome.error->code), outcome.error->message);
    return 1;
  }
  fmt::print("{:>12} {:>12} {:>16} {:>8}  {}\n", "key", "other", "amount", "count", "text");
  for (const Row& row : outcome.rows) {
    fmt::print("{:>12} {:>12} {:>16} {:>8}  {}\n", row.key, row.other, row.amount, row.count,
               row.text);
  }
  fmt::print("{} rows, {:.1f} ms, {:.1f} MiB at most, {:.1f} MiB spilled\n", outcome.digest.rows,
             outcome.seconds * 1e3, static_cast<double>(outcome.peak_bytes) / kMib,
             static_cast<double>(outcome.spilled_bytes) / kMib);
  return 0;
}

int RunMany(const Options& options, EngineMemory& memory, Engine& engine) {
  Session session(options, memory, engine);
  session.Run();
  session.PrintSummary();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const BudgetStats all = memory.budget().Stats();
  const size_t left = memory.queries_budget().Stats().taken_bytes;
  fmt::print(
      "\nAll together had {:.1f} MiB at most, of {:.0f}; the process {:.1f}. Left behind: {} "
      "bytes.\n",
      static_cast<double>(all.peak_bytes) / kMib, static_cast<double>(all.hard_limit_bytes) / kMib,
      static_cast<double>(usage.ru_maxrss) / 1024, left);
  return left == 0 && !session.HasFailures() ? 0 : 1;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Queries over data of TPC-H's shape, many at once under one memory limit.");
  app.add_option("--memory-mib", options.memory_mib, "limit for all of it, tables included")
      ->check(CLI::Range(8, 1 << 20))
      ->capture_default_str();
  app.add_option("--scale", options.scale, "of the data, 1 being 6 million lines")
      ->check(CLI::Range(0.0001, 10.0))
      ->capture_default_str();
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--queries", options.queries, "how many to run")->capture_default_str();
  app.add_option("--query-mib", options.query_mib, "limit for each, 0 is none")
      ->capture_default_str();
  app.add_option("--cancel-every", options.cancel_every, "cancel every so manieth, 0 is none")
      ->capture_default_str();
  app.add_option("--query", options.query, "run this one alone, and print its first rows");
  CLI11_PARSE(app, argc, argv);

  auto memory = EngineMemory::Create(
      {.limit_bytes = options.memory_mib << 20, .page_bytes = size_t{16} << 10});
  if (!memory) {
    fmt::print(stderr, "{}\n", memory.error().message);
    return 2;
  }
  std::optional<Tables> tables;
  try {
    tables.emplace(options.scale, (*memory)->resource());
  } catch (const std::bad_alloc& refusal) {
    fmt::print(stderr, "the tables do not fit: {}\n", refusal.what());
    return 2;
  }
  Engine engine(**memory, *tables);
  return options.query.empty() ? RunMany(options, **memory, engine) : RunOne(options, engine);
}

}  // namespace
}  // namespace granary::query_engine

int main(int argc, char** argv) {
  try {
    return granary::query_engine::Main(argc, argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 2;
  }
}
