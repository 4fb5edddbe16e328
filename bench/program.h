// What every program of the suites does before it measures: it knows which malloc it stands on, and
// says how it was built.
#ifndef GRANARY_BENCH_PROGRAM_H_
#define GRANARY_BENCH_PROGRAM_H_

#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <string>

// Each program links one malloc, and its build says which, and from which library it has to come.
// GRANARY_BENCH_MALLOC_ONLY: it measures nothing but that malloc.
#ifndef GRANARY_BENCH_MALLOC_NAME
#define GRANARY_BENCH_MALLOC_NAME "malloc"
#endif
#ifndef GRANARY_BENCH_MALLOC_LIBRARY
#define GRANARY_BENCH_MALLOC_LIBRARY "libc.so"
#endif

namespace granary::bench {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr const char* kBuild = "sanitized";
#elif defined(__OPTIMIZE__)
inline constexpr const char* kBuild = "opt";
#else
inline constexpr const char* kBuild = "debug";
#endif

[[noreturn]] inline void Die(const std::string& message) {
  std::fprintf(stderr, "benchmarks: %s\n", message.c_str());
  std::exit(1);
}

// A linker that drops a library which nobody seems to call would leave glibc's malloc in its place,
// and its times under another name.
inline std::string VerifiedMallocLibrary() {
  Dl_info info;
  void* const function = dlsym(RTLD_DEFAULT, "malloc");
  if (function == nullptr || dladdr(function, &info) == 0 || info.dli_fname == nullptr) {
    Die("the library that malloc comes from cannot be found out");
  }
  std::string library = info.dli_fname;
  if (library.find(GRANARY_BENCH_MALLOC_LIBRARY) == std::string::npos) {
    Die("malloc is meant to come from " GRANARY_BENCH_MALLOC_LIBRARY " and comes from " + library);
  }
  return library;
}

// By itself glibc learns from each large block that is freed to take the next of its size from the
// heap and to keep a longer tail of it. Here it knows from the start, as after a long run: the
// order in which benchmarks run then changes nothing, blocks of 1 MiB cost their owners no system
// call, and what is held can be counted.
inline void SettleGlibcMalloc() {
#ifndef GRANARY_BENCH_MALLOC_ONLY
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

inline void AddProgramContext() {
  benchmark::AddCustomContext("granary_build", kBuild);
  benchmark::AddCustomContext("malloc", GRANARY_BENCH_MALLOC_NAME);
  benchmark::AddCustomContext("malloc_library", VerifiedMallocLibrary());
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_PROGRAM_H_
