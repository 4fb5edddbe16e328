#ifndef GRANARY_BENCH_REPORT_ESCAPE_HTML_H_
#define GRANARY_BENCH_REPORT_ESCAPE_HTML_H_

#include <string>
#include <string_view>

namespace granary::bench {

// Text as it can stand in an element or an attribute of HTML or SVG.
std::string EscapeHtml(std::string_view text);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_ESCAPE_HTML_H_
