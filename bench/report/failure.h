// How a run of the report can end before its end.
#ifndef GRANARY_BENCH_REPORT_FAILURE_H_
#define GRANARY_BENCH_REPORT_FAILURE_H_

#include <string>

#include "tl/expected.hpp"

namespace granary::bench {

// The report's exit statuses. An interrupted run ends with 128 plus the signal's number.
inline constexpr int kExitSuccess = 0;
inline constexpr int kExitIncomplete = 1;    // Something failed; the rest was measured.
inline constexpr int kExitUsage = 2;         // The arguments make no sense; nothing was measured.
inline constexpr int kExitNotOptimized = 3;  // The programs are not optimised builds.
inline constexpr int kExitInterrupted = 128;

// Why nothing more can be done: one line for the person, and the exit status.
struct Failure {
  int exit_status;
  std::string message;
};

template <class T>
using OrFailure = tl::expected<T, Failure>;

inline tl::unexpected<Failure> Fail(int exit_status, std::string message) {
  return tl::unexpected<Failure>(Failure{exit_status, std::move(message)});
}

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_FAILURE_H_
