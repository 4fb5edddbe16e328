#include "bench/report/benchmark_name.h"

#include <gtest/gtest.h>
#include <regex.h>

namespace granary::bench {
namespace {

TEST(BenchmarkName, HasSuiteCaseAndImplementation) {
  const auto name = ParseBenchmarkName("arena/bump/granary");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->suite, "arena");
  EXPECT_EQ(name->case_name, "bump");
  EXPECT_EQ(name->variant(), "");
  EXPECT_EQ(name->implementation, "granary");
}

TEST(BenchmarkName, TakesTheVariantIntoTheCase) {
  const auto name = ParseBenchmarkName("arena/bump/64/granary");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->case_name, "bump/64");
  EXPECT_EQ(name->family(), "bump");
  EXPECT_EQ(name->variant(), "64");
  EXPECT_EQ(name->shown(), "arena/bump/64/granary");
}

TEST(BenchmarkName, MayHaveSeveralVariants) {
  const auto name = ParseBenchmarkName("arena/query/10/4KiB/granary");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->case_name, "query/10/4KiB");
  EXPECT_EQ(name->family(), "query");
  EXPECT_EQ(name->variant(), "10/4KiB");
  EXPECT_EQ(name->shown(), "arena/query/10/4KiB/granary");
}

TEST(BenchmarkName, DropsWhatGoogleBenchmarkAppends) {
  const auto name = ParseBenchmarkName("arena/held/granary/iterations:1/manual_time");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->shown(), "arena/held/granary");
  EXPECT_EQ(name->full, "arena/held/granary/iterations:1/manual_time");
}

TEST(BenchmarkName, ThreadsBecomeAVariant) {
  const auto plain = ParseBenchmarkName("concurrent/bump/granary/real_time/threads:4");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->shown(), "concurrent/bump/threads:4/granary");
  const auto both = ParseBenchmarkName("concurrent/bump/64/granary/threads:4");
  ASSERT_TRUE(both);
  EXPECT_EQ(both->shown(), "concurrent/bump/64/threads:4/granary");
}

TEST(BenchmarkName, RefusesOtherShapes) {
  for (const char* text : {"", "arena", "arena/bump", "arena//granary", "/a/b"}) {
    EXPECT_FALSE(ParseBenchmarkName(text)) << text;
  }
}

TEST(BenchmarkName, ExactFilterMatchesTheNamesAndNothingElse) {
  const std::string filter = ExactFilter({"a/b+(1)/c.d", "a/b/c"});
  regex_t regex;
  ASSERT_EQ(regcomp(&regex, filter.c_str(), REG_EXTENDED | REG_NOSUB), 0);
  const auto matches = [&](const char* text) { return regexec(&regex, text, 0, nullptr, 0) == 0; };
  EXPECT_TRUE(matches("a/b+(1)/c.d"));
  EXPECT_TRUE(matches("a/b/c"));
  EXPECT_FALSE(matches("a/b/cc"));
  EXPECT_FALSE(matches("a/b+(1)/cxd"));
  EXPECT_FALSE(matches("xa/b/c"));
  regfree(&regex);
}

}  // namespace
}  // namespace granary::bench
