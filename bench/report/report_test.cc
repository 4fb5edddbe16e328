// The whole report, as a person starts it, over programs whose times are known.
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
using testing::Not;

constexpr double kSecondsMax = 120;

class ReportTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / test->name();
    fs::remove_all(root_);
    fs::create_directories(root_ / "sub");
    fs::create_directories(root_ / "tmp");
  }

  // Starts the report with these words in front, which `env` takes, and these arguments.
  ProcessEnd Report(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& variables = {}) const {
    std::vector<std::string> command = {"env"};
    for (const auto* words : {&environment(), &variables, &program(), &arguments}) {
      command.insert(command.end(), words->begin(), words->end());
    }
    return RunProcess(command, kSecondsMax);
  }

  const std::vector<std::string>& environment() const {
    environment_ = {"BUILD_WORKSPACE_DIRECTORY=" + root_.string(),
                    "BUILD_WORKING_DIRECTORY=" + (root_ / "sub").string(),
                    "TMPDIR=" + (root_ / "tmp").string()};
    return environment_;
  }

  static const std::vector<std::string>& program() {
    static const std::vector<std::string> kProgram = {
        std::string(std::getenv("TEST_SRCDIR")) +
        "/granary/bench/report/testing/fake_report_/fake_report"};
    return kProgram;
  }

  std::string Read(const fs::path& path) const {
    std::ostringstream text;
    text << std::ifstream(root_ / path).rdbuf();
    return text.str();
  }

  // No report, and nothing that was meant to become one.
  void ExpectNothingWritten() const {
    EXPECT_TRUE(fs::is_empty(root_ / "sub"));
    EXPECT_TRUE(fs::is_empty(root_ / "tmp"));
    for (const auto& entry : fs::directory_iterator(root_)) {
      EXPECT_TRUE(entry.path() == root_ / "sub" || entry.path() == root_ / "tmp" ||
                  entry.path() == root_ / "pid")
          << entry.path();
    }
  }

  void ExpectRefused(const std::vector<std::string>& arguments, const char* message) const {
    const ProcessEnd end = Report(arguments);
    EXPECT_EQ(end.status, 2) << end.err;
    EXPECT_THAT(end.err, HasSubstr(message));
    EXPECT_EQ(std::ranges::count(end.err, '\n'), 1) << end.err;
    EXPECT_EQ(end.out, "");
    ExpectNothingWritten();
  }

  fs::path root_;
  mutable std::vector<std::string> environment_;
};

TEST_F(ReportTest, ListsAllNamesSorted) {
  const ProcessEnd end = Report({"--list"});
  EXPECT_EQ(end.status, 0) << end.err;
  EXPECT_THAT(end.out, testing::StartsWith("fake/bump/64/granary\nfake/bump/64/malloc\n"));
  EXPECT_THAT(end.out, testing::EndsWith("fake/reset/rocksdb\n"));
  EXPECT_EQ(std::ranges::count(end.out, '\n'), 16);
  ExpectNothingWritten();
}

TEST_F(ReportTest, MeasuresEverythingWithoutFlags) {
  const ProcessEnd end = Report({});
  EXPECT_EQ(end.status, 0) << end.err;
  EXPECT_THAT(end.out, testing::ContainsRegex("bump/8 +2.00 ns +leveldb 5.00 ns +6.00 ns"));
  EXPECT_THAT(end.out, HasSubstr("granary loses on:\n  fake/reset: 5.00 µs against 4.00 µs"));
  EXPECT_THAT(end.out, HasSubstr("16 results; 15 rounds"));
  EXPECT_TRUE(fs::is_empty(root_ / "tmp"));

  const auto json = nlohmann::json::parse(Read("granary-report.json"));
  EXPECT_EQ(json["results"].size(), 16u);
  EXPECT_EQ(json["machine"]["build"], "opt");
  EXPECT_EQ(json["machine"]["versions"]["rocksdb"], "7.8.3");
  for (const auto& result : json["results"]) {
    EXPECT_EQ(result["repetitions"], result["unit"] == "count" ? 1 : 15) << result;
  }
  const std::string html = Read("granary-report.html");
  EXPECT_THAT(html, HasSubstr("<figure>"));
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_THAT(html, Not(HasSubstr("There are no plots")));
  EXPECT_THAT(html, HasSubstr("<figcaption>fake/held</figcaption>\n<svg class=\"picture\">"));
}

TEST_F(ReportTest, MeasuresOnlyWhatTheFilterMatches) {
  const ProcessEnd end = Report({"--quick", "--filter=reset|held/(granary|malloc)"});
  EXPECT_EQ(end.status, 0) << end.err;
  EXPECT_THAT(end.out, HasSubstr("5 results"));
  EXPECT_THAT(end.out, Not(HasSubstr("bump")));
  EXPECT_EQ(nlohmann::json::parse(Read("granary-report.json"))["results"].size(), 5u);
}

TEST_F(ReportTest, WritesWhereThePersonStands) {
  const ProcessEnd end = Report({"--quick", "--json=mine.json", "--html=../other.html"});
  EXPECT_EQ(end.status, 0) << end.err;
  EXPECT_FALSE(nlohmann::json::parse(Read("sub/mine.json"))["results"].empty());
  EXPECT_THAT(Read("other.html"), testing::EndsWith("</html>\n"));
  EXPECT_FALSE(fs::exists(root_ / "granary-report.json"));
  EXPECT_FALSE(fs::exists(root_ / "granary-report.html"));
}

TEST_F(ReportTest, RefusesBadArguments) {
  ExpectRefused({"--fast"}, "--fast");
  ExpectRefused({"--filter=["}, "is not a regular expression");
  ExpectRefused({"--filter=no_such_case"}, "no benchmark matches the filter");
  ExpectRefused({"--list", "--filter=no_such_case"}, "no benchmark matches the filter");
  ExpectRefused({"--json=nowhere/x.json"}, "does not exist");
  ExpectRefused({"--json=/proc/x.json"}, "cannot be written");
  ExpectRefused({"--html=."}, "is a directory");
}

TEST_F(ReportTest, RefusesProgramsThatAreNotOptimized) {
  for (const char* build : {"debug", "sanitized"}) {
    const ProcessEnd end = Report({"--quick"}, {std::string("FAKE_BENCH_BUILD=") + build});
    EXPECT_EQ(end.status, 3) << end.err;
    EXPECT_THAT(end.err, HasSubstr(std::string("is a build of kind '") + build + "'"));
    EXPECT_EQ(end.out, "");
    ExpectNothingWritten();
  }
}

TEST_F(ReportTest, GoesOnWithoutAProgramThatCrashes) {
  const ProcessEnd end = Report({"--quick"}, {"FAKE_BENCH_CRASH=fake_bench_malloc"});
  EXPECT_EQ(end.status, 1) << end.err;
  EXPECT_THAT(end.err, HasSubstr("fake_bench_malloc was ended by signal 6 (Aborted); its last "
                                 "lines: fake_bench: the invariant does not hold"));
  EXPECT_THAT(end.out, HasSubstr("13 results"));
  EXPECT_THAT(Read("granary-report.html"), HasSubstr("Not everything could be measured"));
  EXPECT_EQ(nlohmann::json::parse(Read("granary-report.json"))["results"].size(), 13u);
}

TEST_F(ReportTest, GoesOnWithoutAProgramThatWritesNonsense) {
  const ProcessEnd end = Report({"--quick"}, {"FAKE_BENCH_NONSENSE=fake_bench_malloc"});
  EXPECT_EQ(end.status, 1) << end.err;
  EXPECT_THAT(end.err, HasSubstr("fake_bench_malloc ended with exit status 0, but its results "
                                 "cannot be read"));
  EXPECT_THAT(end.out, HasSubstr("13 results"));
}

TEST_F(ReportTest, LeavesOutWhatCannotRunHereAndIsContent) {
  const ProcessEnd end = Report({"--quick"}, {"FAKE_BENCH_SKIP=no malloc today"});
  EXPECT_EQ(end.status, 0) << end.err;
  EXPECT_THAT(end.err,
              HasSubstr("left out, as it cannot run here: fake/malloc: no malloc today\n"));
  EXPECT_THAT(end.out, HasSubstr("14 results"));
  EXPECT_THAT(Read("granary-report.html"), HasSubstr("<li>fake/malloc: no malloc today</li>"));
}

TEST_F(ReportTest, DrawsPicturesOnlyOfWhatIsMeasured) {
  const ProcessEnd end = Report({"--quick", "--filter=bump"});
  EXPECT_EQ(end.status, 0) << end.err;
  EXPECT_THAT(Read("granary-report.html"), Not(HasSubstr("class=\"picture\"")));
}

TEST_F(ReportTest, NamesAPictureThatCannotStandInThePage) {
  const ProcessEnd end = Report({"--quick", "--filter=held"}, {"FAKE_BENCH_PICTURE=<script>"});
  EXPECT_EQ(end.status, 1) << end.err;
  EXPECT_THAT(end.err, HasSubstr("fake/held: no picture: what fake_bench draws is no <svg>"));
  const std::string html = Read("granary-report.html");
  EXPECT_THAT(html, HasSubstr("fake/held: no picture"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
}

TEST_F(ReportTest, FailsIfAllProgramsCrash) {
  const ProcessEnd end = Report({"--quick"}, {"FAKE_BENCH_CRASH=fake"});
  EXPECT_EQ(end.status, 1);
  EXPECT_THAT(end.err, HasSubstr("nothing could be measured"));
}

TEST_F(ReportTest, AnInterruptKillsTheChildrenAndLeavesNothing) {
  setenv("ROOT", root_.c_str(), 1);
  setenv("REPORT", program().front().c_str(), 1);
  for (const char* signal : {"INT", "TERM"}) {
    setenv("SIGNAL", signal, 1);
    fs::remove(root_ / "pid");
    const ProcessEnd end = RunProcess({"sh", "-c", R"(
      env BUILD_WORKSPACE_DIRECTORY=$ROOT BUILD_WORKING_DIRECTORY=$ROOT/sub TMPDIR=$ROOT/tmp \
          FAKE_BENCH_SLOW=60 FAKE_BENCH_PID=$ROOT/pid "$REPORT" &
      report=$!
      until [ -s "$ROOT/pid" ]; do sleep 0.05; done
      kill -$SIGNAL $report
      wait $report
      echo "status $?"
      if kill -0 $(cat "$ROOT/pid") 2>/dev/null; then echo "a child lives"; fi
    )"},
                                      kSecondsMax);
    EXPECT_EQ(end.out, std::string(signal) == "INT" ? "status 130\n" : "status 143\n");
    EXPECT_THAT(end.err, HasSubstr("interrupted"));
    ExpectNothingWritten();
  }
}

}  // namespace
}  // namespace granary::bench
