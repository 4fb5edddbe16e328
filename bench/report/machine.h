// The machine that measured, as far as figures depend on it.
#ifndef GRANARY_BENCH_REPORT_MACHINE_H_
#define GRANARY_BENCH_REPORT_MACHINE_H_

#include <cstdint>
#include <map>
#include <string>

namespace granary::bench {

struct Machine {
  std::string cpu;
  int cores = 0;
  uint64_t memory_bytes = 0;
  std::string kernel;
  std::string compiler;
  // ISO 8601, UTC.
  std::string date;
  // How the measured programs were built.
  std::string build;
  // What was measured, and with what: `rocksdb` to its version, `google_benchmark`, ...
  std::map<std::string, std::string> versions;
  double load_average = 0;
  // always, madvise or never.
  std::string transparent_huge_pages;
};

// Reads it from the system, and from the context that the programs wrote: every `X_version` there
// becomes the version of X. What cannot be found out is `unknown`.
Machine DescribeMachine(const std::map<std::string, std::string>& context);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_MACHINE_H_
