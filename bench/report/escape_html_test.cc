#include "bench/report/escape_html.h"

#include <gtest/gtest.h>

namespace granary::bench {
namespace {

TEST(EscapeHtmlTest, LeavesNothingThatMarkupWouldTakeForItsOwn) {
  EXPECT_EQ(EscapeHtml("<&\">"), "&lt;&amp;&quot;&gt;");
  EXPECT_EQ(EscapeHtml("plain, 1/2"), "plain, 1/2");
}

}  // namespace
}  // namespace granary::bench
