#include "memory/system_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_resource.h"
#include "memory/system_calls.h"

namespace granary {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kGiB = size_t{1} << 30;

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// The process's resident set, as the kernel counts it.
size_t RssBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t size_pages = 0;
  size_t resident_pages = 0;
  statm >> size_pages >> resident_pages;
  return resident_pages * PageBytes();
}

SystemMemory Reserved(const SystemMemoryOptions& options) {
  Expected<SystemMemory> memory = SystemMemory::Reserve(options);
  EXPECT_TRUE(memory.has_value()) << (memory ? "" : memory.error().message);
  return memory ? std::move(*memory) : SystemMemory();
}

bool IsZero(const std::byte* p, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    if (p[i] != std::byte{0}) return false;
  }
  return true;
}

TEST(SystemMemoryTest, ReservingIsFreeOfMemory) {
#if defined(__SANITIZE_THREAD__)
  // It divides the address space, and what it leaves has a terabyte in one piece or has not.
  constexpr size_t kLargest = 64 * kGiB;
#else
  constexpr size_t kLargest = 1024 * kGiB;
#endif
  for (const size_t bytes : {64 * kGiB, kLargest}) {
    for (const CommitPolicy policy : {CommitPolicy::kOnTouch, CommitPolicy::kOnRequest}) {
      const size_t before = RssBytes();
      const SystemMemory memory = Reserved({.reserve_bytes = bytes, .commit = policy});
      ASSERT_NE(memory.data(), nullptr);
      EXPECT_EQ(memory.size_bytes(), bytes);
      EXPECT_EQ(memory.committed_bytes(), 0u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
      // A sanitizer keeps a shadow of what is mapped, and that does take memory.
      EXPECT_LT(RssBytes(), before + kMiB);
#else
      static_cast<void>(before);
#endif
    }
  }
  const SystemMemory memory = Reserved({.reserve_bytes = 64 * kGiB});
  EXPECT_EQ(*memory.ResidentBytes(), 0u);
}

TEST(SystemMemoryTest, TouchBringsAPageOnTheFirstWrite) {
  const SystemMemory memory = Reserved({.reserve_bytes = kGiB});
  memory.data()[0] = std::byte{1};
  memory.data()[kGiB - 1] = std::byte{2};
  EXPECT_EQ(*memory.ResidentBytes(), 2 * PageBytes());
  EXPECT_EQ(memory.committed_bytes(), 0u);
}

TEST(SystemMemoryTest, CommitBringsEveryPage) {
  for (const CommitPolicy policy : {CommitPolicy::kOnTouch, CommitPolicy::kOnRequest}) {
    SystemMemory memory = Reserved({.reserve_bytes = kGiB, .commit = policy});
    const size_t before = RssBytes();
    ASSERT_TRUE(memory.Commit(kMiB, 16 * kMiB));
    EXPECT_EQ(memory.committed_bytes(), 16 * kMiB);
    EXPECT_EQ(*memory.ResidentBytes(), 16 * kMiB);
    EXPECT_EQ(*memory.ResidentBytes(kMiB, 16 * kMiB), 16 * kMiB);
    EXPECT_GE(RssBytes(), before + 15 * kMiB);
    EXPECT_TRUE(IsZero(memory.data() + kMiB, 16 * kMiB));
    std::memset(memory.data() + kMiB, 0x5a, 16 * kMiB);
  }
}

TEST(SystemMemoryTest, CommitRoundsItsEndUpToAPage) {
  SystemMemory memory = Reserved({.reserve_bytes = kMiB, .commit = CommitPolicy::kOnRequest});
  ASSERT_TRUE(memory.Commit(0, 1));
  EXPECT_EQ(memory.committed_bytes(), memory.page_bytes());
  ASSERT_TRUE(memory.Commit(memory.page_bytes(), memory.page_bytes() + 1));
  EXPECT_EQ(memory.committed_bytes(), 3 * memory.page_bytes());
}

TEST(SystemMemoryTest, CommittingTwiceCountsOnceAndKeepsTheContent) {
  SystemMemory memory = Reserved({.reserve_bytes = kMiB, .commit = CommitPolicy::kOnRequest});
  const size_t page = memory.page_bytes();
  ASSERT_TRUE(memory.Commit(page, page));
  ASSERT_TRUE(memory.Commit(3 * page, page));
  memory.data()[page] = std::byte{7};
  memory.data()[3 * page] = std::byte{8};
  ASSERT_TRUE(memory.Commit(0, 6 * page));
  EXPECT_EQ(memory.committed_bytes(), 6 * page);
  EXPECT_EQ(memory.data()[page], std::byte{7});
  EXPECT_EQ(memory.data()[3 * page], std::byte{8});
  const uint64_t calls = memory.Report().system_calls;
  ASSERT_TRUE(memory.Commit(0, 6 * page));
  // The report that follows reads one file, which is three calls; the commit made none.
  EXPECT_EQ(memory.Report().system_calls, calls + 3);
}

TEST(SystemMemoryTest, DecommitGivesThePagesBackAndLeavesZeros) {
  for (const CommitPolicy policy : {CommitPolicy::kOnTouch, CommitPolicy::kOnRequest}) {
    SystemMemory memory = Reserved({.reserve_bytes = 64 * kMiB, .commit = policy});
    ASSERT_TRUE(memory.Commit(0, 64 * kMiB));
    std::memset(memory.data(), 0xab, 64 * kMiB);
    const size_t before = RssBytes();
    EXPECT_EQ(memory.Decommit(kMiB, 62 * kMiB).value(), 62 * kMiB);
    EXPECT_EQ(memory.committed_bytes(), 2 * kMiB);
    EXPECT_EQ(*memory.ResidentBytes(), 2 * kMiB);
    EXPECT_LT(RssBytes(), before - 60 * kMiB);
    EXPECT_TRUE(IsZero(memory.data() + kMiB, 62 * kMiB));
    EXPECT_EQ(memory.data()[kMiB - 1], std::byte{0xab});
    EXPECT_EQ(memory.data()[63 * kMiB], std::byte{0xab});
    ASSERT_TRUE(memory.Commit(0, 64 * kMiB));
    EXPECT_EQ(memory.committed_bytes(), 64 * kMiB);
  }
}

TEST(SystemMemoryTest, DecommitRoundsInward) {
  SystemMemory memory = Reserved({.reserve_bytes = kMiB});
  const size_t page = memory.page_bytes();
  ASSERT_TRUE(memory.Commit(0, 4 * page));
  std::memset(memory.data(), 1, 4 * page);
  EXPECT_EQ(memory.Decommit(1, 3 * page - 2).value(), page);
  EXPECT_EQ(memory.data()[page - 1], std::byte{1});
  EXPECT_TRUE(IsZero(memory.data() + page, page));
  EXPECT_EQ(memory.data()[2 * page], std::byte{1});
  EXPECT_EQ(memory.committed_bytes(), 3 * page);
  EXPECT_EQ(memory.Decommit(1, page - 1).value(), 0u);
  EXPECT_EQ(memory.Decommit(page - 1, 2).value(), 0u);
  EXPECT_EQ(memory.Decommit(0, 0).value(), 0u);
  EXPECT_EQ(memory.data()[0], std::byte{1});
}

TEST(SystemMemoryTest, TheBaseIsAlignedAsAsked) {
  for (size_t alignment = PageBytes(); alignment <= 4 * kGiB; alignment *= 2) {
    SystemMemory memory = Reserved({.reserve_bytes = 3 * PageBytes(),
                                    .alignment = alignment,
                                    .guard_before_bytes = 1,
                                    .guard_behind_bytes = PageBytes() + 1});
    ASSERT_NE(memory.data(), nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % alignment, 0u);
    const SystemMemoryReport report = memory.Report();
    EXPECT_GE(report.base_alignment_bytes, alignment);
    EXPECT_EQ(report.guard_before_bytes, PageBytes());
    EXPECT_EQ(report.guard_behind_bytes, 2 * PageBytes());
    std::memset(memory.data(), 1, memory.size_bytes());
  }
}

TEST(SystemMemoryTest, TheSizeIsRoundedUpToPages) {
  const SystemMemory memory = Reserved({.reserve_bytes = 1});
  EXPECT_EQ(memory.size_bytes(), PageBytes());
  EXPECT_EQ(memory.page_bytes(), PageBytes());
}

using SystemMemoryDeathTest = testing::Test;

void WriteAt(const SystemMemory& memory, ptrdiff_t at) {
  *static_cast<volatile std::byte*>(memory.data() + at) = std::byte{1};
}

TEST(SystemMemoryDeathTest, AccessBesideTheRangeDiesInAGuard) {
  for (const CommitPolicy policy : {CommitPolicy::kOnTouch, CommitPolicy::kOnRequest}) {
    SystemMemory memory = Reserved({.reserve_bytes = kMiB,
                                    .commit = policy,
                                    .guard_before_bytes = PageBytes(),
                                    .guard_behind_bytes = PageBytes()});
    ASSERT_TRUE(memory.Commit(0, kMiB));
    WriteAt(memory, 0);
    WriteAt(memory, ptrdiff_t{kMiB} - 1);
    EXPECT_DEATH(WriteAt(memory, -1), "");
    EXPECT_DEATH(WriteAt(memory, -static_cast<ptrdiff_t>(PageBytes())), "");
    EXPECT_DEATH(WriteAt(memory, ptrdiff_t{kMiB}), "");
    EXPECT_DEATH(WriteAt(memory, static_cast<ptrdiff_t>(kMiB + PageBytes()) - 1), "");
  }
}

TEST(SystemMemoryDeathTest, UncommittedMemoryIsOutOfBoundsOnRequest) {
  SystemMemory memory = Reserved({.reserve_bytes = kMiB, .commit = CommitPolicy::kOnRequest});
  ASSERT_TRUE(memory.Commit(0, PageBytes()));
  WriteAt(memory, 0);
  EXPECT_DEATH(WriteAt(memory, static_cast<ptrdiff_t>(PageBytes())), "");
}

TEST(SystemMemoryTest, AdvisedHugePagesAreAlignedAndReported) {
  SystemMemory memory = Reserved({.reserve_bytes = 8 * kMiB, .huge_pages = HugePages::kAdvise});
  const SystemMemoryReport report = memory.Report();
  EXPECT_GE(report.base_alignment_bytes, SystemMemory::kHugePageBytes);
  EXPECT_EQ(report.page_bytes, PageBytes());
  if (report.transparent_huge_pages == TransparentHugePages::kNever) {
    EXPECT_EQ(report.huge_pages, HugePages::kNever);
    return;
  }
  if (report.huge_pages != HugePages::kAdvise) GTEST_SKIP() << "this kernel has no huge pages";
  // One touch brings a whole huge page, unless memory is too fragmented to have one.
  memory.data()[0] = std::byte{1};
  const size_t resident = *memory.ResidentBytes();
  EXPECT_TRUE(resident == SystemMemory::kHugePageBytes || resident == PageBytes()) << resident;
  // Without the advice one touch brings one page whatever the system's mode is.
  const SystemMemory small =
      Reserved({.reserve_bytes = 8 * kMiB, .alignment = SystemMemory::kHugePageBytes});
  small.data()[0] = std::byte{1};
  EXPECT_EQ(*small.ResidentBytes(), PageBytes());
  EXPECT_EQ(small.Report().huge_pages, HugePages::kNever);
}

TEST(SystemMemoryTest, RequiredHugePagesAreHadOrExplained) {
  for (const size_t guard_bytes : {size_t{0}, PageBytes()}) {
    Expected<SystemMemory> memory = SystemMemory::Reserve({.reserve_bytes = kMiB,
                                                           .huge_pages = HugePages::kRequire,
                                                           .guard_before_bytes = guard_bytes,
                                                           .guard_behind_bytes = guard_bytes});
    if (!memory) {
      EXPECT_TRUE(memory.error().code == ErrorCode::kUnsupported ||
                  memory.error().code == ErrorCode::kOutOfMemory);
      EXPECT_NE(memory.error().message.find("huge pages are required"), std::string::npos);
      EXPECT_STREQ(memory.error().where, "SystemMemory::Reserve");
      continue;
    }
    EXPECT_EQ(memory->size_bytes(), SystemMemory::kHugePageBytes);
    EXPECT_EQ(memory->page_bytes(), SystemMemory::kHugePageBytes);
    EXPECT_EQ(memory->Report().huge_pages, HugePages::kRequire);
    ASSERT_TRUE(memory->Commit(0, 1));
    EXPECT_EQ(memory->committed_bytes(), SystemMemory::kHugePageBytes);
    std::memset(memory->data(), 1, memory->size_bytes());
    EXPECT_EQ(memory->Decommit(0, SystemMemory::kHugePageBytes - 1).value(), 0u);
    EXPECT_EQ(memory->data()[0], std::byte{1});
    EXPECT_EQ(memory->Decommit(0, SystemMemory::kHugePageBytes).value(),
              SystemMemory::kHugePageBytes);
    EXPECT_EQ(memory->data()[0], std::byte{0});
  }
}

static_assert(!std::is_copy_constructible_v<SystemMemory>);
static_assert(!std::is_copy_assignable_v<SystemMemory>);
static_assert(std::is_nothrow_move_constructible_v<SystemMemory>);
static_assert(std::is_nothrow_move_assignable_v<SystemMemory>);

TEST(SystemMemoryTest, MovingHandsTheRangeOver) {
  SystemMemory first = Reserved({.reserve_bytes = kMiB, .commit = CommitPolicy::kOnRequest});
  ASSERT_TRUE(first.Commit(0, kMiB));
  std::byte* const base = first.data();
  base[0] = std::byte{9};
  SystemMemory second(std::move(first));
  EXPECT_EQ(second.data(), base);
  EXPECT_EQ(second.committed_bytes(), kMiB);
  EXPECT_EQ(first.data(), nullptr);
  EXPECT_EQ(first.size_bytes(), 0u);
  EXPECT_EQ(first.page_bytes(), 0u);
  EXPECT_EQ(first.committed_bytes(), 0u);
  EXPECT_EQ(first.Report().reserved_bytes, 0u);
  EXPECT_EQ(first.Commit(0, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(first.Decommit(0, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(first.ResidentBytes().error().code, ErrorCode::kInvalidArgument);

  SystemMemory third = Reserved({.reserve_bytes = 2 * kMiB});
  std::byte* const replaced = third.data();
  third = std::move(second);
  EXPECT_EQ(third.data(), base);
  EXPECT_EQ(third.data()[0], std::byte{9});
  EXPECT_EQ(second.data(), nullptr);
  // The range that was there before is no longer mapped.
  unsigned char resident = 0;
  EXPECT_EQ(mincore(replaced + kMiB, PageBytes(), &resident), -1);

  SystemMemory& alias = third;
  third = std::move(alias);
  EXPECT_EQ(third.data(), base);
  first = std::move(third);
  EXPECT_EQ(first.data()[0], std::byte{9});
}

TEST(SystemMemoryTest, ThreadsCommitAndDecommitTheirOwnRanges) {
  SystemMemory memory = Reserved({.reserve_bytes = 64 * kMiB, .commit = CommitPolicy::kOnRequest});
  constexpr size_t kThreads = 4;
  constexpr size_t kShare = 16 * kMiB;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&memory, t] {
      const uint64_t base = t * kShare;
      for (size_t round = 0; round < 50; ++round) {
        const uint64_t at = base + (round % 8) * kMiB;
        ASSERT_TRUE(memory.Commit(at, kMiB / 4));
        std::memset(memory.data() + at, static_cast<int>(t + 1), kMiB / 4);
        ASSERT_EQ(memory.Decommit(at, kMiB / 8).value(), kMiB / 8);
        ASSERT_EQ(memory.data()[at + kMiB / 8], static_cast<std::byte>(t + 1));
        ASSERT_LE(memory.Report().committed_bytes, 64 * kMiB);
      }
      ASSERT_TRUE(memory.Decommit(base, kShare));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(memory.committed_bytes(), 0u);
  EXPECT_EQ(*memory.ResidentBytes(), 0u);
}

TEST(SystemMemoryTest, ReportSaysWhatWasAskedOfTheKernel) {
  SystemMemory memory = Reserved({.reserve_bytes = kMiB, .commit = CommitPolicy::kOnRequest});
  // A mapping, the advice against huge pages, and the report's own file.
  EXPECT_EQ(memory.Report().system_calls, 5u);
  ASSERT_TRUE(memory.Commit(0, kMiB));
  EXPECT_EQ(memory.Report().system_calls, 10u);
  ASSERT_TRUE(memory.Decommit(0, kMiB));
  const SystemMemoryReport report = memory.Report();
  EXPECT_EQ(report.system_calls, 14u);
  EXPECT_EQ(report.reserved_bytes, kMiB);
  EXPECT_EQ(report.commit, CommitPolicy::kOnRequest);
  EXPECT_EQ(report.huge_pages, HugePages::kNever);
  EXPECT_EQ(report.guard_before_bytes, 0u);
  EXPECT_FALSE(report.commit_by_touch);
}

TEST(SystemMemoryTest, NamesAreForPeople) {
  EXPECT_STREQ(HugePagesName(HugePages::kAdvise), "advise");
  EXPECT_STREQ(HugePagesName(HugePages::kRequire), "require");
  EXPECT_STREQ(HugePagesName(HugePages::kNever), "never");
  EXPECT_STREQ(TransparentHugePagesName(TransparentHugePages::kMadvise), "madvise");
  EXPECT_STREQ(TransparentHugePagesName(TransparentHugePages::kUnknown), "unknown");
}

}  // namespace
}  // namespace granary
