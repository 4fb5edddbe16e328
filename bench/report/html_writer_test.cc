#include "bench/report/html_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "bench/report/testing/sample_results.h"

namespace granary::bench {
namespace {

using testing::HasSubstr;
using testing::Not;

Page SamplePage() {
  Page page;
  page.results = SampleResults();
  page.comparisons = Compare(page.results);
  page.plots = DrawPlots(page.results, testing::TempDir());
  page.rounds_count = 3;
  page.machine.cpu = "a <fast> one";
  return page;
}

TEST(HtmlWriter, NeedsNothingFromOutside) {
  const std::string html = RenderHtml(SamplePage());
  for (const char* reference :
       {"http:", "https:", "<script", "<link", "<iframe", "url(", "@import", "src=", "xlink"}) {
    EXPECT_THAT(html, Not(HasSubstr(reference)));
  }
}

TEST(HtmlWriter, ShowsVerdictTilesTablesAndPlots) {
  const Page page = SamplePage();
  ASSERT_EQ(page.plots.failure, "");
  const std::string html = RenderHtml(page);
  EXPECT_THAT(html, HasSubstr("granary loses on 2 of 3 compared cases"));
  EXPECT_THAT(html, HasSubstr("<div class=\"tile\"><b>arena/bump</b>"
                              "<div class=\"figure\">3.00x</div>"));
  EXPECT_THAT(html, HasSubstr("<td class=\"bad\">0.80x</td>"));
  EXPECT_THAT(html, HasSubstr("aria-label=\"arena/bump/8\""));
  EXPECT_THAT(html, HasSubstr("rocksdb</text>"));
}

TEST(HtmlWriter, ShowsPicturesBesideTheirCases) {
  Page page = SamplePage();
  page.pictures = {{"arena/bump/8", "<svg class=\"picture\"></svg>"}, {"arena/other", "<svg/>"}};
  const std::string html = RenderHtml(page);
  EXPECT_THAT(html, HasSubstr("<figure class=\"drawn\"><figcaption>arena/bump/8</figcaption>\n"
                              "<svg class=\"picture\"></svg></figure>"));
  EXPECT_THAT(html, Not(HasSubstr("<svg/>")));
}

TEST(HtmlWriter, EscapesWhatItDidNotWrite) {
  EXPECT_THAT(RenderHtml(SamplePage()), HasSubstr("a &lt;fast&gt; one"));
}

TEST(HtmlWriter, SaysThatGranaryLosesNowhere) {
  Page page;
  page.results = {Timed("a/b/granary", {1}), Timed("a/b/rocksdb", {2})};
  page.comparisons = Compare(page.results);
  EXPECT_THAT(RenderHtml(page), HasSubstr("granary loses nowhere"));
}

TEST(HtmlWriter, NamesWhatFailed) {
  Page page = SamplePage();
  page.problems = {"arena_bench ended with exit status 1"};
  EXPECT_THAT(RenderHtml(page), HasSubstr("<li>arena_bench ended with exit status 1</li>"));
}

TEST(HtmlWriter, NamesWhatCannotRunHere) {
  Page page = SamplePage();
  page.skipped = {"pool/dpdk_mempool: it does not start"};
  EXPECT_THAT(RenderHtml(page), HasSubstr("<li>pool/dpdk_mempool: it does not start</li>"));
}

TEST(HtmlWriter, DoesWithoutPlots) {
  Page page = SamplePage();
  page.plots = DrawPlots(page.results, testing::TempDir(), "/nowhere/gnuplot");
  const std::string html = RenderHtml(page);
  EXPECT_THAT(html, HasSubstr("There are no plots: /nowhere/gnuplot ended with exit status 127"));
  EXPECT_THAT(html, HasSubstr("<td class=\"bad\">0.80x</td>"));
}

TEST(Plots, FamiliesOfManyCasesHaveAChart) {
  std::vector<Result> results;
  for (int size = 1; size <= 20; ++size) {
    results.push_back(Timed("a/sweep/" + std::to_string(size) + "/granary", {1.0 * size}));
  }
  results.push_back(Timed("a/sweep/20/rocksdb", {7}));
  const Plots plots = DrawPlots(results, testing::TempDir());
  EXPECT_EQ(plots.failure, "");
  EXPECT_TRUE(plots.cases.empty());
  ASSERT_EQ(plots.families.size(), 1u);
  EXPECT_THAT(plots.families.at("a/sweep"), HasSubstr("granary"));
}

TEST(Plots, InlineSvgHasNoNamesOfItsOwn) {
  const std::string svg = InlineSvg(
      "<?xml version=\"1.0\"?>\n<svg \n viewBox=\"0 0 4 2\"\n xmlns=\"http://x\">\n<title>t</title>"
      "<defs><circle/></defs><g id=\"p\" fill=\"black\"><use xlink:href='#gpPt6'/></g></svg>",
      "a case");
  EXPECT_EQ(svg,
            "<svg class=\"plot\" role=\"img\" aria-label=\"a case\" viewBox=\"0 0 4 2\">\n"
            "<g fill=\"currentColor\"><use href='#gpPt6'/></g></svg>");
  EXPECT_EQ(InlineSvg("nonsense", "a case"), "");
}

}  // namespace
}  // namespace granary::bench
