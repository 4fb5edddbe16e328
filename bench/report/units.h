// Numbers as people read them.
#ifndef GRANARY_BENCH_REPORT_UNITS_H_
#define GRANARY_BENCH_REPORT_UNITS_H_

#include <string>

namespace granary::bench {

// Three significant digits: `4.37 ns`, `12.3 ns`, `1.24 µs`, `38 ms` is `38.0 ms`.
std::string FormatNs(double ns);

// Three significant digits: `1.42x`.
std::string FormatRatio(double ratio);

// Small counts are exact enough for one digit more than times: `1.083`, `17.0`, `1024`.
std::string FormatCount(double count);

// `45 s`, `2 min 10 s`.
std::string FormatSeconds(double seconds);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_UNITS_H_
