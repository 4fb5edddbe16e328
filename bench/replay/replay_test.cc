// The whole replay, as a person starts it.
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
constexpr const char* kGood =
    "6048\n3\n8\n1\na 0 48\na 1 6000\nr 0 4000\na 2 1\nf 1\nf -1\nr 0 20\nf 0\n";

class ReplayTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / test->name();
    fs::remove_all(root_);
    fs::create_directories(root_ / "tmp");
    Write("good.rep", kGood);
  }

  void TearDown() override { EXPECT_TRUE(fs::is_empty(root_ / "tmp")); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / name, std::ios::binary) << text;
  }

  ProcessEnd Replay(const std::vector<std::string>& arguments) const {
    std::vector<std::string> command = {"env", "BUILD_WORKING_DIRECTORY=" + root_.string(),
                                        "TMPDIR=" + (root_ / "tmp").string(),
                                        Runfile("bench/replay_/replay")};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return RunProcess(command, kSecondsMax);
  }

  static std::string Runfile(const std::string& path) {
    return std::string(std::getenv("TEST_SRCDIR")) + "/granary/" + path;
  }

  nlohmann::json ReadJson(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(root_ / name).rdbuf();
    return nlohmann::json::parse(text.str());
  }

  // Exit status 2, and one line on stderr.
  void ExpectRefused(const std::vector<std::string>& arguments, const std::string& message) const {
    const ProcessEnd end = Replay(arguments);
    EXPECT_EQ(end.status, 2) << end.err;
    EXPECT_THAT(end.err, HasSubstr(message));
    EXPECT_EQ(std::ranges::count(end.err, '\n'), 1) << end.err;
    EXPECT_EQ(end.out, "");
  }

  void ExpectMalformed(const std::string& text, const std::string& message) const {
    Write("bad.rep", text);
    ExpectRefused({"--trace=bad.rep", "--allocator=region"},
                  (root_ / "bad.rep").string() + ", " + message);
  }

  fs::path root_;
};

TEST_F(ReplayTest, ReplaysOnEveryAllocatorAndVerifies) {
  const ProcessEnd end =
      Replay({"--trace=good.rep", "--verify", "--repetitions=2", "--json=out.json"});
  ASSERT_EQ(end.status, 0) << end.err;
  EXPECT_EQ(end.err, "");
  EXPECT_THAT(end.out, HasSubstr("good.rep: 7 operations, every payload verified\n"));
  const auto json = ReadJson("out.json");
  std::vector<std::string> allocators;
  for (const auto& result : json["results"]) {
    allocators.push_back(result["allocator"]);
    EXPECT_THAT(end.out, HasSubstr("\n" + allocators.back() + " "));
    EXPECT_EQ(result["trace"], "good.rep");
    EXPECT_EQ(result["operations"], 7);
    EXPECT_EQ(result["repetitions"], 2);
    EXPECT_GT(result["operations_per_second"], 0);
    EXPECT_LE(result["operations_per_second_min"], result["operations_per_second_max"]);
    EXPECT_EQ(result["peak_live_bytes"], 10001);
    EXPECT_EQ(result["failures"], 0);
    EXPECT_EQ(result["verified"], true);
    if (result["high_water_mark_kind"] == "highest_end") {
      EXPECT_GE(result["high_water_mark_bytes"], 10001) << result;
      EXPECT_LE(result["utilization"], 1.0) << result;
      EXPECT_GT(result["utilization"], 0.5) << result;
    }
    EXPECT_EQ(result["free_ranges_at_peak"].is_number(), allocators.back().starts_with("region"));
  }
  EXPECT_THAT(allocators, testing::ElementsAre("region", "region_best_lowest", "region_tracked",
                                               "malloc", "jemalloc", "mimalloc", "tcmalloc",
                                               "boost_rbtree", "boost_rbtree_offset"));
}

TEST_F(ReplayTest, ReplaysSeveralRecordingsCompressedOrNot) {
  const std::string recording = Runfile("bench/traces/sqlite_analytics.rep.gz");
  const ProcessEnd end = Replay({"--trace=good.rep," + recording, "--allocator=malloc,region",
                                 "--verify", "--repetitions=1", "--json=out.json"});
  ASSERT_EQ(end.status, 0) << end.err;
  const auto json = ReadJson("out.json");
  ASSERT_EQ(json["results"].size(), 4U);
  EXPECT_EQ(json["results"][0]["allocator"], "malloc");
  EXPECT_EQ(json["results"][3]["allocator"], "region");
  EXPECT_EQ(json["results"][3]["trace"], recording);
  EXPECT_EQ(json["results"][3]["operations"], 335957);
  for (const size_t i : {size_t{2}, size_t{3}}) {
    EXPECT_GT(json["results"][i]["utilization"], 0.8) << json["results"][i];
    EXPECT_LE(json["results"][i]["utilization"], 1.0) << json["results"][i];
  }
}

TEST_F(ReplayTest, SizesMayNeed64BitsAndRegionsMayBeTooSmall) {
  Write("large.rep", "8000000000\n1\n2\n1\na 0 8000000000\nf 0\n");
  ProcessEnd end = Replay({"--trace=large.rep", "--allocator=region,region_tracked",
                           "--repetitions=1", "--json=out.json"});
  ASSERT_EQ(end.status, 0) << end.err;
  EXPECT_EQ(ReadJson("out.json")["results"][0]["high_water_mark_bytes"], 8000000000);
  EXPECT_EQ(ReadJson("out.json")["results"][0]["failures"], 0);

  end = Replay({"--trace=large.rep", "--allocator=region,boost_rbtree", "--repetitions=1",
                "--region_bytes=1000000", "--json=out.json"});
  ASSERT_EQ(end.status, 0) << end.err;
  for (const auto& result : ReadJson("out.json")["results"]) {
    EXPECT_EQ(result["failures"], 1);
    EXPECT_TRUE(result["utilization"].is_null());
  }
}

TEST_F(ReplayTest, RefusesAMalformedRecordingWithTheLine) {
  ExpectMalformed("", "line 1: a header line is not a number");
  ExpectMalformed("1\n1\n1\nx\n", "line 4: a header line is not a number");
  ExpectMalformed("1\n1\n2\n1\na 0 1\n", "line 6: the file ends before the last operation");
  ExpectMalformed("1\n1\n1\n1\nb 0 1\n", "line 5: an operation is none of a, r and f");
  ExpectMalformed("1\n1\n1\n1\na 1 1\n", "line 5: an id is missing or out of range");
  ExpectMalformed("1\n1\n1\n1\na 0 99999999999999999999\n", "line 5: a size is missing");
  ExpectMalformed("1\n1\n2\n1\na 0 1\na 0 1\n", "line 6: an id is allocated twice");
  ExpectMalformed("1\n1\n3\n1\na 0 1\nf 0\nf 0\n", "line 7: an id is used that is not live");
  ExpectMalformed("1\n1\n1\n1\na 0 1 1\n", "line 5: there is more behind an operation");
}

TEST_F(ReplayTest, RefusesBadArguments) {
  Write("plain.rep.gz", kGood);
  ExpectRefused({}, "--trace is required");
  ExpectRefused({"--trace=nowhere.rep"}, "nowhere.rep cannot be opened: No such file");
  ExpectRefused({"--trace="}, "--trace");
  ExpectRefused({"--trace=plain.rep.gz"}, "plain.rep.gz is not a gzip file");
  ExpectRefused({"--trace=good.rep", "--allocator=region,dlmalloc"},
                "--allocator: 'dlmalloc' is none of region,region_best_lowest");
  ExpectRefused({"--trace=good.rep", "--repetitions=0"}, "--repetitions");
  ExpectRefused({"--trace=good.rep", "--region_bytes=-1"}, "--region_bytes");
  ExpectRefused({"--trace=good.rep", "--json=nowhere/x.json"}, "does not exist");
  ExpectRefused({"--trace=good.rep", "--fast"}, "--fast");
  ExpectRefused({"--trace", "good.rep", "good.rep"}, "good.rep");
}

TEST_F(ReplayTest, HelpShowsEveryFlag) {
  const ProcessEnd end = Replay({"--help"});
  EXPECT_EQ(end.status, 0);
  for (const char* flag :
       {"--trace", "--allocator", "--repetitions", "--verify", "--region_bytes", "--json"}) {
    EXPECT_THAT(end.out, HasSubstr(flag));
  }
}

}  // namespace
}  // namespace granary::bench
