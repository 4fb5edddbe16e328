// The style sheet of the page.
#ifndef GRANARY_BENCH_REPORT_HTML_STYLE_H_
#define GRANARY_BENCH_REPORT_HTML_STYLE_H_

#include <string_view>

namespace granary::bench {

// CSS that refers to nothing outside the page: light or dark as the reader prefers, and for print.
std::string_view StyleSheet();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_HTML_STYLE_H_
