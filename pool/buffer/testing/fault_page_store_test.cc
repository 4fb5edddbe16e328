#include "pool/buffer/testing/fault_page_store.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/random_seed.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/page_codec.h"
#include "pool/buffer/testing/page_buffers.h"
#include "pool/buffer/testing/page_store_conformance_test_suite.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 4096;

std::unique_ptr<MemoryPageStore> MakeInner() {
  return std::move(*MemoryPageStore::Create({.page_bytes = kPageBytes, .capacity_pages = 5000}));
}

INSTANTIATE_TEST_SUITE_P(Fault, PageStoreConformanceTest,
                         testing::Values(PageStoreTraits{
                             .name = "WithoutFaults",
                             .make = [](std::string*) -> std::unique_ptr<PageStore> {
                               return std::make_unique<FaultPageStore>(MakeInner());
                             },
                             .reopen = nullptr}),
                         PageStoreName);

class FaultPageStoreTest : public testing::Test {
 protected:
  // Pages 0 to 3 have version 1, durably.
  void SetUp() override { Make(RandomTestSeed()); }

  void Make(uint64_t seed) {
    inner_ = MakeInner();
    store_ = std::make_unique<FaultPageStore>(*inner_, FaultPageStoreOptions{.seed = seed});
    for (uint64_t page = 0; page < 4; ++page) ASSERT_EQ(Write(page, 1), 0);
    ASSERT_TRUE(store_->Sync());
  }

  int Write(uint64_t page, uint64_t version) {
    buffers_.Fill(0, page, version);
    PageWrite write{.page = page, .bytes = buffers_[0]};
    store_->Write({&write, 1});
    return write.error_number;
  }
  int Read(uint64_t page) {
    PageRead read{.page = page, .bytes = buffers_[0]};
    store_->Read({&read, 1});
    return read.error_number;
  }
  // What the store has: "1", a version; "1/2", sectors of both; "?" anything else; "-" none. `as`
  // is the page whose bytes these are to be.
  std::string Versions(uint64_t page, uint64_t as) {
    PageBuffers bytes(1, kPageBytes);
    PageRead read{.page = page, .bytes = bytes[0]};
    inner_->Read({&read, 1});
    if (read.error_number != 0) return "-";
    return VersionsIn(bytes[0], as);
  }
  std::string Versions(uint64_t page) { return Versions(page, page); }
  static std::string VersionsIn(const std::byte* bytes, uint64_t page) {
    std::set<uint64_t> seen;
    std::set<size_t> known;
    PageBuffers compared(1, kPageBytes);
    for (uint64_t version = 0; version < 5; ++version) {
      compared.Fill(0, page, version);
      for (size_t at = 0; at < kPageBytes; at += FaultPageStore::kSectorBytes) {
        if (std::memcmp(compared[0] + at, bytes + at, FaultPageStore::kSectorBytes) != 0) continue;
        seen.insert(version);
        known.insert(at);
      }
    }
    if (known.size() != kPageBytes / FaultPageStore::kSectorBytes) return "?";
    std::string text;
    for (const uint64_t version : seen) text += (text.empty() ? "" : "/") + std::to_string(version);
    return text;
  }

  PageBuffers buffers_{1, kPageBytes};
  std::unique_ptr<MemoryPageStore> inner_;
  std::unique_ptr<FaultPageStore> store_;
};

TEST_F(FaultPageStoreTest, TheNthPageThatIsReadMeetsItsFault) {
  store_->InjectNth(PageFault::kReadError, 2);
  store_->InjectNth(PageFault::kShortRead, 3);
  store_->InjectNth(PageFault::kReadBitFlip, 4);
  store_->InjectNth(PageFault::kMisdirectedRead, 5);
  EXPECT_EQ(Read(0), 0);
  EXPECT_EQ(Read(1), EIO);
  EXPECT_EQ(VersionsIn(buffers_[0], 1), "?");
  EXPECT_EQ(Read(2), EIO);
  EXPECT_EQ(VersionsIn(buffers_[0], 2), "?");
  EXPECT_EQ(Read(3), 0);
  PageBuffers expected(1, kPageBytes);
  expected.Fill(0, 3, 1);
  int flipped = 0;
  for (size_t at = 0; at < kPageBytes; ++at) {
    flipped += std::popcount(std::to_integer<unsigned>(buffers_[0][at] ^ expected[0][at]));
  }
  EXPECT_EQ(flipped, 1);
  EXPECT_EQ(Read(0), 0);
  const std::vector<InjectedFault> log = store_->log();
  ASSERT_EQ(log.size(), 4u);
  EXPECT_EQ(log[0], (InjectedFault{.fault = PageFault::kReadError, .page = 1}));
  EXPECT_EQ(log[3].fault, PageFault::kMisdirectedRead);
  EXPECT_EQ(log[3].page, 0u);
  EXPECT_NE(log[3].other_page, 0u);
  EXPECT_EQ(VersionsIn(buffers_[0], log[3].other_page), "1");
  for (uint64_t page = 0; page < 4; ++page) EXPECT_EQ(Versions(page), "1");
  EXPECT_TRUE(store_->damaged().empty());
  EXPECT_EQ(Read(0), 0);
  EXPECT_EQ(VersionsIn(buffers_[0], 0), "1");
}

TEST_F(FaultPageStoreTest, TheNthPageThatIsWrittenMeetsItsFault) {
  store_->InjectNth(PageFault::kWriteError, 1);
  store_->InjectNth(PageFault::kShortWrite, 2);
  store_->InjectNth(PageFault::kTornWrite, 3);
  store_->InjectNth(PageFault::kLostWrite, 4);
  EXPECT_EQ(Write(0, 2), EIO);
  EXPECT_EQ(Versions(0), "1");
  EXPECT_EQ(Write(1, 2), EIO);
  EXPECT_EQ(Versions(1), "1/2");
  EXPECT_EQ(Write(2, 2), 0);
  EXPECT_EQ(Versions(2), "1/2");
  EXPECT_EQ(Write(3, 2), 0);
  EXPECT_EQ(Versions(3), "1");
  EXPECT_EQ(store_->damaged(), (std::map<uint64_t, PageFault>{{1, PageFault::kShortWrite},
                                                              {2, PageFault::kTornWrite},
                                                              {3, PageFault::kLostWrite}}));
  for (uint64_t page = 0; page < 4; ++page) {
    EXPECT_EQ(Write(page, 3), 0);
    EXPECT_EQ(Versions(page), "3");
  }
  EXPECT_TRUE(store_->damaged().empty());
  EXPECT_EQ(store_->injected(PageFault::kTornWrite), 1u);
  EXPECT_EQ(store_->log().size(), 4u);
}

TEST_F(FaultPageStoreTest, AMisdirectedWriteHurtsTwoPages) {
  store_->InjectNth(PageFault::kMisdirectedWrite, 1);
  EXPECT_EQ(Write(2, 2), 0);
  const uint64_t other = store_->log()[0].other_page;
  EXPECT_NE(other, 2u);
  EXPECT_EQ(Versions(2), "1");
  EXPECT_EQ(Versions(other, /*as=*/2), "2");
  EXPECT_EQ(store_->damaged(),
            (std::map<uint64_t, PageFault>{{2, PageFault::kMisdirectedWrite},
                                           {other, PageFault::kMisdirectedWrite}}));
}

TEST_F(FaultPageStoreTest, NewPagesAreThereAlsoIfTheirWriteIsLost) {
  store_->InjectNth(PageFault::kLostWrite, 1);
  store_->InjectNth(PageFault::kTornWrite, 2);
  EXPECT_EQ(Write(6, 2), 0);
  EXPECT_EQ(store_->PageCount(), 7u);
  EXPECT_EQ(Versions(6), "0");
  EXPECT_EQ(Write(7, 2), 0);
  EXPECT_EQ(Versions(7), "0/2");
}

TEST_F(FaultPageStoreTest, DelayedWritesAreDoneAtTheNextSync) {
  store_->InjectNth(PageFault::kDelayedWrite, 1);
  store_->InjectNth(PageFault::kDelayedWrite, 2);
  EXPECT_EQ(Write(1, 2), 0);
  EXPECT_EQ(Write(2, 2), 0);
  EXPECT_EQ(Versions(1), "1");
  EXPECT_EQ(store_->damaged().size(), 2u);
  EXPECT_EQ(Write(2, 3), 0);
  EXPECT_EQ(Versions(2), "3");
  ASSERT_TRUE(store_->Sync());
  EXPECT_EQ(Versions(1), "2");
  EXPECT_EQ(Versions(2), "3") << "what was written later stays";
  EXPECT_TRUE(store_->damaged().empty());
  EXPECT_EQ(store_->unsynced_changes(), 0u);
}

TEST_F(FaultPageStoreTest, DelayedWritesAreDoneAfterSomeCalls) {
  store_->DelayFor(3);
  store_->InjectNth(PageFault::kDelayedWrite, 1);
  EXPECT_EQ(Write(1, 2), 0);
  EXPECT_EQ(Read(1), 0);
  EXPECT_EQ(VersionsIn(buffers_[0], 1), "1");
  EXPECT_EQ(Read(1), 0);
  EXPECT_EQ(VersionsIn(buffers_[0], 1), "1");
  EXPECT_EQ(Read(1), 0);
  EXPECT_EQ(VersionsIn(buffers_[0], 1), "2");
}

TEST_F(FaultPageStoreTest, AFailedSyncIsForEver) {
  store_->InjectNth(PageFault::kSyncError, 2);
  EXPECT_TRUE(store_->Sync());
  EXPECT_EQ(store_->Sync().error().system_errno, EIO);
  EXPECT_NE(store_->Sync().error().message.find("an earlier sync failed"), std::string::npos);
  EXPECT_EQ(store_->injected(PageFault::kSyncError), 1u);
  store_->CutPower();
  EXPECT_TRUE(store_->Reboot());
  EXPECT_TRUE(store_->Sync());
}

TEST_F(FaultPageStoreTest, WhatWouldChangeNothingIsNotInjected) {
  for (const PageFault fault : {PageFault::kTornWrite, PageFault::kLostWrite,
                                PageFault::kMisdirectedWrite, PageFault::kDelayedWrite}) {
    store_->InjectNth(fault, 1);
    EXPECT_EQ(Write(0, 1), 0);
  }
  EXPECT_TRUE(store_->log().empty());
  EXPECT_TRUE(store_->damaged().empty());
}

TEST_F(FaultPageStoreTest, TheSameSeedMeetsTheSameFaults) {
  std::vector<InjectedFault> logs[2];
  for (auto& log : logs) {
    Make(4711);
    for (size_t i = 0; i <= static_cast<size_t>(PageFault::kDelayedWrite); ++i) {
      store_->InjectRandomly(static_cast<PageFault>(i), 0.05);
    }
    for (uint64_t step = 0; step < 500; ++step) {
      static_cast<void>(Write(step * 7 % 20, step));
      static_cast<void>(Read(step * 3 % 20));
    }
    log = store_->log();
  }
  EXPECT_GT(logs[0].size(), 200u);
  EXPECT_EQ(logs[0], logs[1]);
  store_->InjectNothing();
  const size_t so_far = store_->log().size();
  for (uint64_t step = 0; step < 100; ++step) EXPECT_EQ(Write(step % 20, step), 0);
  EXPECT_EQ(store_->log().size(), so_far);
}

TEST_F(FaultPageStoreTest, APowerCutLeavesEachUnsyncedWriteOrNotOrTearsIt) {
  std::set<std::string> seen;
  std::set<uint64_t> counts;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Make(seed);
    EXPECT_EQ(Write(1, 2), 0);
    EXPECT_EQ(Write(1, 3), 0);
    EXPECT_EQ(Write(5, 2), 0);
    ASSERT_TRUE(store_->Extend(9));
    EXPECT_EQ(store_->unsynced_changes(), 4u);
    store_->CutPower();
    EXPECT_TRUE(store_->is_down());
    EXPECT_EQ(Read(0), EIO);
    EXPECT_EQ(Write(0, 9), EIO);
    EXPECT_FALSE(store_->Sync());
    EXPECT_FALSE(store_->Extend(10));
    EXPECT_FALSE(store_->Truncate(0));
    ASSERT_TRUE(store_->Reboot());
    EXPECT_EQ(Read(0), 0);
    for (const uint64_t page : {0u, 2u, 3u}) EXPECT_EQ(Versions(page), "1");
    seen.insert(Versions(1));
    seen.insert("new " + Versions(5));
    counts.insert(store_->PageCount());
    EXPECT_EQ(store_->damaged().contains(1), Versions(1).size() > 1);
    EXPECT_EQ(store_->damaged().contains(5), Versions(5).size() > 1);
    EXPECT_EQ(store_->unsynced_changes(), 0u);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"1", "2", "3", "1/2", "1/3", "2/3", "1/2/3", "new -",
                                         "new 0", "new 2", "new 0/2"}));
  EXPECT_EQ(counts, (std::set<uint64_t>{4, 6, 9}));
}

TEST_F(FaultPageStoreTest, APowerCutMayTakeATruncationBack) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Make(seed);
    ASSERT_TRUE(store_->Truncate(1));
    EXPECT_EQ(Write(2, 2), 0);
    store_->CutPower();
    ASSERT_TRUE(store_->Reboot());
    seen.insert(Versions(1) + " " + Versions(2) + " " + Versions(3));
    EXPECT_EQ(Versions(0), "1");
  }
  EXPECT_EQ(seen,
            (std::set<std::string>{"1 1 1", "1 2 1", "1 1/2 1", "- - -", "0 2 -", "0 0/2 -"}));
}

TEST_F(FaultPageStoreTest, ThePowerGoesInEachChange) {
  const auto use = [this] {
    size_t done = 0;
    done += Write(1, 2) == 0;
    done += Write(4, 2) == 0;
    done += store_->Sync().has_value();
    done += store_->Extend(8).has_value();
    done += Write(1, 3) == 0;
    done += store_->Truncate(6).has_value();
    done += store_->Sync().has_value();
    return done;
  };
  for (uint64_t nth = 1; nth <= 8; ++nth) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Make(seed);
      store_->CutPowerAt(nth);
      EXPECT_EQ(use(), nth - 1);
      EXPECT_EQ(store_->is_down(), nth <= 7);
      ASSERT_TRUE(store_->Reboot());
      EXPECT_EQ(Versions(0), "1");
      EXPECT_TRUE(nth <= 3 || Versions(4) == "2");
      EXPECT_TRUE(nth <= 7 || Versions(1) + Versions(6) == "3-");
    }
  }
}

// A run of everything at once. Whatever is read is right, or found to be wrong by the codec, or of
// an older place in the log than the last write; and what is wrong is what the store says is.
TEST_F(FaultPageStoreTest, ChecksumsAndPlacesInTheLogFindAllDamage) {
  constexpr uint64_t kPages = 40;
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  Make(seed);
  const ChecksumPageCodec codec;
  for (const PageFault fault :
       {PageFault::kReadBitFlip, PageFault::kMisdirectedRead, PageFault::kShortWrite,
        PageFault::kTornWrite, PageFault::kMisdirectedWrite, PageFault::kLostWrite,
        PageFault::kDelayedWrite}) {
    store_->InjectRandomly(fault, 0.02);
  }
  std::vector<Lsn> written(kPages);
  ASSERT_TRUE(store_->Truncate(0));
  ASSERT_TRUE(store_->Extend(kPages));
  size_t found = 0;
  for (Lsn lsn = 1; lsn <= 10000; ++lsn) {
    const uint64_t page = random() % kPages;
    const PageId id = {.file = 1, .page = page};
    if (random() % 2 == 0) {
      buffers_.Fill(0, page, lsn);
      codec.Seal(buffers_.page(0), id, lsn);
      PageWrite write{.page = page, .bytes = buffers_[0]};
      store_->Write({&write, 1});
      if (write.error_number == 0) written[page] = lsn;
      continue;
    }
    const size_t faults = store_->log().size();
    ASSERT_EQ(Read(page), 0);
    const bool is_damaged = store_->log().size() != faults || store_->damaged().contains(page);
    const PageVerdict verdict = codec.Verify(buffers_.page(0), id);
    const bool is_found =
        verdict == PageVerdict::kNeverWritten
            ? written[page] != 0
            : verdict != PageVerdict::kOk || codec.LsnOf(buffers_.page(0)) != written[page];
    ASSERT_TRUE(is_found || !is_damaged) << "step " << lsn << ", page " << page;
    ASSERT_TRUE(is_damaged || !is_found)
        << "step " << lsn << ": " << codec.Describe(buffers_.page(0), id);
    found += is_found;
  }
  EXPECT_GT(found, 300u);
}

}  // namespace
}  // namespace granary
