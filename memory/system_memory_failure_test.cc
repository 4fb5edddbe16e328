// What SystemMemory does when the kernel, a limit or the caller is at fault.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/system_calls.h"
#include "memory/system_memory.h"
#include "memory/testing/failing_calls.h"

namespace granary {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kGiB = size_t{1} << 30;
constexpr int kPopulate = 23;  // MADV_POPULATE_WRITE.

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// The address space that the process has mapped, from /proc/self/maps.
size_t MappedBytes() {
  std::ifstream maps("/proc/self/maps");
  size_t total = 0;
  for (std::string line; std::getline(maps, line);) {
    uint64_t begin = 0;
    uint64_t end = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64, &begin, &end) == 2) total += end - begin;
  }
  return total;
}

bool Contains(const Error& error, std::string_view part) {
  return error.message.find(part) != std::string::npos;
}

ErrorCode CodeOf(const SystemMemoryOptions& options) {
  const Expected<SystemMemory> memory = SystemMemory::Reserve(options);
  EXPECT_FALSE(memory.has_value());
  if (memory) return ErrorCode::kIo;
  EXPECT_FALSE(memory.error().message.empty());
  EXPECT_STREQ(memory.error().where, "SystemMemory::Reserve");
  return memory.error().code;
}

TEST(SystemMemoryFailureTest, OptionsThatMakeNoSenseAreRefused) {
  const ErrorCode invalid = ErrorCode::kInvalidArgument;
  EXPECT_EQ(CodeOf({}), invalid);
  EXPECT_EQ(CodeOf({.reserve_bytes = kMiB, .alignment = 3 * PageBytes()}), invalid);
  EXPECT_EQ(CodeOf({.reserve_bytes = kMiB, .alignment = PageBytes() / 2}), invalid);
  EXPECT_EQ(CodeOf({.reserve_bytes = kMiB, .alignment = 1}), invalid);
  EXPECT_EQ(CodeOf({.reserve_bytes = SIZE_MAX}), invalid);
  EXPECT_EQ(CodeOf({.reserve_bytes = SIZE_MAX - PageBytes() + 1, .guard_before_bytes = 1}),
            invalid);
  EXPECT_EQ(CodeOf({.reserve_bytes = kMiB, .guard_behind_bytes = SIZE_MAX}), invalid);
  EXPECT_EQ(CodeOf({.reserve_bytes = kMiB, .guard_before_bytes = SIZE_MAX - 2 * kMiB}),
            ErrorCode::kOutOfMemory);
  EXPECT_EQ(
      CodeOf({.reserve_bytes = SIZE_MAX / 2 + 3 * PageBytes(), .alignment = SIZE_MAX / 2 + 1}),
      invalid);
}

TEST(SystemMemoryFailureTest, MoreThanTheAddressSpaceIsOutOfMemory) {
  const Expected<SystemMemory> memory = SystemMemory::Reserve({.reserve_bytes = size_t{1} << 50});
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(memory.error().system_errno, ENOMEM);
  EXPECT_TRUE(Contains(memory.error(), "1125899906842624 bytes (1.0 PiB)"))
      << memory.error().message;
  EXPECT_TRUE(Contains(memory.error(), "RLIMIT_AS")) << memory.error().message;
  EXPECT_TRUE(Contains(memory.error(), "vm.overcommit_memory")) << memory.error().message;
}

TEST(SystemMemoryFailureTest, RangesOutsideTheReservationChangeNothing) {
  FailingCalls calls;
  SystemMemory memory =
      SystemMemory::Reserve(
          {.reserve_bytes = kMiB, .commit = CommitPolicy::kOnRequest, .system_calls = &calls})
          .value();
  ASSERT_TRUE(memory.Commit(0, kMiB));
  memory.data()[kMiB - 1] = std::byte{1};
  const size_t calls_before = calls.calls();
  const std::pair<uint64_t, size_t> outside[] = {
      {0, kMiB + 1},           {kMiB, 1},
      {kMiB + PageBytes(), 0}, {UINT64_MAX, 0},
      {UINT64_MAX, SIZE_MAX},  {0, SIZE_MAX},
      {PageBytes(), SIZE_MAX}, {UINT64_MAX - 4095, 4096},
      {kMiB - 1, SIZE_MAX},    {1ull << 63, size_t{1} << 63},
  };
  for (const auto& [offset, bytes] : outside) {
    EXPECT_EQ(memory.Commit(offset, bytes).error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(memory.Decommit(offset, bytes).error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(memory.ResidentBytes(offset, bytes).error().code, ErrorCode::kInvalidArgument);
  }
  for (const uint64_t offset :
       {uint64_t{1}, uint64_t{PageBytes() - 1}, uint64_t{PageBytes() + 1}}) {
    const Expected<void> commit = memory.Commit(offset, 1);
    EXPECT_EQ(commit.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(Contains(commit.error(), "multiple of the page size")) << commit.error().message;
  }
  EXPECT_TRUE(memory.Commit(kMiB, 0));
  EXPECT_EQ(memory.Decommit(kMiB, 0).value(), 0u);
  EXPECT_EQ(calls.calls(), calls_before);
  EXPECT_EQ(memory.committed_bytes(), kMiB);
  EXPECT_EQ(memory.data()[kMiB - 1], std::byte{1});
}

// Every way of reserving, so that every system call of Reserve is somewhere among them.
std::vector<SystemMemoryOptions> EveryWay() {
  std::vector<SystemMemoryOptions> ways;
  for (const CommitPolicy policy : {CommitPolicy::kOnTouch, CommitPolicy::kOnRequest}) {
    for (const HugePages huge_pages : {HugePages::kNever, HugePages::kAdvise}) {
      for (const size_t guard_bytes : {size_t{0}, PageBytes()}) {
        ways.push_back({.reserve_bytes = kGiB,
                        .alignment = 8 * kMiB,
                        .commit = policy,
                        .huge_pages = huge_pages,
                        .guard_before_bytes = guard_bytes,
                        .guard_behind_bytes = guard_bytes});
      }
    }
  }
  return ways;
}

TEST(SystemMemoryFailureTest, NoCallOfReserveLeaksWhenItFails) {
  for (SystemMemoryOptions options : EveryWay()) {
    for (const int system_errno : {ENOMEM, EACCES}) {
      bool done = false;
      for (size_t nth = 1; !done; ++nth) {
        ASSERT_LT(nth, 20u);
        const size_t mapped_before = MappedBytes();
        FailingCalls calls;
        calls.RefuseCall(nth, system_errno);
        options.system_calls = &calls;
        {
          const Expected<SystemMemory> memory = SystemMemory::Reserve(options);
          done = memory.has_value();
          if (!memory) {
            EXPECT_TRUE(calls.refused());
            EXPECT_EQ(memory.error().code,
                      system_errno == ENOMEM ? ErrorCode::kOutOfMemory : ErrorCode::kIo);
            EXPECT_EQ(memory.error().system_errno, system_errno);
            EXPECT_FALSE(memory.error().message.empty());
          }
          // The destructor's own call is another test's.
          calls.RefuseCall(0, 0);
        }
        EXPECT_EQ(calls.mapped_bytes(), 0) << nth;
        // Malloc may have grown; a leaked reservation is a gigabyte.
        EXPECT_LT(MappedBytes(), mapped_before + kGiB / 2) << nth;
      }
    }
  }
}

TEST(SystemMemoryFailureTest, ARefusedCommitKeepsWhatWasCommitted) {
  for (const CommitPolicy policy : {CommitPolicy::kOnTouch, CommitPolicy::kOnRequest}) {
    for (const int system_errno : {ENOMEM, EFAULT, EIO}) {
      bool done = false;
      for (size_t nth = 1; !done; ++nth) {
        ASSERT_LT(nth, 20u);
        FailingCalls calls;
        SystemMemory memory =
            SystemMemory::Reserve(
                {.reserve_bytes = 16 * kMiB, .commit = policy, .system_calls = &calls})
                .value();
        ASSERT_TRUE(memory.Commit(2 * kMiB, kMiB));
        ASSERT_TRUE(memory.Commit(6 * kMiB, kMiB));
        std::memset(memory.data() + 2 * kMiB, 2, kMiB);
        std::memset(memory.data() + 6 * kMiB, 6, kMiB);

        calls.RefuseCall(nth, system_errno);
        const Expected<void> commit = memory.Commit(0, 10 * kMiB);
        done = commit.has_value();
        calls.RefuseCall(0, 0);
        EXPECT_EQ(memory.committed_bytes(), done ? 10 * kMiB : 2 * kMiB);
        EXPECT_EQ(memory.data()[3 * kMiB - 1], std::byte{2});
        EXPECT_EQ(memory.data()[7 * kMiB - 1], std::byte{6});
        if (!done) {
          EXPECT_FALSE(commit.error().message.empty());
          EXPECT_STREQ(commit.error().where, "SystemMemory::Commit");
          if (policy == CommitPolicy::kOnRequest) {
            EXPECT_EQ(*memory.ResidentBytes(), 2 * kMiB) << "pages of the refused commit stayed";
          }
          ASSERT_TRUE(memory.Commit(0, 10 * kMiB)) << "a second try serves";
          EXPECT_EQ(memory.data()[3 * kMiB - 1], std::byte{2});
        }
      }
    }
  }
}

TEST(SystemMemoryFailureTest, PagesThatCannotBeHadAreOutOfMemory) {
  for (const int system_errno : {ENOMEM, EAGAIN, EFAULT}) {
    FailingCalls calls;
    calls.RefuseAdvice(kPopulate, system_errno);
    SystemMemory memory =
        SystemMemory::Reserve({.reserve_bytes = kMiB, .system_calls = &calls}).value();
    const Expected<void> commit = memory.Commit(0, kMiB);
    ASSERT_FALSE(commit);
    EXPECT_EQ(commit.error().code, ErrorCode::kOutOfMemory);
    EXPECT_TRUE(Contains(commit.error(), "could not bring pages for 1048576 bytes (1.0 MiB)"))
        << commit.error().message;
    EXPECT_TRUE(Contains(commit.error(), "of memory are available")) << commit.error().message;
  }
}

TEST(SystemMemoryFailureTest, AnOldKernelHasItsPagesTouched) {
  for (const CommitPolicy policy : {CommitPolicy::kOnTouch, CommitPolicy::kOnRequest}) {
    FailingCalls calls;
    calls.RefuseAdvice(kPopulate, EINVAL);
    SystemMemory memory =
        SystemMemory::Reserve({.reserve_bytes = 8 * kMiB, .commit = policy, .system_calls = &calls})
            .value();
    ASSERT_TRUE(memory.Commit(kMiB, kMiB));
    memory.data()[kMiB] = std::byte{5};
    ASSERT_TRUE(memory.Commit(0, 4 * kMiB));
    EXPECT_TRUE(memory.Report().commit_by_touch);
    EXPECT_EQ(memory.committed_bytes(), 4 * kMiB);
    EXPECT_EQ(*memory.ResidentBytes(), 4 * kMiB);
    EXPECT_EQ(memory.data()[kMiB], std::byte{5});
  }
}

TEST(SystemMemoryFailureTest, ARefusedDecommitKeepsTheBooks) {
  FailingCalls calls;
  SystemMemory memory =
      SystemMemory::Reserve({.reserve_bytes = kMiB, .system_calls = &calls}).value();
  ASSERT_TRUE(memory.Commit(0, kMiB));
  calls.RefuseCall(1, EINVAL);
  const Expected<size_t> decommit = memory.Decommit(0, kMiB);
  ASSERT_FALSE(decommit);
  EXPECT_EQ(decommit.error().code, ErrorCode::kIo);
  EXPECT_TRUE(Contains(decommit.error(), "locked")) << decommit.error().message;
  EXPECT_EQ(memory.committed_bytes(), kMiB);
  EXPECT_EQ(memory.Decommit(0, kMiB).value(), kMiB);
  calls.RefuseCall(1, EAGAIN);
  const Expected<size_t> resident = memory.ResidentBytes();
  ASSERT_FALSE(resident);
  EXPECT_STREQ(resident.error().where, "SystemMemory::ResidentBytes");
}

TEST(SystemMemoryFailureTest, AKernelWithoutTransparentHugePagesIsReportedNotRefused) {
  for (const int advice : {MADV_HUGEPAGE, MADV_NOHUGEPAGE}) {
    FailingCalls calls;
    calls.RefuseAdvice(advice, EINVAL);
    const SystemMemory memory =
        SystemMemory::Reserve(
            {.reserve_bytes = kMiB,
             .huge_pages = advice == MADV_HUGEPAGE ? HugePages::kAdvise : HugePages::kNever,
             .system_calls = &calls})
            .value();
    EXPECT_EQ(memory.Report().huge_pages, HugePages::kNever);
  }
}

TEST(SystemMemoryFailureTest, TheSystemsModeIsPartOfTheReport) {
  const std::string path = "/sys/kernel/mm/transparent_hugepage/enabled";
  const std::pair<std::string, TransparentHugePages> modes[] = {
      {"[always] madvise never\n", TransparentHugePages::kAlways},
      {"always [madvise] never\n", TransparentHugePages::kMadvise},
      {"always madvise [never]\n", TransparentHugePages::kNever},
      {"", TransparentHugePages::kUnknown},
      {"gibberish", TransparentHugePages::kUnknown},
  };
  for (const auto& [content, mode] : modes) {
    FailingCalls calls;
    calls.SetFile(path, content);
    const SystemMemory memory =
        SystemMemory::Reserve(
            {.reserve_bytes = kMiB, .huge_pages = HugePages::kAdvise, .system_calls = &calls})
            .value();
    EXPECT_EQ(memory.Report().transparent_huge_pages, mode) << content;
    if (mode == TransparentHugePages::kNever) {
      EXPECT_EQ(memory.Report().huge_pages, HugePages::kNever);
    }
  }
}

TEST(SystemMemoryFailureTest, MissingHugePagesAreExplained) {
  const std::string folder = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
  struct Case {
    std::string total;
    std::string free;
    int system_errno;
    ErrorCode code;
    std::string part;
  };
  const Case cases[] = {
      {"0\n", "0\n", ENOMEM, ErrorCode::kUnsupported, "pool has 0, of which 0 are free"},
      {"", "", EINVAL, ErrorCode::kUnsupported, "no pool of that size"},
      {"8\n", "3\n", ENOMEM, ErrorCode::kOutOfMemory, "pool has 8, of which 3 are free"},
      {"8\n", "8\n", EPERM, ErrorCode::kIo, "Operation not permitted"},
  };
  for (const Case& c : cases) {
    for (const size_t guard_bytes : {size_t{0}, PageBytes()}) {
      FailingCalls calls;
      calls.SetFile(folder + "nr_hugepages", c.total);
      calls.SetFile(folder + "free_hugepages", c.free);
      // With a guard the first mapping is of ordinary pages; unmapping its surplus at both ends,
      // one call at least, comes before the one of huge pages.
      Expected<SystemMemory> memory = tl::unexpected(Error{ErrorCode::kIo, "", "", 0});
      for (size_t nth = guard_bytes == 0 ? 1 : 3; nth <= (guard_bytes == 0 ? 1u : 4u); ++nth) {
        calls.RefuseCall(nth, c.system_errno);
        memory = SystemMemory::Reserve({.reserve_bytes = 16 * kMiB,
                                        .huge_pages = HugePages::kRequire,
                                        .guard_before_bytes = guard_bytes,
                                        .system_calls = &calls});
        if (!memory && Contains(memory.error(), "huge pages are required")) break;
      }
      ASSERT_FALSE(memory);
      EXPECT_EQ(memory.error().code, c.code) << memory.error().message;
      EXPECT_TRUE(Contains(memory.error(), "8 pages of 2 MiB")) << memory.error().message;
      EXPECT_TRUE(Contains(memory.error(), c.part)) << memory.error().message;
      EXPECT_EQ(calls.mapped_bytes(), 0);
    }
  }
}

TEST(SystemMemoryFailureTest, AnUnmapThatFailsStillGivesTheMemoryBack) {
  FailingCalls calls;
  std::byte* data = nullptr;
  {
    const SystemMemory memory =
        SystemMemory::Reserve({.reserve_bytes = kMiB, .system_calls = &calls}).value();
    data = memory.data();
    std::memset(data, 1, kMiB);
    calls.RefuseCall(1, ENOMEM);
  }
  // The addresses are still mapped; the content is gone.
  EXPECT_EQ(data[0], std::byte{0});
  EXPECT_EQ(munmap(data, kMiB), 0);
}

// A system whose pool of huge pages always serves, with ordinary pages.
class PretendedPool final : public SystemCalls {
 public:
  void* Map(void* address, size_t bytes, int protection, int flags) noexcept override {
    if ((flags & MAP_HUGETLB) == 0) return SystemCalls::Map(address, bytes, protection, flags);
    ++pool_mappings;
    EXPECT_EQ(flags & MAP_NORESERVE, 0) << "the pool has to set the pages aside";
    EXPECT_EQ(bytes % SystemMemory::kHugePageBytes, 0u);
    const int ordinary = flags & MAP_FIXED;
    if (ordinary != 0) return SystemCalls::Map(address, bytes, protection, ordinary);
    // The pool's mappings are aligned to its pages.
    const size_t surplus = SystemMemory::kHugePageBytes;
    void* const mapped = SystemCalls::Map(nullptr, bytes + surplus, PROT_NONE, 0);
    const auto begin = reinterpret_cast<uintptr_t>(mapped);
    const size_t head = (surplus - begin % surplus) % surplus;
    auto* const aligned = static_cast<std::byte*>(mapped) + head;
    if (head != 0) SystemCalls::Unmap(mapped, head);
    SystemCalls::Unmap(aligned + bytes, surplus - head);
    SystemCalls::Protect(aligned, bytes, protection);
    return aligned;
  }

  int pool_mappings = 0;
};

TEST(SystemMemoryFailureTest, RequiredHugePagesComeFromThePoolInItsUnits) {
  constexpr size_t kHuge = SystemMemory::kHugePageBytes;
  for (const CommitPolicy policy : {CommitPolicy::kOnTouch, CommitPolicy::kOnRequest}) {
    for (const size_t alignment : {size_t{0}, 4 * kHuge}) {
      for (const size_t guard_bytes : {size_t{0}, PageBytes()}) {
        PretendedPool calls;
        SystemMemory memory = SystemMemory::Reserve({.reserve_bytes = 3 * kHuge - 1,
                                                     .alignment = alignment,
                                                     .commit = policy,
                                                     .huge_pages = HugePages::kRequire,
                                                     .guard_before_bytes = guard_bytes,
                                                     .guard_behind_bytes = guard_bytes,
                                                     .system_calls = &calls})
                                  .value();
        EXPECT_EQ(calls.pool_mappings, 1);
        EXPECT_EQ(memory.size_bytes(), 3 * kHuge);
        EXPECT_EQ(memory.Report().page_bytes, kHuge);
        EXPECT_EQ(memory.Report().huge_pages, HugePages::kRequire);
        EXPECT_GE(memory.Report().base_alignment_bytes, kHuge);
        EXPECT_EQ(memory.Commit(PageBytes(), 1).error().code, ErrorCode::kInvalidArgument);
        ASSERT_TRUE(memory.Commit(kHuge, 1));
        EXPECT_EQ(memory.committed_bytes(), kHuge);
        memory.data()[2 * kHuge - 1] = std::byte{1};
        EXPECT_EQ(memory.Decommit(kHuge + 1, 2 * kHuge - 1).value(), kHuge);
        EXPECT_EQ(memory.data()[2 * kHuge - 1], std::byte{1});
        EXPECT_EQ(memory.Decommit(0, 3 * kHuge).value(), 3 * kHuge);
        EXPECT_EQ(memory.data()[2 * kHuge - 1], std::byte{0});
      }
    }
  }
}

// Runs `body` in a child, because a limit once lowered stays, and hands on what it returns.
int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(SystemMemoryFailureTest, ALimitOnAddressSpaceIsAValue) {
  EXPECT_EQ(InChild([] {
              const rlimit limit{.rlim_cur = MappedBytes() + 2 * kGiB, .rlim_max = RLIM_INFINITY};
              if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
              const auto refused = SystemMemory::Reserve({.reserve_bytes = 64 * kGiB});
              if (refused || refused.error().code != ErrorCode::kOutOfMemory) return 2;
              if (!Contains(refused.error(), "RLIMIT_AS is ")) return 3;
              if (!Contains(refused.error(), "are in use")) return 4;
              auto served = SystemMemory::Reserve({.reserve_bytes = kGiB});
              if (!served || !served->Commit(0, kMiB)) return 5;
              return 0;
            }),
            0);
}

TEST(SystemMemoryFailureTest, AChildHasItsOwnCopyAfterFork) {
  SystemMemory memory = SystemMemory::Reserve({.reserve_bytes = kMiB}).value();
  ASSERT_TRUE(memory.Commit(0, kMiB));
  memory.data()[0] = std::byte{1};
  EXPECT_EQ(InChild([&memory] {
              if (memory.data()[0] != std::byte{1}) return 1;
              memory.data()[0] = std::byte{2};
              if (!memory.Decommit(0, kMiB) || memory.data()[0] != std::byte{0}) return 2;
              memory = SystemMemory();
              return 0;
            }),
            0);
  EXPECT_EQ(memory.data()[0], std::byte{1});
}

}  // namespace
}  // namespace granary
