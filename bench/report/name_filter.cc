#include "bench/report/name_filter.h"

#include <fmt/format.h>

#include <algorithm>

// With a sanitizer, GCC 12 takes a part of std::regex for uninitialized (GCC bug 105616).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <regex>

namespace granary::bench {

OrFailure<NameFilter> MakeNameFilter(const std::string& pattern) {
  try {
    return [regex = std::regex(pattern)](const BenchmarkName& name) {
      return std::regex_search(name.shown(), regex);
    };
  } catch (const std::regex_error& error) {
    std::string why = error.what();
    std::ranges::replace(why, '\n', ' ');
    return Fail(kExitUsage,
                fmt::format("--filter: '{}' is not a regular expression: {}", pattern, why));
  }
}

}  // namespace granary::bench
