// The whole simulator, as a person starts it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/report/process.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr double kSecondsMax = 120;

class CacheSimTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / test->name();
    fs::remove_all(root_);
    fs::create_directories(root_);
    std::string lines;
    // A loop of 10 pages.
    for (int i = 0; i < 100; ++i) lines += std::to_string(i % 10) + "\n";
    Write("loop.txt", lines);
  }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / name, std::ios::binary) << text;
  }

  ProcessEnd Run(const std::vector<std::string>& arguments) const {
    std::vector<std::string> command = {
        "env", "BUILD_WORKING_DIRECTORY=" + root_.string(),
        std::string(std::getenv("TEST_SRCDIR")) + "/granary/bench/cache_sim_/cache_sim"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return RunProcess(command, kSecondsMax);
  }

  nlohmann::json ReadJson(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(root_ / name).rdbuf();
    return nlohmann::json::parse(text.str());
  }

  // Exit status 2, and one line on stderr.
  void ExpectRefused(const std::vector<std::string>& arguments, const std::string& message) const {
    const ProcessEnd end = Run(arguments);
    EXPECT_EQ(end.status, 2) << end.err;
    EXPECT_THAT(end.err, HasSubstr(message));
    EXPECT_EQ(std::ranges::count(end.err, '\n'), 1) << end.err;
    EXPECT_EQ(end.out, "");
  }

  fs::path root_;
};

TEST_F(CacheSimTest, CountsTheHitsOfEveryPolicyAndItsModel) {
  const ProcessEnd end = Run({"--trace=loop.txt", "--format=lines", "--pages=5,10", "--policy=all",
                              "--threads=1", "--model", "--json=out.json"});
  ASSERT_EQ(end.status, 0) << end.err;
  EXPECT_EQ(end.err, "");
  EXPECT_THAT(end.out, HasSubstr("loop.txt: 100 requests\n"));
  const auto results = ReadJson("out.json").at("results");
  ASSERT_EQ(results.size(), 8U);
  for (const auto& result : results) {
    EXPECT_EQ(result.at("requests"), 100);
    EXPECT_EQ(result.at("hits"), result.at("model_hits"));
    EXPECT_EQ(result.at("hits").get<int>() + result.at("misses").get<int>(), 100);
    if (result.at("pages") == 10) {
      EXPECT_EQ(result.at("hits"), 90);
      EXPECT_DOUBLE_EQ(result.at("hit_ratio"), 0.9);
    }
  }
  EXPECT_EQ(results[0].at("policy"), "s3fifo");
  EXPECT_EQ(results[3].at("policy"), "lru");
  EXPECT_EQ(results[3].at("hits"), 0);
}

TEST_F(CacheSimTest, ThreadsShareTheRequests) {
  const ProcessEnd end = Run({"--trace=loop.txt", "--format=lines", "--pages=10", "--policy=all",
                              "--threads=3", "--json=out.json"});
  ASSERT_EQ(end.status, 0) << end.err;
  for (const auto& result : ReadJson("out.json").at("results")) {
    EXPECT_EQ(result.at("threads"), 3);
    EXPECT_EQ(result.at("requests"), 100);
    // Two that miss one page at the same time both miss it.
    EXPECT_LE(result.at("hits"), 90);
    EXPECT_GE(result.at("hits"), 70);
  }
}

TEST_F(CacheSimTest, AScanIsCountedApart) {
  const ProcessEnd end = Run({"--trace=loop.txt", "--format=lines", "--pages=10", "--policy=lru",
                              "--scan=2:3", "--json=out.json"});
  ASSERT_EQ(end.status, 0) << end.err;
  const auto result = ReadJson("out.json").at("results").at(0);
  EXPECT_EQ(result.at("requests"), 100);
  EXPECT_EQ(result.at("hits"), 0);
  EXPECT_EQ(result.at("scan_requests"), 150);
  EXPECT_EQ(result.at("scan_hits"), 0);
  EXPECT_EQ(result.at("scan"), "2:3");
}

TEST_F(CacheSimTest, ArgumentsThatMakeNoSenseAreRefused) {
  const std::string trace = "--trace=loop.txt";
  const std::string lines = "--format=lines";
  ExpectRefused({trace, lines}, "--pages is required");
  ExpectRefused({lines, "--pages=5"}, "--trace is required");
  ExpectRefused({trace, lines, "--pages=0"}, "--pages");
  ExpectRefused({trace, lines, "--pages=5", "--policy=arc"}, "'arc' is none of");
  ExpectRefused({trace, "--format=csv", "--pages=5"}, "'csv' is none of");
  ExpectRefused({trace, lines, "--pages=5", "--threads=0"}, "--threads");
  ExpectRefused({trace, lines, "--pages=5", "--scan=1"}, "--scan: '1' is not");
  ExpectRefused({trace, lines, "--pages=5", "--scan=0:1"}, "--scan: '0:1' is not");
  ExpectRefused({trace, lines, "--pages=5", "--scan-hints"}, "--scan-hints");
  ExpectRefused({trace, lines, "--pages=5", "--json=absent/out.json"}, "--json");
}

TEST_F(CacheSimTest, RecordingsThatMakeNoSenseAreRefused) {
  Write("bad.txt", "1\n2\nx\n");
  ExpectRefused({"--trace=bad.txt", "--format=lines", "--pages=5"},
                (root_ / "bad.txt").string() + ", line 3: ");
  ExpectRefused({"--trace=bad.txt", "--format=be32", "--pages=5"},
                (root_ / "bad.txt").string() + ", byte 4: ");
  ExpectRefused({"--trace=absent.txt", "--pages=5"}, "absent.txt cannot be opened");
  Write("top.txt", "18446744073709551615\n");
  ExpectRefused({"--trace=top.txt", "--format=lines", "--pages=5", "--scan=1:1"}, "--scan: ");
}

}  // namespace
}  // namespace granary::bench
