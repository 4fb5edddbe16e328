#include "pool/buffer/page_codec.h"

#include <bit>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/crc32c.h"
#include "memory/little_endian.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

using Page = std::vector<std::byte>;

constexpr PageId kId = {.file = 3, .page = 0x123456789A};
constexpr size_t kSectorBytes = 512;

Page RandomPage(std::mt19937_64& random, size_t bytes) {
  Page page(bytes);
  for (std::byte& byte : page) byte = static_cast<std::byte>(random());
  return page;
}

Page Sealed(Page page, Lsn lsn, PageId id = kId) {
  ChecksumPageCodec().Seal(page, id, lsn);
  return page;
}

TEST(ChecksumPageCodecTest, WhatWasSealedIsOk) {
  std::mt19937_64 random(1);
  const ChecksumPageCodec codec;
  for (size_t bytes = 512; bytes <= size_t{1} << 20; bytes *= 2) {
    const Page page = RandomPage(random, bytes);
    const Page sealed = Sealed(page, 77);
    EXPECT_EQ(codec.Verify(sealed, kId), PageVerdict::kOk);
    EXPECT_EQ(codec.LsnOf(sealed), 77u);
    EXPECT_EQ(std::memcmp(page.data() + 32, sealed.data() + 32, bytes - 32), 0);
    EXPECT_EQ(Sealed(sealed, 77), sealed);
    EXPECT_EQ(codec.Verify(Sealed(Page(bytes), 0, {}), {}), PageVerdict::kOk) << "zeros, sealed";
  }
}

TEST(ChecksumPageCodecTest, TheHeaderIsAsItIsWrittenDown) {
  std::mt19937_64 random(1);
  const Page page = Sealed(RandomPage(random, 4096), 0x1122334455667788);
  const unsigned char expected[] = {1,    0,    0,    0,    3,    0,    0,    0,   0, 0,
                                    0,    0,    0x9A, 0x78, 0x56, 0x34, 0x12, 0,   0, 0,
                                    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
  EXPECT_EQ(std::memcmp(page.data() + 4, expected, sizeof(expected)), 0);
  EXPECT_EQ(GetFixed<uint32_t>(page.data()), Crc32c(std::span(page).subspan(4)));
  const PageHeader header = PageHeader::Of(page);
  EXPECT_EQ(header.version, 1);
  EXPECT_EQ(header.flags, 0);
  EXPECT_EQ(header.id, kId);
  EXPECT_EQ(header.lsn, 0x1122334455667788u);
  EXPECT_EQ(header.checksum, GetFixed<uint32_t>(page.data()));
  EXPECT_EQ(ChecksumPageCodec().header_bytes(), 32u);
}

TEST(ChecksumPageCodecTest, APageOfZerosWasNeverWritten) {
  const ChecksumPageCodec codec;
  for (size_t bytes = 512; bytes <= size_t{1} << 20; bytes *= 2) {
    Page page(bytes);
    EXPECT_EQ(codec.Verify(page, kId), PageVerdict::kNeverWritten);
    for (const size_t at : {size_t{0}, size_t{31}, bytes / 2, bytes - 1}) {
      page[at] = std::byte{1};
      EXPECT_EQ(codec.Verify(page, kId), PageVerdict::kTorn);
      page[at] = std::byte{0};
    }
  }
}

TEST(ChecksumPageCodecTest, FindsEachFlipOfABit) {
  std::mt19937_64 random(1);
  const ChecksumPageCodec codec;
  for (const size_t bytes : {512u, 4096u}) {
    for (Page page : {Sealed(RandomPage(random, bytes), 5), Sealed(Page(bytes), 0, {})}) {
      const PageId id = PageHeader::Of(page).id;
      for (size_t bit = 0; bit < bytes * 8; ++bit) {
        page[bit / 8] ^= std::byte{1} << (bit % 8);
        ASSERT_EQ(codec.Verify(page, id), PageVerdict::kTorn) << "bit " << bit;
        page[bit / 8] ^= std::byte{1} << (bit % 8);
      }
      ASSERT_EQ(codec.Verify(page, id), PageVerdict::kOk);
    }
  }
}

// `old` with the sectors of `mask` from `next`.
Page Torn(const Page& old, const Page& next, uint64_t mask) {
  Page torn = old;
  for (size_t sector = 0; sector < old.size() / kSectorBytes; ++sector) {
    if ((mask >> sector & 1) == 0) continue;
    std::memcpy(torn.data() + sector * kSectorBytes, next.data() + sector * kSectorBytes,
                kSectorBytes);
  }
  return torn;
}

TEST(ChecksumPageCodecTest, FindsEachTearBetweenTwoVersions) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const ChecksumPageCodec codec;
  size_t tears = 0;
  for (int i = 0; i < 60; ++i) {
    const size_t bytes = size_t{1024} << i % 5;
    const Page old = Sealed(RandomPage(random, bytes), 5);
    // The next version differs in all bytes, in one, or in its place in the log alone.
    Page next = i % 3 == 0 ? RandomPage(random, bytes) : old;
    if (i % 3 == 1) next[32 + random() % (bytes - 32)] ^= std::byte{16};
    next = Sealed(next, 6);
    const size_t sectors = bytes / kSectorBytes;
    // Also a page that was new: the old version is zeros.
    for (const Page& before : {old, Page(bytes)}) {
      for (size_t n = 0; n < 256; ++n) {
        const uint64_t mask = sectors <= 8 ? n : random();
        const Page torn = Torn(before, next, mask);
        if (torn == before || torn == next) continue;
        ASSERT_EQ(codec.Verify(torn, kId), PageVerdict::kTorn) << "sectors " << mask;
        ++tears;
      }
    }
  }
  EXPECT_GT(tears, 10000u);
}

TEST(ChecksumPageCodecTest, APageAtAnothersPlaceIsTheWrongOne) {
  const ChecksumPageCodec codec;
  const Page page = Sealed(Page(4096, std::byte{9}), 5);
  EXPECT_EQ(codec.Verify(page, {.file = 3, .page = kId.page + 1}), PageVerdict::kWrongPage);
  EXPECT_EQ(codec.Verify(page, {.file = 4, .page = kId.page}), PageVerdict::kWrongPage);
  EXPECT_EQ(codec.Verify(page, {.file = 3, .page = kId.page | uint64_t{1} << 63}),
            PageVerdict::kWrongPage);
}

TEST(ChecksumPageCodecTest, ALaterFormatIsNotTakenForThisOne) {
  for (const size_t at : {PageHeader::kVersionOffset, PageHeader::kFlagsOffset}) {
    Page page = Sealed(Page(4096, std::byte{9}), 5);
    page[at] = std::byte{2};
    PutFixed(page.data(), Crc32c(std::span(page).subspan(4)));
    EXPECT_EQ(ChecksumPageCodec().Verify(page, kId), PageVerdict::kTorn);
  }
}

TEST(ChecksumPageCodecTest, MessagesSayWhatThePageSaysOfItself) {
  const ChecksumPageCodec codec;
  Page page = Sealed(Page(4096), 12, {.file = 1, .page = 9});
  EXPECT_EQ(codec.Describe(page, {.file = 1, .page = 7}).substr(0, 92),
            "page 7 of file 1: wrong page; its header says page 9 of file 1, log 12, version 1, "
            "checksum ");
  page[100] = std::byte{1};
  EXPECT_NE(codec.Describe(page, {.file = 1, .page = 9}).find(", and its bytes have "),
            std::string::npos);
  EXPECT_EQ(codec.Describe(Page(4096), {.file = 1, .page = 9}), "page 9 of file 1: never written");
  EXPECT_STREQ(PageVerdictName(PageVerdict::kTorn), "torn");
}

TEST(PlainPageCodecTest, LeavesThePageAlone) {
  const PlainPageCodec codec;
  Page page(512, std::byte{7});
  codec.Seal(page, kId, 5);
  EXPECT_EQ(page, Page(512, std::byte{7}));
  EXPECT_EQ(codec.header_bytes(), 0u);
  EXPECT_EQ(codec.Verify(page, kId), PageVerdict::kOk);
  EXPECT_EQ(codec.Verify(Page(512), kId), PageVerdict::kOk);
  EXPECT_EQ(codec.LsnOf(page), 0u);
  EXPECT_EQ(codec.Describe(page, {.file = 1, .page = 2}), "page 2 of file 1: ok");
}

}  // namespace
}  // namespace granary
