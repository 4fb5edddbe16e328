// What the command line asks for.
#ifndef GRANARY_BENCH_REPORT_OPTIONS_H_
#define GRANARY_BENCH_REPORT_OPTIONS_H_

#include <filesystem>
#include <string>

#include "bench/report/failure.h"
#include "bench/report/name_filter.h"

namespace granary::bench {

struct Options {
  bool quick = false;
  bool list = false;
  // Lets through what --filter matches, or everything.
  NameFilter filter;
  std::filesystem::path json_path;
  std::filesystem::path html_path;
  // The answer to --help, if that was asked for; everything else is meaningless then.
  std::string help;
};

// Checks everything that can be checked before anything is measured.
OrFailure<Options> ParseOptions(int argc, const char* const* argv);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_OPTIONS_H_
