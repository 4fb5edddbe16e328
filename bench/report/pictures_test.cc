#include "bench/report/pictures.h"

#include <gtest/gtest.h>

namespace granary::bench {
namespace {

TEST(Pictures, AreThoseThatTheContextNames) {
  EXPECT_TRUE(PicturesOf("p", {{"granary_build", "opt"}}).empty());
  EXPECT_TRUE(PicturesOf("p", {{"granary_pictures", ""}}).empty());
  const auto sources = PicturesOf("p", {{"granary_pictures", "a/b,a/c/d"}});
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].name, "a/b");
  EXPECT_EQ(sources[1].name, "a/c/d");
  EXPECT_EQ(sources[1].program, "p");
}

TEST(Pictures, AreNotDrawnOfWhatHasNoResult) {
  const Pictures pictures = DrawPictures({{"/nowhere/program", "a/b"}}, {});
  EXPECT_TRUE(pictures.svgs.empty());
  EXPECT_TRUE(pictures.problems.empty());
}

TEST(Pictures, OnlyWhatCanStandInThePageIsTaken) {
  EXPECT_TRUE(IsInlineSvg("<svg class=\"x\"><path d=\"M0 0h1\"/></svg>\n"));
  EXPECT_FALSE(IsInlineSvg(""));
  EXPECT_FALSE(IsInlineSvg("a picture"));
  EXPECT_FALSE(IsInlineSvg("<svg class=\"x\"><path"));
  EXPECT_FALSE(IsInlineSvg("<svg class=\"x\"><script>1</script></svg>"));
  EXPECT_FALSE(IsInlineSvg("<svg class=\"x\"><image href=\"x.png\"/></svg>"));
}

}  // namespace
}  // namespace granary::bench
