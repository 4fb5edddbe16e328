#include "bench/traces/page_trace.h"

#include <zlib.h>
#include <zstd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace granary::bench {
namespace {

using Pages = std::vector<uint64_t>;

class PageTraceTest : public testing::Test {
 protected:
  static std::string Write(const std::string& name, const std::string& bytes) {
    const std::string path = testing::TempDir() + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  static std::string WriteGzip(const std::string& name, const std::string& bytes) {
    const std::string path = testing::TempDir() + "/" + name;
    const gzFile file = gzopen(path.c_str(), "wb");
    EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())),
              static_cast<int>(bytes.size()));
    EXPECT_EQ(gzclose(file), Z_OK);
    return path;
  }

  static std::string Zstd(const std::string& bytes) {
    std::string packed(ZSTD_compressBound(bytes.size()), '\0');
    packed.resize(
        ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), /*level=*/1));
    return packed;
  }

  static std::string ReadBytes(const std::string& path) {
    std::ostringstream bytes;
    bytes << std::ifstream(path, std::ios::binary).rdbuf();
    return bytes.str();
  }

  static Pages Read(const std::string& bytes, const PageTraceOptions& options) {
    const auto pages = ReadPageTrace(Write("good", bytes), options);
    EXPECT_TRUE(pages) << pages.error().message;
    return pages.value_or(Pages{});
  }

  static void ExpectMalformed(const std::string& bytes, const PageTraceOptions& options,
                              const std::string& message) {
    const std::string path = Write("bad", bytes);
    const auto pages = ReadPageTrace(path, options);
    ASSERT_FALSE(pages);
    EXPECT_EQ(pages.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(pages.error().message.substr(0, path.size()), path);
    EXPECT_NE(pages.error().message.find(message), std::string::npos) << pages.error().message;
  }

  static void ExpectUnreadable(const std::string& path, const std::string& message) {
    const auto pages = ReadPageTrace(path, kLines);
    ASSERT_FALSE(pages);
    EXPECT_EQ(pages.error().code, ErrorCode::kIo);
    EXPECT_NE(pages.error().message.find(path), std::string::npos);
    EXPECT_NE(pages.error().message.find(message), std::string::npos) << pages.error().message;
  }

  static constexpr PageTraceOptions kLis = {.format = PageTraceFormat::kLis};
  static constexpr PageTraceOptions kBlocks = {.format = PageTraceFormat::kLis, .page_bytes = 512};
  static constexpr PageTraceOptions kLines = {.format = PageTraceFormat::kLines};
  static constexpr PageTraceOptions kBe32 = {.format = PageTraceFormat::kBe32};
  static constexpr PageTraceOptions kBe64 = {.format = PageTraceFormat::kBe64};
};

TEST_F(PageTraceTest, ARequestAsksOnceForEachPageItsBlocksLieIn) {
  EXPECT_EQ(Read("7 2 0 1\n16 8 0 2\n16 9 0 3\n", kLis), (Pages{0, 1, 2, 2, 3}));
  EXPECT_EQ(Read("7 2 0 1\n", kBlocks), (Pages{7, 8}));
  EXPECT_EQ(Read("3 2 0 1\n", {.block_bytes = 4096, .page_bytes = 1024}),
            (Pages{12, 13, 14, 15, 16, 17, 18, 19}));
  EXPECT_EQ(Read("1 2 0 1\n", {.block_bytes = 3, .page_bytes = 4}), (Pages{0, 1, 2}));
}

TEST_F(PageTraceTest, LinesAreSeparatedAsPeopleDo) {
  EXPECT_EQ(Read("1\n2\n3", kLines), (Pages{1, 2, 3}));
  EXPECT_EQ(Read("1\r\n 2 \n\t3\n", kLines), (Pages{1, 2, 3}));
  EXPECT_EQ(Read("18446744073709551615\n", kLines), (Pages{UINT64_MAX}));
}

TEST_F(PageTraceTest, NumbersAreBigEndian) {
  EXPECT_EQ(Read(std::string("\x01\x02\x03\x04\xff\xff\xff\xff", 8), kBe32),
            (Pages{0x01020304, 0xffffffff}));
  EXPECT_EQ(Read(std::string("\x80\0\0\0\0\0\0\x07", 8), kBe64), (Pages{0x8000'0000'0000'0007}));
}

// More than any buffer holds, so that lines and numbers lie across its end.
TEST_F(PageTraceTest, LongRecordingsAreReadHoweverTheyArePacked) {
  Pages expected;
  std::string text;
  std::string binary;
  for (uint64_t i = 0; i < 100'000; ++i) {
    const uint64_t page = i * 7919 % 1'000'003;
    expected.push_back(page);
    text += std::to_string(page) + "\n";
    for (int shift = 24; shift >= 0; shift -= 8) binary += static_cast<char>(page >> shift);
  }
  EXPECT_EQ(Read(text, kLines), expected);
  EXPECT_EQ(Read(binary, kBe32), expected);
  EXPECT_EQ(ReadPageTrace(WriteGzip("t.gz", text), kLines), expected);
  EXPECT_EQ(ReadPageTrace(Write("t.zst", Zstd(text)), kLines), expected);
  // Of two frames.
  const std::string half = text.substr(0, text.size() / 2);
  const std::string rest = text.substr(half.size());
  EXPECT_EQ(ReadPageTrace(Write("t.zst", Zstd(half) + Zstd(rest)), kLines), expected);
  EXPECT_EQ(ReadPageTrace(WriteGzip("b.gz", binary), kBe32), expected);
}

TEST_F(PageTraceTest, MalformedTextIsRefusedWithItsLine) {
  ExpectMalformed("", kLines, ", line 1: there is no request");
  ExpectMalformed("1\n\n2\n", kLines, ", line 2: the page is missing");
  ExpectMalformed("1\n2\n-3\n", kLines, ", line 3: the page is missing, not a number");
  ExpectMalformed("1\n2x\n", kLines, ", line 2: ");
  ExpectMalformed("1 2\n", kLines, ", line 1: there is more behind the page");
  ExpectMalformed("18446744073709551616\n", kLines, ", line 1: the page is missing");
  ExpectMalformed("1\n" + std::string(5000, '1') + "\n", kLines, ", line 2: a line is longer");
  ExpectMalformed("1\n" + std::string(200'000, '1'), kLines, ", line 2: a line is longer");
  ExpectMalformed("1 1 0 0\n1 1 0\n", kLis, ", line 2: the request's number is missing");
  ExpectMalformed("1 1 0 0 0\n", kLis, ", line 1: there is more behind the request's number");
  ExpectMalformed("x 1 0 0\n", kLis, ", line 1: the first block is missing");
  ExpectMalformed("1 0 0 0\n", kLis, ", line 1: a request for no block");
  ExpectMalformed("36028797018963967 1 0 0\n", kLis, "lie beyond 2^64 bytes");
  ExpectMalformed("1 18446744073709551615 0 0\n", kLis, "lie beyond 2^64 bytes");
  ExpectMalformed("1 1000000000000 0 0\n", kLis, "more than 16777216 pages");
}

TEST_F(PageTraceTest, TheLastByteOfAllIsInTheLastPage) {
  // Block 2^55 - 2 ends at 2^64 - 512.
  EXPECT_EQ(Read("36028797018963966 1 0 0\n", kLis), (Pages{(UINT64_MAX - 512) / 4096}));
}

TEST_F(PageTraceTest, MalformedNumbersAreRefusedWithTheirByte) {
  ExpectMalformed("", kBe32, ", byte 0: there is no request");
  ExpectMalformed("1234567", kBe32, ", byte 4: the file ends 3 bytes into a number of 4");
  ExpectMalformed("123456789", kBe64, ", byte 8: the file ends 1 bytes into a number of 8");
}

TEST_F(PageTraceTest, FilesThatCannotBeReadAreAnError) {
  ExpectUnreadable(testing::TempDir() + "/absent", "cannot be opened: No such file");
  ExpectUnreadable(testing::TempDir() + "/absent.gz", "cannot be opened: No such file");
  ExpectUnreadable(testing::TempDir() + "/absent.zst", "cannot be opened: No such file");
  ExpectUnreadable(testing::TempDir(), "cannot be read: Is a directory");
  ExpectUnreadable(Write("plain.gz", "1\n2\n"), "it is not a gzip file");
  ExpectUnreadable(Write("plain.zst", "1\n2\n"), "cannot be read: ");
  ExpectUnreadable(Write("empty.zst", ""), "in the middle of a zstd frame");
}

TEST_F(PageTraceTest, PackedFilesThatAreCutShortAreAnError) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += std::to_string(i * 7919 % 1'000'003) + "\n";
  const std::string gzip = ReadBytes(WriteGzip("whole.gz", text));
  ExpectUnreadable(Write("cut.gz", gzip.substr(0, gzip.size() / 2)), "cannot be read: ");
  const std::string zstd = Zstd(text);
  for (const size_t bytes : {zstd.size() / 2, zstd.size() - 1, size_t{3}}) {
    ExpectUnreadable(Write("cut.zst", zstd.substr(0, bytes)), "in the middle of a zstd frame");
  }
}

TEST_F(PageTraceTest, FormatsAreFoundByTheirNames) {
  for (const char* name : {"lis", "lines", "be32", "be64"}) {
    const auto format = PageTraceFormatOf(name);
    ASSERT_TRUE(format);
    EXPECT_STREQ(PageTraceFormatName(*format), name);
  }
  EXPECT_FALSE(PageTraceFormatOf("csv"));
}

}  // namespace
}  // namespace granary::bench
