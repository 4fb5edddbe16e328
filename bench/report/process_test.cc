#include "bench/report/process.h"

#include <gtest/gtest.h>

#include <csignal>

namespace granary::bench {
namespace {

TEST(Process, KeepsBothStreamsAndTheStatus) {
  const auto end = RunProcess({"sh", "-c", "echo out; echo err >&2; exit 3"}, 10);
  EXPECT_EQ(end.kind, ProcessEnd::Kind::kExited);
  EXPECT_EQ(end.status, 3);
  EXPECT_EQ(end.out, "out\n");
  EXPECT_EQ(end.err, "err\n");
  EXPECT_EQ(end.Describe(), "ended with exit status 3; its last lines: err");
}

TEST(Process, NamesTheSignal) {
  const auto end = RunProcess({"sh", "-c", "kill -SEGV $$"}, 10);
  EXPECT_EQ(end.kind, ProcessEnd::Kind::kSignalled);
  EXPECT_EQ(end.status, SIGSEGV);
}

TEST(Process, DescribesTheLastLinesOnly) {
  const auto end = RunProcess({"sh", "-c", "for i in 1 2 3 4 5; do echo $i >&2; done; exit 1"}, 10);
  EXPECT_EQ(end.Describe(), "ended with exit status 1; its last lines: 3 | 4 | 5");
}

TEST(Process, KillsWhatTakesTooLong) {
  const auto end = RunProcess({"sleep", "60"}, 0.2);
  EXPECT_EQ(end.kind, ProcessEnd::Kind::kTimedOut);
}

TEST(Process, SaysThatAProgramIsNotThere) {
  const auto end = RunProcess({"/nowhere/program"}, 10);
  EXPECT_FALSE(end.ok());
  EXPECT_NE(end.Describe().find("cannot be executed: No such file"), std::string::npos);
}

TEST(Process, TakesMoreOutputThanAPipeHolds) {
  const auto end = RunProcess({"sh", "-c", "head -c 1000000 /dev/zero"}, 30);
  EXPECT_EQ(end.out.size(), 1000000u);
}

}  // namespace
}  // namespace granary::bench
