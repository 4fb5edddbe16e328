#include "bench/traces/rep_trace.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  const auto trace = ParseRepTrace(text, "t");
  if (trace) return "no error";
  EXPECT_EQ(trace.error().code, ErrorCode::kInvalidArgument);
  return trace.error().message;
}

TEST(RepTraceTest, ReadsHeaderAndOperations) {
  const auto trace = ParseRepTrace("64\n2\n5\n1\na 0 48\na 1 24\nr 0 40\nf 1\nf 0\n", "t");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->peak_live_bytes, 64U);
  EXPECT_EQ(trace->id_count, 2U);
  ASSERT_EQ(trace->operations.size(), 5U);
  EXPECT_EQ(trace->operations[2].kind, RepOperation::Kind::kReallocate);
  EXPECT_EQ(trace->operations[2].id, 0U);
  EXPECT_EQ(trace->operations[2].bytes, 40U);
  EXPECT_EQ(trace->operations[3].kind, RepOperation::Kind::kFree);
  EXPECT_EQ(trace->operations[3].id, 1U);
}

TEST(RepTraceTest, FreeOfNullIsLeftOut) {
  const auto trace = ParseRepTrace("0\n0\n1\n1\nf -1\n", "t");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_TRUE(trace->operations.empty());
}

TEST(RepTraceTest, AllocationSizesAreThoseOfAllocationsAndReallocations) {
  const auto trace = ParseRepTrace("64\n2\n5\n1\na 0 48\na 1 0\nf 1\nr 0 40\nf 0\n", "t");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_THAT(AllocationSizes(*trace).value(), ElementsAre(48, 1, 40));
}

TEST(RepTraceTest, SizesMayNeed64Bits) {
  const auto trace = ParseRepTrace("1\n1\n1\n1\na 0 18446744073709551615\n", "t");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->operations[0].bytes, 18446744073709551615U);
  EXPECT_EQ(AllocationSizes(*trace).error().code, ErrorCode::kInvalidArgument);
}

TEST(RepTraceTest, MalformedTextIsRefusedWithTheLine) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("t, line 1: a header line is not a number"));
  EXPECT_THAT(ErrorOf("1\n1\nx\n1\n"), HasSubstr("line 3: a header line"));
  EXPECT_THAT(ErrorOf("1\n1\n99999\n1\na 0 1\n"), HasSubstr("promises more"));
  EXPECT_THAT(ErrorOf("1\n1\n2\n1\na 0 1\n"), HasSubstr("line 6: the file ends before"));
  EXPECT_THAT(ErrorOf("1\n1\n1\n1\nx 0 1\n"), HasSubstr("line 5: an operation is none of"));
  EXPECT_THAT(ErrorOf("1\n1\n1\n1\na 1 1\n"), HasSubstr("line 5: an id is missing or out"));
  EXPECT_THAT(ErrorOf("1\n1\n1\n1\na 0\n"), HasSubstr("line 5: a size is missing"));
  EXPECT_THAT(ErrorOf("1\n1\n1\n1\na 0 -1\n"), HasSubstr("line 5: a size is missing or out"));
  EXPECT_THAT(ErrorOf("1\n1\n1\n1\na 0 18446744073709551616\n"),
              HasSubstr("line 5: a size is missing or out"));
  EXPECT_THAT(ErrorOf("1\n1\n1\n1\na0 1\n"), HasSubstr("line 5: an id is missing or out"));
  EXPECT_THAT(ErrorOf("1\n1\n1\n1\na 0 1 1\n"), HasSubstr("line 5: there is more behind an"));
  EXPECT_THAT(ErrorOf("1\n1\n1\n1\na 0 1\nf 0\n"), HasSubstr("line 6: there is more behind the"));
}

TEST(RepTraceTest, UseOfAnIdThatIsNotLiveIsRefused) {
  EXPECT_THAT(ErrorOf("1\n1\n2\n1\na 0 1\na 0 1\n"), HasSubstr("line 6: an id is allocated twice"));
  EXPECT_THAT(ErrorOf("1\n1\n1\n1\nf 0\n"), HasSubstr("line 5: an id is used that is not live"));
  EXPECT_THAT(ErrorOf("1\n1\n3\n1\na 0 1\nf 0\nr 0 2\n"), HasSubstr("line 7: an id is used"));
}

TEST(RepTraceTest, FileThatIsNotThereOrNotGzipIsAnIoError) {
  const std::string path = testing::TempDir() + "/plain.rep.gz";
  EXPECT_EQ(ReadRepTrace(path + ".absent").error().code, ErrorCode::kIo);
  std::ofstream(path) << "0\n0\n0\n1\n";
  EXPECT_THAT(ReadRepTrace(path).error().message, HasSubstr("is not a gzip file"));
}

TEST(RepTraceTest, FileMayBePlain) {
  const std::string path = testing::TempDir() + "/plain.rep";
  std::ofstream(path) << "48\n1\n2\n1\na 0 48\nf 0\n";
  const auto trace = ReadRepTrace(path);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->operations.size(), 2U);
}

TEST(RepTraceTest, FileCutShortIsAnIoError) {
  const auto directory = FindTracesDirectory(nullptr);
  ASSERT_TRUE(directory) << directory.error().message;
  std::ifstream whole(*directory + "/sqlite_analytics.rep.gz", std::ios::binary);
  std::string bytes(100000, '\0');
  whole.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const std::string path = testing::TempDir() + "/cut.rep.gz";
  std::ofstream(path, std::ios::binary) << bytes;
  const auto trace = ReadRepTrace(path);
  ASSERT_FALSE(trace);
  EXPECT_EQ(trace.error().code, ErrorCode::kIo);
}

TEST(RepTraceTest, RecordingsOfTheRepositoryAreWhatTheirReadmeSays) {
  const auto directory = FindTracesDirectory(nullptr);
  ASSERT_TRUE(directory) << directory.error().message;
  const auto sqlite = ReadRepTrace(*directory + "/sqlite_analytics.rep.gz");
  ASSERT_TRUE(sqlite) << sqlite.error().message;
  EXPECT_EQ(sqlite->id_count, 162287U);
  EXPECT_EQ(sqlite->peak_live_bytes, 4365443U);
  const auto rocksdb = ReadRepTrace(*directory + "/rocksdb_mixed.rep.gz");
  ASSERT_TRUE(rocksdb) << rocksdb.error().message;
  EXPECT_EQ(rocksdb->id_count, 300309U);
  EXPECT_EQ(rocksdb->peak_live_bytes, 6918552U);
}

TEST(RepTraceTest, DirectoryIsFoundBesideTheProgramAndErrorsNameThePlaces) {
  const std::string root = testing::TempDir() + "/lookup";
  ASSERT_EQ(std::system(("mkdir -p " + root + "/tool.runfiles/granary/bench/traces && touch " +
                         root + "/tool.runfiles/granary/bench/traces/rocksdb_mixed.rep.gz")
                            .c_str()),
            0);
  const char* const runfiles = std::getenv("RUNFILES_DIR");
  const std::string saved = runfiles == nullptr ? "" : runfiles;
  ::unsetenv("RUNFILES_DIR");
  EXPECT_EQ(FindTracesDirectory((root + "/tool").c_str()).value_or(""),
            root + "/tool.runfiles/granary/bench/traces");
  if (runfiles != nullptr) ::setenv("RUNFILES_DIR", saved.c_str(), 1);
}

}  // namespace
}  // namespace granary::bench
