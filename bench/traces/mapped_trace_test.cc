#include "bench/traces/mapped_trace.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace granary::bench {
namespace {

TEST(MappedTraceTest, IsWhatWasWritten) {
  const auto trace = ParseRepTrace("64\n2\n4\n1\na 0 48\na 1 5000000000\nr 0 40\nf 1\n", "t");
  ASSERT_TRUE(trace) << trace.error().message;
  const std::string path = testing::TempDir() + "/mappable";
  const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_TRUE(WriteMappable(*trace, fd));
  ::close(fd);

  const auto mapped = MappedTrace::Open(path);
  ASSERT_TRUE(mapped) << mapped.error().message;
  EXPECT_EQ(mapped->id_count(), 2U);
  ASSERT_EQ(mapped->operations().size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(mapped->operations()[i].kind, trace->operations[i].kind);
    EXPECT_EQ(mapped->operations()[i].id, trace->operations[i].id);
    EXPECT_EQ(mapped->operations()[i].bytes, trace->operations[i].bytes);
  }
}

TEST(MappedTraceTest, AnyOtherFileIsRefused) {
  const std::string path = testing::TempDir() + "/other";
  EXPECT_EQ(MappedTrace::Open(path + ".absent").error().code, ErrorCode::kIo);
  std::ofstream(path) << "";
  EXPECT_EQ(MappedTrace::Open(path).error().code, ErrorCode::kIo);
  std::ofstream(path) << std::string(100, 'x');
  EXPECT_EQ(MappedTrace::Open(path).error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace granary::bench
