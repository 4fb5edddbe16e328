#include "pool/buffer/uring_page_store.h"

#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "pool/buffer/open_page_store.h"
#include "pool/buffer/ring_calls.h"
#include "pool/buffer/testing/page_buffers.h"
#include "pool/buffer/testing/page_store_conformance_test_suite.h"
#include "pool/buffer/testing/reads_in_windows.h"

namespace granary {
namespace {

std::string PathOf(const std::string& name) {
  return testing::TempDir() + "/uring_page_store_test_" + name;
}

PageStoreTraits OfFile(const std::string& name, PageFileOptions file, UringOptions options) {
  file.path = PathOf(name);
  file.create = true;
  return {.name = name,
          .make = [=](std::string* why_not) -> std::unique_ptr<PageStore> {
            ::unlink(file.path.c_str());
            auto store = UringPageStore::Create(file, options);
            if (store) return std::move(*store);
            *why_not = store.error().message;
            if (store.error().code != ErrorCode::kUnsupported) ADD_FAILURE() << *why_not;
            return nullptr;
          },
          .reopen = [=]() -> std::unique_ptr<PageStore> {
            auto store = UringPageStore::Create(file, options);
            if (store) return std::move(*store);
            ADD_FAILURE() << store.error().message;
            return nullptr;
          }};
}

INSTANTIATE_TEST_SUITE_P(
    Uring, PageStoreConformanceTest,
    testing::Values(OfFile("Of4KiB", {}, {}),
                    OfFile("OneAtATime", {.page_bytes = 512}, {.queue_depth = 1, .rings = 1}),
                    OfFile("OneRing", {.page_bytes = 512}, {.queue_depth = 8, .rings = 1}),
                    OfFile("Direct", {.direct = true}, {.queue_depth = 32})),
    PageStoreName);

// The kernel's rings, which refuse what a test says.
class FailingRings final : public RingCalls {
 public:
  // The nth call from now on fails with this errno; 0 fails none.
  void FailCall(size_t nth, int error_number) {
    fail_in_ = nth;
    error_number_ = error_number;
    calls_ = 0;
  }
  // Before each submission; with the completions that it waits for.
  std::function<void(io_uring*, unsigned)> before_submission;
  // What is queued is submitted, and then the call fails.
  bool fails_after_submission = false;
  int init_errno = 0;
  unsigned flags_refused = 0;
  size_t rings_max = SIZE_MAX;
  int file_errno = 0;
  int buffers_errno = 0;
  size_t buffers_rings_max = SIZE_MAX;
  size_t made = 0;
  size_t registered = 0;
  size_t submission_errors = 0;
  // This many submissions fail, and with what.
  size_t submissions_fail = 0;
  int submission_errno = 0;

  size_t calls() const { return calls_; }

  int Init(unsigned entries, io_uring* ring, unsigned flags) noexcept override {
    if (Fails()) return -error_number_;
    if (init_errno != 0) return -init_errno;
    if ((flags & flags_refused) != 0) return -EINVAL;
    if (made == rings_max) return -ENOMEM;
    const int result = RingCalls::Init(entries, ring, flags);
    if (result >= 0) ++made;
    return result;
  }
  void Exit(io_uring* ring) noexcept override {
    --made;
    RingCalls::Exit(ring);
  }
  int HasReadAndWrite(io_uring* ring) noexcept override {
    return Fails() ? -error_number_ : RingCalls::HasReadAndWrite(ring);
  }
  int RegisterFile(io_uring* ring, int file) noexcept override {
    if (Fails()) return -error_number_;
    return file_errno != 0 ? -file_errno : RingCalls::RegisterFile(ring, file);
  }
  int RegisterBuffers(io_uring* ring, const iovec* buffers, unsigned count) noexcept override {
    if (Fails()) return -error_number_;
    if (buffers_errno != 0 && registered >= buffers_rings_max) return -buffers_errno;
    const int result = RingCalls::RegisterBuffers(ring, buffers, count);
    if (result >= 0) ++registered;
    return result;
  }
  int UnregisterBuffers(io_uring* ring) noexcept override {
    --registered;
    return RingCalls::UnregisterBuffers(ring);
  }
  int SubmitAndWait(io_uring* ring, unsigned completions) noexcept override {
    if (before_submission) before_submission(ring, completions);
    const bool fails = Fails();
    if (fails || submissions_fail != 0) {
      if (submissions_fail != 0) --submissions_fail;
      ++submission_errors;
      if (fails_after_submission) (void)::io_uring_submit(ring);
      return fails ? -error_number_ : -submission_errno;
    }
    return RingCalls::SubmitAndWait(ring, completions);
  }

 private:
  bool Fails() { return ++calls_ == fail_in_; }

  size_t fail_in_ = 0;
  int error_number_ = 0;
  size_t calls_ = 0;
};

class UringPageStoreTest : public testing::Test {
 protected:
  static constexpr size_t kPages = 600;
  static constexpr size_t kPageBytes = 512;

  void SetUp() override {
    const auto there = UringPageStore::Create({.path = Path(), .create = true}, {});
    if (!there) GTEST_SKIP() << there.error().message;
  }

  std::string Path() {
    return PathOf(testing::UnitTest::GetInstance()->current_test_info()->name());
  }

  Expected<std::unique_ptr<UringPageStore>> Create(UringOptions options, bool is_direct = false) {
    ::unlink(Path().c_str());
    options.ring_calls = &rings_;
    return UringPageStore::Create(
        {.path = Path(), .page_bytes = kPageBytes, .create = true, .direct = is_direct}, options);
  }

  void Make(UringOptions options) {
    auto store = Create(options);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    ASSERT_EQ(WriteAll(1), 0u);
  }

  // Every third page is at a place of its own, so that runs are of two pages. Returns how many
  // fail.
  size_t WriteAll(uint64_t version) {
    std::vector<PageWrite> writes;
    for (size_t i = 0; i < kPages; ++i) {
      buffers_.Fill(i, PageAt(i), version);
      writes.push_back({.page = PageAt(i), .bytes = buffers_[i]});
    }
    store_->Write(writes);
    return static_cast<size_t>(std::count_if(
        writes.begin(), writes.end(), [](const auto& write) { return write.error_number != 0; }));
  }
  // Returns how many pages are not of this version. With windows, they come in so many.
  size_t ReadAll(uint64_t version, size_t windows = 0) {
    std::vector<PageRead> reads;
    for (size_t i = 0; i < kPages; ++i) {
      buffers_.Fill(i, 1, 4711);
      reads.push_back({.page = PageAt(i), .bytes = buffers_[i]});
    }
    if (windows != 0) {
      ReadsInWindows in_windows(reads, 25, windows);
      store_->ReadEach(in_windows);
      EXPECT_TRUE(in_windows.AllAreDone());
    } else {
      store_->Read(reads);
    }
    size_t wrong = 0;
    for (size_t i = 0; i < kPages; ++i) {
      if (reads[i].error_number != 0 || !buffers_.Holds(i, PageAt(i), version)) ++wrong;
    }
    return wrong;
  }
  static uint64_t PageAt(size_t i) { return i / 2 * 3 + i % 2; }

  FailingRings rings_;
  PageBuffers buffers_{kPages, kPageBytes, 4096};
  std::unique_ptr<UringPageStore> store_;
};

TEST_F(UringPageStoreTest, OneRunIsAPlainCallAndMoreAreRequests) {
  Make({.rings = 1});
  EXPECT_EQ(store_->requests(), kPages / 2);
  PageRead reads[] = {{.page = 0, .bytes = buffers_[0]}, {.page = 1, .bytes = buffers_[1]}};
  store_->Read(reads);
  store_->Read({reads, 1});
  EXPECT_EQ(store_->requests(), kPages / 2);
  EXPECT_EQ(ReadAll(1), 0u);
  EXPECT_EQ(store_->requests(), kPages);
  EXPECT_EQ(store_->Limits().batch_pages_max, 64u * 64);
}

TEST_F(UringPageStoreTest, KeepsAsMuchInFlightAsItMayUntilTheEnd) {
  constexpr unsigned kDepth = 16;
  Make({.queue_depth = kDepth, .rings = 1});
  size_t calls = 0;
  const uint64_t before = store_->requests();
  rings_.before_submission = [&](io_uring* ring, unsigned completions) {
    ++calls;
    // Nothing is handed over that is not waited for.
    EXPECT_EQ(completions, 1u);
    const unsigned in_flight = ring->sq.sqe_tail - *ring->cq.khead;
    const bool is_all_queued = store_->requests() - before == kPages / 2;
    EXPECT_GE(in_flight, is_all_queued ? 1 : kDepth);
    EXPECT_LE(in_flight, kDepth);
  };
  EXPECT_EQ(ReadAll(1), 0u);
  EXPECT_GE(calls, kPages / 2 / kDepth);
}

// A device that waits for requests has some before all are made.
TEST_F(UringPageStoreTest, PastTheCacheRequestsAreHandedOverAFewAtATime) {
  constexpr unsigned kDepth = 16;
  auto store = Create({.queue_depth = kDepth, .rings = 1}, /*is_direct=*/true);
  if (!store) GTEST_SKIP() << store.error().message;
  store_ = std::move(*store);
  ASSERT_EQ(WriteAll(1), 0u);
  uint64_t before = store_->requests();
  rings_.before_submission = [&](io_uring* ring, unsigned completions) {
    EXPECT_LE(::io_uring_sq_ready(ring), 4u);
    // Who waits has as much in flight as there may be.
    const unsigned in_flight = ring->sq.sqe_tail - *ring->cq.khead;
    const bool is_early = store_->requests() - before < kPages / 3;
    EXPECT_TRUE(completions == 0 || !is_early || in_flight == kDepth) << in_flight;
  };
  EXPECT_EQ(ReadAll(1), 0u);
  before = store_->requests();
  EXPECT_EQ(ReadAll(1, 16), 0u);
}

TEST_F(UringPageStoreTest, FramesThatAreRegisteredAreUsedAsSuch) {
  Make({.rings = 2});
  EXPECT_EQ(store_->ring_count(), 2u);
  const std::string note = store_->RegisterMemory(buffers_.memory().first(100 * kPageBytes));
  if (!note.empty()) GTEST_SKIP() << note;
  EXPECT_EQ(rings_.registered, 2u);
  EXPECT_EQ(ReadAll(1), 0u);
  EXPECT_EQ(store_->fixed_requests(), 50u);
  EXPECT_EQ(store_->RegisterMemory({}), "");
  EXPECT_EQ(rings_.registered, 0u);
  EXPECT_EQ(ReadAll(1), 0u);
  EXPECT_EQ(store_->fixed_requests(), 50u);
}

TEST_F(UringPageStoreTest, GoesOnWithoutRegisteredMemoryAndSaysWhy) {
  Make({.rings = 3});
  rings_.buffers_errno = ENOMEM;
  rings_.buffers_rings_max = 2;
  const std::string note = store_->RegisterMemory(buffers_.memory());
  EXPECT_NE(note.find(std::to_string(kPages * kPageBytes) + " bytes"), std::string::npos) << note;
  EXPECT_NE(note.find("3 rings"), std::string::npos) << note;
  EXPECT_NE(note.find("RLIMIT_MEMLOCK"), std::string::npos) << note;
  EXPECT_EQ(rings_.registered, 0u) << "in all rings or in none";
  EXPECT_EQ(ReadAll(1), 0u);
  EXPECT_EQ(store_->fixed_requests(), 0u);
  rings_.buffers_rings_max = 0;
  rings_.buffers_errno = EOPNOTSUPP;
  EXPECT_NE(store_->RegisterMemory(buffers_.memory()).find("Operation not supported"),
            std::string::npos);
}

TEST_F(UringPageStoreTest, TakesTheKernelAsItIs) {
  rings_.flags_refused = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL;
  rings_.file_errno = EINVAL;
  rings_.rings_max = 2;
  Make({.rings = 4});
  EXPECT_EQ(store_->ring_count(), 2u);
  EXPECT_EQ(ReadAll(1), 0u);
  store_.reset();
  EXPECT_EQ(rings_.made, 0u);
}

TEST_F(UringPageStoreTest, CreationThatFailsAnywhereSaysSoAndLeavesNoRing) {
  size_t refused = 0;
  for (size_t nth = 1;; ++nth) {
    rings_.FailCall(nth, EPERM);
    {
      const auto store = Create({.rings = 2});
      if (rings_.calls() < nth) break;
      if (!store) {
        ++refused;
        EXPECT_EQ(store.error().code, ErrorCode::kUnsupported);
        EXPECT_NE(store.error().message.find("io_uring is not available"), std::string::npos);
      }
    }
    EXPECT_EQ(rings_.made, 0u);
  }
  EXPECT_EQ(refused, 2u) << "without the first ring there is none to go on with";
}

TEST_F(UringPageStoreTest, WhatPassesIsTriedAgain) {
  Make({.queue_depth = 4, .rings = 1});
  for (const int error_number : {EINTR, EAGAIN, EBUSY}) {
    rings_.submission_errno = error_number;
    rings_.submissions_fail = 5;
    const uint64_t requests = store_->requests();
    EXPECT_EQ(ReadAll(1), 0u);
    EXPECT_EQ(store_->requests() - requests, kPages / 2) << "all through the ring";
  }
  EXPECT_EQ(rings_.submission_errors, 15u);
}

TEST_F(UringPageStoreTest, ARingThatBreaksAnywhereHarmsNoPage) {
  for (const bool after_submission : {false, true}) {
    for (size_t nth = 1; nth < 30; nth += 4) {
      SCOPED_TRACE("submission " + std::to_string(nth) + (after_submission ? " is done" : ""));
      Make({.queue_depth = 16, .rings = 1});
      rings_.fails_after_submission = after_submission;
      rings_.FailCall(nth, EBADF);
      EXPECT_EQ(WriteAll(2), 0u);
      rings_.FailCall(0, 0);
      EXPECT_EQ(ReadAll(2), 0u);
      EXPECT_EQ(ReadAll(2, 3), 0u);
      const uint64_t requests = store_->requests();
      EXPECT_EQ(ReadAll(2), 0u);
      EXPECT_EQ(store_->PageCount(), PageAt(kPages - 1) + 1);
      if (rings_.submission_errors != 0) {
        EXPECT_EQ(store_->requests(), requests) << "it is used no more";
      }
      store_.reset();
      rings_.submission_errors = 0;
    }
  }
}

TEST_F(UringPageStoreTest, ARingThatBreaksAnywhereHarmsNoPageOfAWindow) {
  for (const bool after_submission : {false, true}) {
    for (const size_t windows : {size_t{1}, size_t{2}, size_t{5}}) {
      for (size_t nth = 1; nth < 60; nth += 5) {
        SCOPED_TRACE("submission " + std::to_string(nth) + (after_submission ? " is done" : "") +
                     ", windows: " + std::to_string(windows));
        Make({.queue_depth = 16, .rings = 1});
        rings_.fails_after_submission = after_submission;
        rings_.FailCall(nth, EBADF);
        EXPECT_EQ(ReadAll(1, windows), 0u);
        rings_.FailCall(0, 0);
        EXPECT_EQ(ReadAll(1, windows), 0u);
        store_.reset();
      }
    }
  }
}

// From the first page to the last, whatever the windows.
TEST_F(UringPageStoreTest, KeepsAsMuchInFlightWhileWindowsCome) {
  constexpr unsigned kDepth = 16;
  Make({.queue_depth = kDepth, .rings = 1});
  const uint64_t before = store_->requests();
  unsigned least = kDepth;
  rings_.before_submission = [&](io_uring* ring, unsigned) {
    const unsigned in_flight = ring->sq.sqe_tail - *ring->cq.khead;
    if (store_->requests() - before < kPages / 3) least = std::min(least, in_flight);
    EXPECT_LE(in_flight, kDepth);
  };
  EXPECT_EQ(ReadAll(1, 16), 0u);
  EXPECT_EQ(least, kDepth);
}

TEST_F(UringPageStoreTest, AKernelThatNeverTakesAnythingIsGivenUp) {
  Make({.queue_depth = 4, .rings = 1});
  rings_.submission_errno = EAGAIN;
  rings_.submissions_fail = SIZE_MAX;
  EXPECT_EQ(ReadAll(1), 0u);
  const size_t errors = rings_.submission_errors;
  EXPECT_EQ(ReadAll(1), 0u);
  EXPECT_EQ(rings_.submission_errors, errors);
}

TEST_F(UringPageStoreTest, ABrokenRingLeavesTheOthers) {
  Make({.rings = 2});
  rings_.FailCall(1, EBADF);
  EXPECT_EQ(ReadAll(1), 0u);
  const uint64_t requests = store_->requests();
  EXPECT_EQ(ReadAll(1), 0u);
  EXPECT_EQ(store_->requests() - requests, kPages / 2);
}

TEST_F(UringPageStoreTest, AFileThatEndsTooSoonIsSaidSo) {
  Make({.rings = 1});
  ASSERT_EQ(::truncate(Path().c_str(), 4 * kPageBytes + 10), 0);
  PageBuffers buffers(5, kPageBytes);
  PageRead reads[] = {{.page = 0, .bytes = buffers[0]},
                      {.page = 3, .bytes = buffers[1]},
                      {.page = 4, .bytes = buffers[2]},
                      {.page = 5, .bytes = buffers[3]},
                      {.page = 7, .bytes = buffers[4]}};
  store_->Read(reads);
  const int expected[] = {0, 0, EIO, ENODATA, ENODATA};
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(reads[i].error_number, expected[i]) << i;
  EXPECT_TRUE(buffers.Holds(0, 0, 1));
  EXPECT_TRUE(buffers.Holds(1, 3, 1));
}

TEST_F(UringPageStoreTest, OptionsThatMakeNoSenseAreRefusedBeforeThereIsAFile) {
  for (const UringOptions& options :
       {UringOptions{.queue_depth = 0}, UringOptions{.queue_depth = 513},
        UringOptions{.rings = 65}}) {
    const auto store = Create(options);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::kInvalidArgument);
    EXPECT_FALSE(
        OpenPageStore({.file = {.path = Path(), .create = true}, .uring = options}).has_value());
    EXPECT_NE(::access(Path().c_str(), F_OK), 0);
  }
}

TEST(OpenPageStoreTest, GoesOnWithoutIoUringAndSaysWhy) {
  for (const int error_number : {ENOSYS, EPERM, ENOMEM}) {
    FailingRings rings;
    rings.init_errno = error_number;
    OpenPageStoreOptions options = {.file = {.path = PathOf("fallback"), .create = true},
                                    .uring = {.ring_calls = &rings}};
    {
      const auto opened = OpenPageStore(options);
      ASSERT_TRUE(opened) << opened.error().message;
      EXPECT_EQ(dynamic_cast<UringPageStore*>(opened->store.get()), nullptr);
      EXPECT_NE(opened->note.find("io_uring is not available"), std::string::npos);
      EXPECT_NE(opened->note.find(std::strerror(error_number)), std::string::npos) << opened->note;
      EXPECT_TRUE(opened->store->Extend(3));
    }
    options.engine = IoEngine::kUring;
    EXPECT_EQ(OpenPageStore(options).error().system_errno, error_number);
    options.engine = IoEngine::kPosix;
    EXPECT_EQ(OpenPageStore(options)->note, "");
  }
}

TEST(OpenPageStoreTest, TakesIoUringWhereItIs) {
  const auto opened = OpenPageStore({.file = {.path = PathOf("open"), .create = true}});
  ASSERT_TRUE(opened) << opened.error().message;
  if (!opened->note.empty()) GTEST_SKIP() << opened->note;
  EXPECT_NE(dynamic_cast<UringPageStore*>(opened->store.get()), nullptr);
  const auto missing = OpenPageStore({.file = {.path = PathOf("missing")}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().system_errno, ENOENT);
}

}  // namespace
}  // namespace granary
