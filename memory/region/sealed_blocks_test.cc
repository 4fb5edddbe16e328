#include "memory/region/sealed_blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "memory/little_endian.h"
#include "memory/region/varint.h"
#include "memory/testing/random_seed.h"

namespace granary::region {
namespace {

std::vector<std::byte> Payload(size_t bytes) {
  std::vector<std::byte> payload(bytes);
  for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<std::byte>(i * 7 + i / 256);
  return payload;
}

TEST(SealedBlocksTest, ComeBackWhateverTheirNumber) {
  for (const size_t bytes : {size_t{1}, size_t{4091}, size_t{4092}, size_t{4093}, size_t{8184},
                             size_t{8185}, size_t{20000}}) {
    const auto payload = Payload(bytes);
    const auto sealed = Seal(payload);
    EXPECT_EQ(sealed.size(), SealedBytes(bytes));
    const auto unsealed = Unseal(sealed);
    ASSERT_TRUE(unsealed) << unsealed.error().message;
    ASSERT_EQ(unsealed->bytes, bytes);
    for (size_t i = 0; i < bytes; ++i) {
      ASSERT_EQ(unsealed->payload[i], payload[i]);
      ASSERT_EQ(sealed[SealedOffset(i)], payload[i]);
    }
  }
}

TEST(SealedBlocksTest, ChecksumOfAllDependsOnTheBytes) {
  auto payload = Payload(10000);
  const uint32_t before = Unseal(Seal(payload))->checksum;
  payload[5000] ^= std::byte{1};
  EXPECT_NE(Unseal(Seal(payload))->checksum, before);
}

TEST(SealedBlocksTest, BlocksInEachOthersPlacesAreFound) {
  auto sealed = Seal(Payload(10000));
  std::swap_ranges(sealed.begin(), sealed.begin() + kSealedBlockBytes,
                   sealed.begin() + kSealedBlockBytes);
  const auto unsealed = Unseal(sealed);
  ASSERT_FALSE(unsealed);
  EXPECT_EQ(unsealed.error().message, "the checksum of block 0, bytes 0 to 4092, does not agree");
}

TEST(SealedBlocksTest, EveryTruncationAndFlipIsFound) {
  const auto sealed = Seal(Payload(4300));
  for (size_t bytes = 0; bytes < sealed.size(); ++bytes) {
    ASSERT_FALSE(Unseal(std::span(sealed).first(bytes))) << bytes;
  }
  auto flipped = sealed;
  for (size_t bit = 0; bit < 8 * sealed.size(); bit += 3) {
    flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    ASSERT_FALSE(Unseal(flipped)) << bit;
    flipped[bit / 8] = sealed[bit / 8];
  }
}

TEST(VarintTest, EveryNumberComesBackInAsManyBytesAsItNeeds) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 200'000; ++i) {
    uint64_t number = random() >> random() % 64;
    if (i < 64) number = uint64_t{1} << i;
    if (i >= 64 && i < 128) number = (uint64_t{1} << (i - 64)) - 1;
    if (i == 128) number = UINT64_MAX;
    // What is behind a number means nothing.
    std::array<std::byte, 2 * kVarintBytesMax> bytes;
    bytes.fill(static_cast<std::byte>(random()));
    const std::byte* const end = PutVarint(bytes.data(), number);
    const auto width = std::max(1L, (static_cast<long>(std::bit_width(number)) + 6) / 7);
    ASSERT_EQ(end - bytes.data(), width) << number;
    uint64_t read = 0;
    ASSERT_EQ(GetVarint(bytes.data(), read), end) << number;
    ASSERT_EQ(read, number);
  }
}

TEST(VarintTest, LongerThanNeededIsNoNumber) {
  for (size_t length = 2; length <= 10; ++length) {
    std::array<std::byte, 2 * kVarintBytesMax> bytes = {};
    for (size_t i = 0; i + 1 < length; ++i) bytes[i] = std::byte{0x80 | 5};
    uint64_t number = 0;
    EXPECT_EQ(GetVarint(bytes.data(), number), nullptr) << length;
    bytes[length - 1] = std::byte{1};
    EXPECT_EQ(GetVarint(bytes.data(), number), bytes.data() + length);
  }
  std::array<std::byte, 2 * kVarintBytesMax> bytes;
  bytes.fill(std::byte{0xff});
  uint64_t number = 0;
  EXPECT_EQ(GetVarint(bytes.data(), number), nullptr) << "more than ten bytes";
  bytes[9] = std::byte{2};
  EXPECT_EQ(GetVarint(bytes.data(), number), nullptr) << "more than 64 bits";
}

TEST(LittleEndianTest, LowestByteIsFirst) {
  std::array<std::byte, 8> bytes = {};
  PutFixed(bytes.data(), uint64_t{0x0102030405060708});
  EXPECT_EQ(bytes[0], std::byte{8});
  EXPECT_EQ(bytes[7], std::byte{1});
  EXPECT_EQ(GetFixed<uint64_t>(bytes.data()), 0x0102030405060708U);
  EXPECT_EQ(GetFixed<uint32_t>(bytes.data()), 0x05060708U);
}

}  // namespace
}  // namespace granary::region
