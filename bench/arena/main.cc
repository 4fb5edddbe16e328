// A program of the arena suite: registers the cases for the implementations that it is built with,
// and runs those that Google Benchmark's flags select.
#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bench/arena/cases.h"
#include "bench/arena/mallocs.h"
#include "bench/arena/sizes.h"
#include "bench/traces/rep_trace.h"

#ifndef GRANARY_BENCH_MALLOC_LIBRARY
#define GRANARY_BENCH_MALLOC_LIBRARY "libc.so"
#endif

namespace granary::bench {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr const char* kBuild = "sanitized";
#elif defined(__OPTIMIZE__)
constexpr const char* kBuild = "opt";
#else
constexpr const char* kBuild = "debug";
#endif

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "arena benchmarks: %s\n", message.c_str());
  std::exit(1);
}

// A linker that drops a library which nobody seems to call would leave glibc's malloc in its place,
// and its times under another name.
std::string VerifiedMallocLibrary() {
  Dl_info info;
  void* const function = dlsym(RTLD_DEFAULT, "malloc");
  if (function == nullptr || dladdr(function, &info) == 0 || info.dli_fname == nullptr) {
    Die("the library that malloc comes from cannot be found out");
  }
  const std::string library = info.dli_fname;
  if (library.find(GRANARY_BENCH_MALLOC_LIBRARY) == std::string::npos) {
    Die("malloc is meant to come from " GRANARY_BENCH_MALLOC_LIBRARY " and comes from " + library);
  }
  return library;
}

// By itself glibc learns from each large block that is freed to take the next of its size from the
// heap and to keep a longer tail of it. Here it knows from the start, as after a long run: the
// order in which benchmarks run then changes nothing, blocks of 1 MiB cost their owners no system
// call, and what is held can be counted.
void SettleGlibcMalloc() {
#ifndef GRANARY_BENCH_MALLOC_ONLY
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

// Takes --granary_traces=DIR out of the arguments; without it the runfiles are searched. That
// nothing is found is an error of those cases alone, and they report it.
void ChooseTracesDirectory(int* argc, char** argv) {
  constexpr std::string_view kFlag = "--granary_traces=";
  std::string directory = FindTracesDirectory(argv[0]).value_or("bench/traces");
  int kept = 0;
  for (int i = 0; i < *argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.substr(0, kFlag.size()) == kFlag) {
      directory = argument.substr(kFlag.size());
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
  SetTracesDirectory(directory);
}

void AddContext() {
  benchmark::AddCustomContext("granary_build", kBuild);
  benchmark::AddCustomContext("malloc", GRANARY_BENCH_MALLOC_NAME);
  benchmark::AddCustomContext("malloc_library", VerifiedMallocLibrary());
#ifdef GRANARY_BENCH_ROCKSDB_VERSION
  benchmark::AddCustomContext("rocksdb_version", GRANARY_BENCH_ROCKSDB_VERSION);
  benchmark::AddCustomContext("leveldb_version", GRANARY_BENCH_LEVELDB_VERSION);
#endif
}

int Main(int argc, char** argv) {
  SettleGlibcMalloc();
  ChooseTracesDirectory(&argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  AddContext();
  RegisterAlignedCases();
  RegisterMemtableCases();
  RegisterTraceCases();
  RegisterQueryCases();
  RegisterContainerCases();
#ifndef GRANARY_BENCH_MALLOC_ONLY
  // A malloc has neither byte strings nor a reset, and what it holds it does not tell in the same
  // terms.
  RegisterBytesCases();
  RegisterResetCases();
  RegisterSpaceCases();
#endif
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace granary::bench

int main(int argc, char** argv) { return granary::bench::Main(argc, argv); }
