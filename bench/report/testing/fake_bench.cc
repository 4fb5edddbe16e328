// A Google Benchmark program whose times are chosen, not measured, so that tests know what the
// report has to say. The environment makes it misbehave:
//
//   FAKE_BENCH_BUILD=debug    says that it is not an optimised build
//   FAKE_BENCH_CRASH=WORD     aborts once it is to run, if its own path contains WORD
//   FAKE_BENCH_NONSENSE=WORD  writes something that is not JSON, if its own path contains WORD
//   FAKE_BENCH_SKIP=WHY       skips its malloc's cases, if it has any
//   FAKE_BENCH_SLOW=SECONDS   sleeps before it runs
//   FAKE_BENCH_PICTURE=TEXT   draws this instead of a picture
//   FAKE_BENCH_PID=FILE       writes its process id there once it is to run
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace {

constexpr int64_t kItems = 1000;

// Every operation of the benchmark takes `ns_per_op`, as far as Google Benchmark can tell.
void RegisterTimed(const std::string& name, double ns_per_op, const char* skipped = nullptr) {
  benchmark::RegisterBenchmark(name.c_str(), [ns_per_op, skipped](benchmark::State& state) {
    if (skipped != nullptr) state.SkipWithError((std::string("skipped: ") + skipped).c_str());
    for (auto _ : state) {
      state.SetIterationTime(ns_per_op * 1e-9 * static_cast<double>(kItems));
    }
    state.SetItemsProcessed(state.iterations() * kItems);
  })->UseManualTime();
}

void RegisterCounted(const std::string& name, double held_per_asked) {
  benchmark::RegisterBenchmark(name.c_str(), [held_per_asked](benchmark::State& state) {
    for (auto _ : state) {
    }
    state.counters["held_per_asked"] = held_per_asked;
    state.counters["blocks"] = 3;
  })->Iterations(1);
}

// The times make granary win `bump`, lose `reset` to leveldb, and hold more than rocksdb does.
void RegisterAll(bool as_malloc) {
  if (as_malloc) {
    const char* const skipped = std::getenv("FAKE_BENCH_SKIP");
    RegisterTimed("fake/bump/8/malloc", 20, skipped);
    RegisterTimed("fake/bump/64/malloc", 24, skipped);
    RegisterCounted("fake/held/malloc", 1.5);
    return;
  }
  RegisterTimed("fake/bump/8/granary", 2);
  RegisterTimed("fake/bump/8/granary_fresh", 3);
  RegisterTimed("fake/bump/8/rocksdb", 6);
  RegisterTimed("fake/bump/8/leveldb", 5);
  RegisterTimed("fake/bump/8/raw", 1);
  RegisterTimed("fake/bump/64/granary", 4);
  RegisterTimed("fake/bump/64/rocksdb", 8);
  RegisterTimed("fake/bump/64/raw", 1.5);
  RegisterTimed("fake/reset/granary", 5000);
  RegisterTimed("fake/reset/leveldb", 4000);
  RegisterTimed("fake/reset/rocksdb", 7500);
  RegisterCounted("fake/held/granary", 1.2);
  RegisterCounted("fake/held/rocksdb", 1.1);
}

// True when the variable is set and its value is part of the program's path.
bool Asked(const char* variable, std::string_view program) {
  const char* value = std::getenv(variable);
  return value != nullptr && program.find(value) != std::string_view::npos;
}

void Misbehave(std::string_view program, const std::string& out) {
  if (const char* path = std::getenv("FAKE_BENCH_PID"); path != nullptr) {
    std::ofstream(path) << getpid() << std::endl;
  }
  if (const char* seconds = std::getenv("FAKE_BENCH_SLOW"); seconds != nullptr) {
    usleep(static_cast<useconds_t>(std::atof(seconds) * 1e6));
  }
  if (Asked("FAKE_BENCH_CRASH", program)) {
    std::fprintf(stderr, "fake_bench: the invariant does not hold\n");
    std::abort();
  }
  if (Asked("FAKE_BENCH_NONSENSE", program)) {
    std::ofstream(out) << "this is not JSON\n";
    std::exit(0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view program = argv[0];
  constexpr std::string_view kOut = "--benchmark_out=";
  if (argc == 2 && std::string_view(argv[1]) == "--granary_picture=fake/held") {
    const char* picture = std::getenv("FAKE_BENCH_PICTURE");
    std::puts(picture != nullptr ? picture : "<svg class=\"picture\"><text>drawn</text></svg>");
    return 0;
  }
  bool runs = true;
  std::string out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--benchmark_list_tests")) {
      runs = false;
    }
    if (argument.starts_with(kOut)) {
      out = argument.substr(kOut.size());
    }
  }
  const char* build = std::getenv("FAKE_BENCH_BUILD");
  benchmark::AddCustomContext("granary_build", build != nullptr ? build : "opt");
  benchmark::AddCustomContext("rocksdb_version", "7.8.3");
  if (program.find("malloc") == std::string_view::npos) {
    benchmark::AddCustomContext("granary_pictures", "fake/held,fake/nothing");
  }
  RegisterAll(program.find("malloc") != std::string_view::npos);
  benchmark::Initialize(&argc, argv);
  if (runs) {
    Misbehave(program, out);
  }
  benchmark::RunSpecifiedBenchmarks();
}
