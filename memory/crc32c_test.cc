#include "memory/crc32c.h"

#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace granary {
namespace {

std::span<const std::byte> AsBytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// RFC 3720, B.4, and the check value of the catalogue of CRC algorithms.
TEST(Crc32cTest, IsTheStandardOne) {
  EXPECT_EQ(Crc32c({}), 0U);
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xE3069283U);
  EXPECT_EQ(Crc32c(AsBytes(std::string(32, '\0'))), 0x8A9136AAU);
  EXPECT_EQ(Crc32c(AsBytes(std::string(32, '\xff'))), 0x62A8AB43U);
}

// Bit by bit, as the definition has it.
uint32_t Slow(std::span<const std::byte> bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
  }
  return ~crc;
}

TEST(Crc32cTest, EveryLengthAndAlignmentAndCut) {
  std::string text;
  for (int i = 0; i < 600; ++i) text.push_back(static_cast<char>(i * 7 + i / 256));
  const auto bytes = AsBytes(text);
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t length = 0; begin + length <= bytes.size(); length += 1 + length / 16) {
      const auto part = bytes.subspan(begin, length);
      ASSERT_EQ(Crc32c(part), Slow(part)) << begin << " " << length;
      ASSERT_EQ(Crc32c(part.subspan(length / 3), Crc32c(part.first(length / 3))), Slow(part));
    }
  }
}

}  // namespace
}  // namespace granary
