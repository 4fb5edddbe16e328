// The report for programs: all results, nothing concluded.
#ifndef GRANARY_BENCH_REPORT_JSON_WRITER_H_
#define GRANARY_BENCH_REPORT_JSON_WRITER_H_

#include <string>
#include <vector>

#include "bench/report/machine.h"
#include "bench/report/results.h"

namespace granary::bench {

// {"machine":{...},"results":[{"suite","case","implementation","unit","repetitions","min",
// "median","max","counters":{...}}]}. The unit is "ns/op" or "count".
std::string RenderJson(const Machine& machine, const std::vector<Result>& results);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_JSON_WRITER_H_
