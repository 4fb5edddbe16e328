#include "bench/report/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "bench/report/output_file.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class OptionsTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root_ / "sub");
    setenv("BUILD_WORKSPACE_DIRECTORY", root_.c_str(), 1);
    setenv("BUILD_WORKING_DIRECTORY", (root_ / "sub").c_str(), 1);
  }

  static OrFailure<Options> Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "report");
    return ParseOptions(static_cast<int>(arguments.size()), arguments.data());
  }

  static void ExpectRefused(const std::vector<const char*>& arguments, const char* message) {
    const auto options = Parse(arguments);
    ASSERT_FALSE(options);
    EXPECT_EQ(options.error().exit_status, kExitUsage);
    EXPECT_THAT(options.error().message, HasSubstr(message));
    EXPECT_EQ(options.error().message.find('\n'), std::string::npos);
  }

  const fs::path root_ = fs::path(testing::TempDir()) / "options_test";
};

TEST_F(OptionsTest, NeedNothing) {
  const auto options = Parse({});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_FALSE(options->quick);
  EXPECT_EQ(options->json_path, root_ / "granary-report.json");
  EXPECT_EQ(options->html_path, root_ / "granary-report.html");
  EXPECT_TRUE(options->filter(ParseBenchmarkName("a/b/c").value()));
}

TEST_F(OptionsTest, PathsAreRelativeToThePerson) {
  const auto options = Parse({"--json=here.json", "--html", "../there.html", "--quick"});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_TRUE(options->quick);
  EXPECT_EQ(options->json_path, root_ / "sub" / "here.json");
  EXPECT_EQ(options->html_path, root_ / "there.html");
}

TEST_F(OptionsTest, FilterSearchesTheWholeName) {
  const auto options = Parse({"--filter=bump/.*/gran"});
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->filter(ParseBenchmarkName("arena/bump/8/granary/manual_time").value()));
  EXPECT_FALSE(options->filter(ParseBenchmarkName("arena/bump/8/rocksdb").value()));
}

TEST_F(OptionsTest, HelpShowsEveryFlag) {
  const auto options = Parse({"--help"});
  ASSERT_TRUE(options);
  for (const char* flag : {"--quick", "--filter", "--json", "--html", "--list"}) {
    EXPECT_THAT(options->help, HasSubstr(flag));
  }
}

TEST_F(OptionsTest, RefuseWhatMakesNoSense) {
  ExpectRefused({"--fast"}, "--fast");
  ExpectRefused({"arena"}, "arena");
  ExpectRefused({"--filter=(a"}, "'(a' is not a regular expression");
  ExpectRefused({"--filter"}, "--filter");
  ExpectRefused({"--json="}, "--json");
  ExpectRefused({"--json=nowhere/x.json"}, "nowhere does not exist");
  ExpectRefused({"--json=../sub"}, "is a directory");
  ExpectRefused({"--html=../sub/"}, "is a directory");
  ExpectRefused({"--html=/proc/x.html"}, "--html: /proc/x.html: cannot be written");
}

TEST_F(OptionsTest, CheckingLeavesNothingBehind) {
  ASSERT_TRUE(Parse({"--json=fresh.json"}));
  EXPECT_TRUE(fs::is_empty(root_ / "sub"));
}

TEST(OutputFile, ReplacesTheWholeFile) {
  const fs::path path = fs::path(testing::TempDir()) / "output_file_test.txt";
  ASSERT_TRUE(WriteWhole(path, "a long first text\n"));
  ASSERT_TRUE(WriteWhole(path, "short\n"));
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "short");
  EXPECT_FALSE(WriteWhole("/nowhere/file", "text"));
}

TEST(OutputFile, ScratchFoldersGoAway) {
  fs::path path;
  {
    const auto scratch = ScratchFolder::Create();
    ASSERT_TRUE(scratch);
    path = scratch->path();
    std::ofstream(path / "file") << "text";
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace granary::bench
