// The names of benchmarks: `SUITE/CASE/IMPLEMENTATION`, with any number of variants behind CASE:
// `SUITE/CASE/VARIANT/IMPLEMENTATION`, `SUITE/CASE/VARIANT/VARIANT/IMPLEMENTATION`.
#ifndef GRANARY_BENCH_REPORT_BENCHMARK_NAME_H_
#define GRANARY_BENCH_REPORT_BENCHMARK_NAME_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace granary::bench {

struct BenchmarkName {
  // As the program lists it, with what Google Benchmark appends: what the program's own filter
  // sees.
  std::string full;
  std::string suite;
  // `CASE`, `CASE/VARIANT`, ...
  std::string case_name;
  std::string implementation;

  // `CASE` alone: the cases of one family differ in their variant only.
  std::string family() const;
  // The variants alone, or nothing.
  std::string variant() const;
  // `suite/case/implementation`: what people see, and filter by.
  std::string shown() const;

  bool operator==(const BenchmarkName&) const = default;
};

// Drops what Google Benchmark appends for its own settings (`/manual_time`, `/iterations:1`, ...);
// a number of threads becomes the variant, or a part of it. Nothing if the rest has too few
// parts.
std::optional<BenchmarkName> ParseBenchmarkName(std::string_view full);

// A filter for Google Benchmark that matches exactly these names. Google Benchmark reads POSIX
// extended regular expressions, in which only special characters may be escaped.
std::string ExactFilter(const std::vector<std::string>& full_names);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_BENCHMARK_NAME_H_
