#include "pool/buffer/posix_page_store.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/simulated_files.h"
#include "pool/buffer/testing/page_buffers.h"
#include "pool/buffer/testing/page_store_conformance_test_suite.h"

namespace granary {
namespace {

using Call = SimulatedFiles::Call;

std::string PathOf(const std::string& name) {
  return testing::TempDir() + "/posix_page_store_test_" + name;
}

PageStoreTraits OfFile(const std::string& name, PageFileOptions options) {
  options.path = PathOf(name);
  options.create = true;
  return {.name = name,
          .make = [options](std::string* why_not) -> std::unique_ptr<PageStore> {
            ::unlink(options.path.c_str());
            auto store = PosixPageStore::Create(options);
            if (store) return std::move(*store);
            *why_not = store.error().message;
            if (!options.direct) ADD_FAILURE() << *why_not;
            return nullptr;
          },
          .reopen = [options]() -> std::unique_ptr<PageStore> {
            auto store = PosixPageStore::Create(options);
            if (store) return std::move(*store);
            ADD_FAILURE() << store.error().message;
            return nullptr;
          }};
}

INSTANTIATE_TEST_SUITE_P(
    Posix, PageStoreConformanceTest,
    testing::Values(OfFile("Of512Bytes", {.page_bytes = 512}), OfFile("Of4KiB", {}),
                    OfFile("Sparse", {.page_bytes = 8192, .reserve_space = false}),
                    OfFile("Direct", {.direct = true})),
    PageStoreName);

// A store on simulated files, with this many pages of version 1.
std::unique_ptr<PosixPageStore> Make(SimulatedFiles& files, uint64_t pages,
                                     PageFileOptions options = {.page_bytes = 512}) {
  options.path = "f/pages";
  options.create = true;
  options.file_calls = &files;
  auto store = PosixPageStore::Create(options);
  if (!store) {
    ADD_FAILURE() << store.error().message;
    return nullptr;
  }
  PageBuffers buffers(pages, options.page_bytes, 4096);
  std::vector<PageWrite> writes;
  for (size_t i = 0; i < pages; ++i) {
    buffers.Fill(i, i, 1);
    writes.push_back({.page = i, .bytes = buffers[i]});
  }
  (*store)->Write(writes);
  for (const PageWrite& write : writes) EXPECT_EQ(write.error_number, 0);
  files.ForgetCalls();
  return std::move(*store);
}

// Reads these pages; what came of each.
std::vector<int> ErrorsOf(PageStore& store, PageBuffers& buffers,
                          const std::vector<uint64_t>& pages) {
  std::vector<PageRead> reads;
  for (size_t i = 0; i < pages.size(); ++i) {
    reads.push_back({.page = pages[i], .bytes = buffers[i]});
  }
  store.Read(reads);
  std::vector<int> errors;
  for (const PageRead& read : reads) errors.push_back(read.error_number);
  return errors;
}

int WritePage(PageStore& store, uint64_t page, uint64_t version) {
  PageBuffers buffers(1, store.page_bytes(), store.Limits().memory_alignment);
  buffers.Fill(0, page, version);
  PageWrite write{.page = page, .bytes = buffers[0]};
  store.Write({&write, 1});
  return write.error_number;
}

// Which version the page has, of the first few; -1 if none.
int VersionOf(PageStore& store, uint64_t page) {
  PageBuffers buffers(1, store.page_bytes(), store.Limits().memory_alignment);
  if (ErrorsOf(store, buffers, {page})[0] != 0) return -1;
  for (int version = 0; version < 10; ++version) {
    if (buffers.Holds(0, page, static_cast<uint64_t>(version))) return version;
  }
  return -1;
}

TEST(PosixPageStoreTest, NeighboursGoInOneCall) {
  SimulatedFiles files;
  const auto store = Make(files, 1000);
  PageBuffers buffers(1000, 512);
  EXPECT_EQ(ErrorsOf(*store, buffers, {3, 4, 5, 9, 10, 2, 1}), std::vector<int>(7, 0));
  EXPECT_EQ(files.calls(Call::kReadVectorAt), 2u) << "3-5, 9-10";
  EXPECT_EQ(files.calls(Call::kReadAt), 2u) << "2, 1";
  std::vector<uint64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  files.ForgetCalls();
  EXPECT_EQ(ErrorsOf(*store, buffers, all), std::vector<int>(1000, 0));
  EXPECT_EQ(files.calls(), 4u) << "256 pages a call";
  for (size_t i = 0; i < 1000; ++i) EXPECT_TRUE(buffers.Holds(i, i, 1));
}

TEST(PosixPageStoreTest, ShortTransfersGoOnWhereTheyEnded) {
  for (const size_t bytes : {1u, 100u, 512u, 700u, 5000u}) {
    SimulatedFiles files;
    files.LimitTransfers(bytes);
    const auto store = Make(files, 5);
    PageBuffers buffers(5, 512);
    EXPECT_EQ(ErrorsOf(*store, buffers, {0, 1, 2, 3, 4}), std::vector<int>(5, 0));
    for (size_t i = 0; i < 5; ++i) EXPECT_TRUE(buffers.Holds(i, i, 1)) << bytes;
  }
}

TEST(PosixPageStoreTest, DirectTransfersGoOnAtWholeUnits) {
  SimulatedFiles files;
  files.AllowDirect({.memory_bytes = 64, .offset_bytes = 256});
  files.LimitTransfers(300);
  const auto store = Make(files, 4, {.page_bytes = 512, .direct = true});
  EXPECT_TRUE(store->Limits().is_direct);
  EXPECT_EQ(store->Limits().memory_alignment, 64u);
  EXPECT_EQ(store->Limits().offset_alignment, 256u);
  for (uint64_t page = 0; page < 4; ++page) EXPECT_EQ(VersionOf(*store, page), 1);
  files.LimitTransfers(255);
  EXPECT_EQ(WritePage(*store, 1, 2), EIO) << "nothing ever is done in whole units";
}

TEST(PosixPageStoreTest, InterruptionsAreNoErrors) {
  SimulatedFiles files;
  const auto store = Make(files, 1);
  files.FailCall(Call::kReadAt, 1, EINTR);
  EXPECT_EQ(VersionOf(*store, 0), 1);
  files.FailCall(Call::kWriteAt, 1, EINTR);
  EXPECT_EQ(WritePage(*store, 0, 2), 0);
  files.FailCall(Call::kAllocate, 1, EINTR);
  EXPECT_TRUE(store->Extend(3));
  EXPECT_EQ(VersionOf(*store, 0), 2);
}

// Pages that the disk cannot read or write.
class BadSectors final : public FileCalls {
 public:
  explicit BadSectors(std::vector<off_t> offsets) : offsets_(std::move(offsets)) {}

  ssize_t ReadVectorAt(int file, const iovec* pieces, int count, off_t offset) noexcept override {
    return IsBad(pieces, count, offset) ? -1 : FileCalls::ReadVectorAt(file, pieces, count, offset);
  }
  ssize_t WriteVectorAt(int file, const iovec* pieces, int count, off_t offset) noexcept override {
    return IsBad(pieces, count, offset) ? -1
                                        : FileCalls::WriteVectorAt(file, pieces, count, offset);
  }
  ssize_t ReadAt(int file, void* bytes, size_t count, off_t offset) noexcept override {
    const iovec piece = {bytes, count};
    return IsBad(&piece, 1, offset) ? -1 : FileCalls::ReadAt(file, bytes, count, offset);
  }
  ssize_t WriteAt(int file, const void* bytes, size_t count, off_t offset) noexcept override {
    const iovec piece = {const_cast<void*>(bytes), count};
    return IsBad(&piece, 1, offset) ? -1 : FileCalls::WriteAt(file, bytes, count, offset);
  }

 private:
  bool IsBad(const iovec* pieces, int count, off_t offset) const {
    off_t end = offset;
    for (int i = 0; i < count; ++i) end += static_cast<off_t>(pieces[i].iov_len);
    errno = EIO;
    return std::any_of(offsets_.begin(), offsets_.end(),
                       [&](off_t bad) { return bad >= offset && bad < end; });
  }

  std::vector<off_t> offsets_;
};

TEST(PosixPageStoreTest, OnlyThePagesThatFailHaveErrors) {
  const std::string path = PathOf("bad_sectors");
  ::unlink(path.c_str());
  {
    auto store = PosixPageStore::Create({.path = path, .create = true});
    ASSERT_TRUE(store);
    for (uint64_t page = 0; page < 6; ++page) ASSERT_EQ(WritePage(**store, page, 1), 0);
  }
  BadSectors calls({2 * 4096 + 100, 4 * 4096});
  auto store = PosixPageStore::Create({.path = path, .file_calls = &calls});
  PageBuffers buffers(6, 4096);
  EXPECT_EQ(ErrorsOf(**store, buffers, {0, 1, 2, 3, 4, 5}),
            (std::vector<int>{0, 0, EIO, 0, EIO, 0}));
  for (const size_t i : {0u, 1u, 3u, 5u}) EXPECT_TRUE(buffers.Holds(i, i, 1));
  for (size_t i = 0; i < 6; ++i) buffers.Fill(i, i, 2);
  std::vector<PageWrite> writes;
  for (size_t i = 0; i < 6; ++i) writes.push_back({.page = i, .bytes = buffers[i]});
  (*store)->Write(writes);
  for (const PageWrite& write : writes) {
    EXPECT_EQ(write.error_number, write.page == 2 || write.page == 4 ? EIO : 0);
  }
  for (const uint64_t page : {0u, 1u, 3u, 5u}) EXPECT_EQ(VersionOf(**store, page), 2);
}

TEST(PosixPageStoreTest, AFileThatEndsTooSoonIsSaidSo) {
  SimulatedFiles files;
  const auto store = Make(files, 4);
  const auto whole = files.Contents("f/pages");
  auto other = File::Open("f/pages", O_RDWR, 0, files);
  ASSERT_TRUE(other->Truncate(2 * 512 + 10));
  PageBuffers buffers(4, 512);
  EXPECT_EQ(ErrorsOf(*store, buffers, {0, 1, 2, 3}), (std::vector<int>{0, 0, EIO, ENODATA}));
}

TEST(PosixPageStoreTest, AFailedSyncIsForEver) {
  SimulatedFiles files;
  const auto store = Make(files, 1);
  ASSERT_TRUE(store->Sync());
  files.FailCall(Call::kSync, 1, ENOSPC);
  const auto first = store->Sync();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().system_errno, ENOSPC);
  const auto second = store->Sync();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kIo);
  EXPECT_EQ(second.error().system_errno, ENOSPC);
  EXPECT_NE(second.error().message.find("an earlier sync failed"), std::string::npos);
  EXPECT_EQ(files.calls(Call::kSync), 2u) << "the kernel is not asked again";
  EXPECT_EQ(WritePage(*store, 0, 2), 0);
  EXPECT_EQ(VersionOf(*store, 0), 2);
}

TEST(PosixPageStoreTest, CreationThatFailsAnywhereSaysSoAndLeavesNothing) {
  size_t failed = 0;
  for (size_t nth = 1;; ++nth) {
    SimulatedFiles files;
    files.AllowDirect({.memory_bytes = 8, .offset_bytes = 512});
    files.FailCall(nth, EIO);
    const auto store = PosixPageStore::Create(
        {.path = "f/pages", .create = true, .direct = true, .file_calls = &files});
    if (files.calls() < nth) {
      EXPECT_TRUE(store);
      break;
    }
    if (store) continue;  // It can do without that call.
    ++failed;
    EXPECT_EQ(store.error().code, ErrorCode::kIo);
    EXPECT_EQ(store.error().system_errno, EIO);
    EXPECT_FALSE(store.error().message.empty());
    EXPECT_EQ(files.open_files(), 0u) << "call " << nth;
    EXPECT_TRUE(files.Paths().empty()) << "call " << nth;
  }
  EXPECT_GE(failed, 6u);
}

TEST(PosixPageStoreTest, EachCallThatFailsIsAnErrorAndLeavesThePages) {
  const auto use = [](PageStore& store) {
    std::vector<bool> done;
    done.push_back(WritePage(store, 3, 2) == 0);
    done.push_back(store.Extend(8).has_value());
    done.push_back(store.Truncate(2).has_value());
    done.push_back(VersionOf(store, 1) == 1);
    done.push_back(WritePage(store, 2, 2) == 0);
    done.push_back(store.Sync().has_value());
    return done;
  };
  for (size_t nth = 1;; ++nth) {
    SimulatedFiles files;
    const auto store = Make(files, 3);
    files.FailCall(nth, ENOSPC);
    const std::vector<bool> done = use(*store);
    if (files.calls() < nth) break;
    SCOPED_TRACE("call " + std::to_string(nth));
    EXPECT_EQ(std::count(done.begin(), done.end(), false), 1);
    // And all goes on.
    EXPECT_EQ(VersionOf(*store, 0), 1);
    EXPECT_EQ(VersionOf(*store, 1), 1);
    EXPECT_EQ(WritePage(*store, 9, 3), 0);
    EXPECT_EQ(VersionOf(*store, 9), 3);
    EXPECT_EQ(VersionOf(*store, 8), 0);
    EXPECT_EQ(store->PageCount() * 512, files.Contents("f/pages")->size());
  }
}

TEST(PosixPageStoreTest, WhatAFailedWriteLeftBehindTheEndNeverShows) {
  SimulatedFiles files;
  const auto store = Make(files, 2);
  // A part of page 4 is written, and then the disk is full.
  files.LimitTransfers(100);
  files.FailCall(Call::kWriteAt, 2, ENOSPC);
  EXPECT_EQ(WritePage(*store, 4, 2), ENOSPC);
  files.LimitTransfers(0);
  EXPECT_EQ(store->PageCount(), 2u);
  EXPECT_EQ(VersionOf(*store, 4), -1);
  EXPECT_EQ(files.Contents("f/pages")->size(), 4 * 512u + 100);
  // It cannot be cleared: then nothing is added.
  files.FailCall(Call::kTruncate, 1, EIO);
  EXPECT_EQ(WritePage(*store, 5, 2), EIO);
  EXPECT_EQ(WritePage(*store, 1, 2), 0);
  EXPECT_EQ(WritePage(*store, 5, 2), 0);
  EXPECT_EQ(VersionOf(*store, 4), 0);
  EXPECT_EQ(VersionOf(*store, 5), 2);
}

TEST(PosixPageStoreTest, AFileThatEndsWithinAPageHasTheWholeOnes) {
  SimulatedFiles files;
  files.Put("f/pages", std::vector<std::byte>(2 * 512 + 100, std::byte{7}));
  auto store = PosixPageStore::Create({.path = "f/pages", .page_bytes = 512, .file_calls = &files});
  EXPECT_EQ((*store)->PageCount(), 2u);
  EXPECT_EQ(VersionOf(**store, 2), -1);
  EXPECT_EQ(files.Contents("f/pages")->size(), 2 * 512u + 100) << "opening changes nothing";
  ASSERT_TRUE((*store)->Extend(4));
  EXPECT_EQ(VersionOf(**store, 2), 0);
}

TEST(PosixPageStoreTest, ExtendSetsSpaceAsideWhereTheFileSystemCan) {
  SimulatedFiles files;
  const auto store = Make(files, 1);
  ASSERT_TRUE(store->Extend(10));
  EXPECT_EQ(files.calls(Call::kAllocate), 1u);
  EXPECT_EQ(files.calls(Call::kTruncate), 0u);
  files.ForbidAllocation();
  ASSERT_TRUE(store->Extend(20));
  EXPECT_EQ(files.calls(Call::kTruncate), 1u);
  EXPECT_EQ(VersionOf(*store, 19), 0);
}

TEST(PosixPageStoreTest, OneFileIsOneStores) {
  SimulatedFiles files;
  const PageFileOptions reading = {.path = "f/pages", .read_only = true, .file_calls = &files};
  const PageFileOptions writing = {.path = "f/pages", .create = true, .file_calls = &files};
  auto store = PosixPageStore::Create(writing);
  ASSERT_TRUE(store);
  EXPECT_EQ(PosixPageStore::Create(writing).error().code, ErrorCode::kBusy);
  EXPECT_EQ(PosixPageStore::Create(reading).error().code, ErrorCode::kBusy);
  PageFileOptions unlocked = writing;
  unlocked.lock = false;
  EXPECT_TRUE(PosixPageStore::Create(unlocked));
  store->reset();
  const auto first = PosixPageStore::Create(reading);
  const auto second = PosixPageStore::Create(reading);
  EXPECT_TRUE(first && second);
}

TEST(PosixPageStoreTest, ReadOnlyStoresChangeNothing) {
  SimulatedFiles files;
  Make(files, 3).reset();
  auto store = PosixPageStore::Create(
      {.path = "f/pages", .page_bytes = 512, .read_only = true, .file_calls = &files});
  ASSERT_TRUE(store);
  EXPECT_EQ(VersionOf(**store, 2), 1);
  EXPECT_EQ(WritePage(**store, 2, 2), EBADF);
  EXPECT_EQ(WritePage(**store, 3, 2), EBADF);
  EXPECT_EQ((*store)->Extend(9).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ((*store)->Truncate(1).error().message, "f/pages: is open for reading only");
  EXPECT_EQ(VersionOf(**store, 2), 1);
  EXPECT_EQ((*store)->PageCount(), 3u);
}

TEST(PosixPageStoreTest, RefusalsSayWhatIsAskedFor) {
  SimulatedFiles files;
  PageFileOptions options = {.path = "f/pages", .page_bytes = 1000, .file_calls = &files};
  auto refused = PosixPageStore::Create(options);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.error().message,
            "f/pages: pages of 1000 bytes; a power of two from 512 to 1048576 is asked for");
  options.page_bytes = 512;
  EXPECT_EQ(PosixPageStore::Create(options).error().system_errno, ENOENT);
  options.create = true;
  options.direct = true;
  refused = PosixPageStore::Create(options);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(refused.error().message,
            "f/pages: its file system has no direct I/O (O_DIRECT): Invalid argument");
  EXPECT_TRUE(files.Paths().empty());
  files.AllowDirect({.memory_bytes = 8, .offset_bytes = 1024});
  refused = PosixPageStore::Create(options);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(refused.error().message,
            "f/pages: direct I/O is in units of 1024 bytes, of which a page of 512 bytes is no "
            "multiple");
  EXPECT_TRUE(files.Paths().empty());
  options.page_bytes = 4096;
  EXPECT_TRUE(PosixPageStore::Create(options));
  files.AllowDirect({.memory_bytes = 8, .offset_bytes = 1024}, /*is_told=*/false);
  EXPECT_EQ((*PosixPageStore::Create(options))->Limits().offset_alignment, 4096u);
}

TEST(PosixPageStoreTest, WhatWasSyncedOutlivesAPowerCutAndSoDoesTheFile) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 50; ++i) {
    SimulatedFiles files;
    auto store = Make(files, 4);
    ASSERT_TRUE(store->Extend(6));
    ASSERT_TRUE(store->Sync());
    EXPECT_EQ(WritePage(*store, 3, 2), 0);
    files.CutPower(1 + random() % 3);
    static_cast<void>(WritePage(*store, 2, 2));
    static_cast<void>(store->Truncate(5));
    EXPECT_FALSE(store->Sync());
    store.reset();
    files.Reboot(random);
    const auto again =
        PosixPageStore::Create({.path = "f/pages", .page_bytes = 512, .file_calls = &files});
    ASSERT_TRUE(again);
    EXPECT_GE((*again)->PageCount(), 5u);
    EXPECT_EQ(VersionOf(**again, 0), 1);
    EXPECT_EQ(VersionOf(**again, 1), 1);
    EXPECT_EQ(VersionOf(**again, 4), 0);
  }
}

}  // namespace
}  // namespace granary
