// Chooses benchmarks by a regular expression.
#ifndef GRANARY_BENCH_REPORT_NAME_FILTER_H_
#define GRANARY_BENCH_REPORT_NAME_FILTER_H_

#include <functional>
#include <string>

#include "bench/report/benchmark_name.h"
#include "bench/report/failure.h"

namespace granary::bench {

using NameFilter = std::function<bool(const BenchmarkName&)>;

// Lets through the names `suite/case/implementation` in which the pattern (ECMAScript) finds
// something; an empty pattern finds something in all of them.
OrFailure<NameFilter> MakeNameFilter(const std::string& pattern);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_NAME_FILTER_H_
