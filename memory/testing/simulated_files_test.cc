#include "memory/testing/simulated_files.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/file.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

std::span<const std::byte> AsBytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string TextOf(const SimulatedFiles& files, const std::string& path) {
  const auto contents = files.Contents(path);
  if (!contents) return "(none)";
  return {reinterpret_cast<const char*>(contents->data()), contents->size()};
}

Expected<File> Make(SimulatedFiles& files, const std::string& path) {
  return File::Open(path, O_RDWR | O_CREAT, 0644, files);
}

void SyncFolder(SimulatedFiles& files, const std::string& path) {
  ASSERT_TRUE(File::Open(path, O_RDONLY | O_DIRECTORY, 0, files)->Sync());
}

// Answers so that nothing survives that need not, or everything.
const SimulatedFiles::Choose kLoseAll = [](size_t) { return size_t{0}; };

TEST(SimulatedFilesTest, BehavesAsFilesDo) {
  SimulatedFiles files;
  EXPECT_EQ(File::Open("a/b", O_RDWR, 0, files).error().system_errno, ENOENT);
  {
    auto file = Make(files, "a/b");
    ASSERT_TRUE(file->WriteAt(3, AsBytes("granary")));
    EXPECT_EQ(TextOf(files, "a/b"), std::string(3, '\0') + "granary");
    std::string read(4, ' ');
    ASSERT_TRUE(file->ReadAt(5, std::as_writable_bytes(std::span(read))));
    EXPECT_EQ(read, "anar");
    ASSERT_TRUE(file->Truncate(5));
    EXPECT_EQ(file->Size(), 5U);
    EXPECT_FALSE(file->ReadAt(3, std::as_writable_bytes(std::span(read))));
    EXPECT_EQ(File::Open("a/b", O_RDWR | O_CREAT | O_EXCL, 0, files).error().system_errno, EEXIST);
    EXPECT_EQ(File::Open("a/b", O_RDONLY | O_DIRECTORY, 0, files).error().system_errno, ENOTDIR);
    EXPECT_EQ(File::Open("a/b", O_RDONLY, 0, files)->WriteAt(0, AsBytes("x")).error().system_errno,
              EBADF);
    EXPECT_EQ(File::Open("./a/b", O_RDWR | O_TRUNC, 0, files)->Size(), 0U);
    EXPECT_EQ(files.open_files(), 1U);
  }
  EXPECT_EQ(files.open_files(), 0U);
  EXPECT_EQ(files.Rename("a/b", "c/b"), -1);
  EXPECT_EQ(errno, EXDEV);
  EXPECT_EQ(files.Rename("a/b", "a/c"), 0);
  EXPECT_EQ(files.Paths(), std::vector<std::string>{"a/c"});
  EXPECT_EQ(files.Unlink("a/c"), 0);
  EXPECT_EQ(files.Unlink("a/c"), -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_TRUE(files.Paths().empty());
}

TEST(SimulatedFilesTest, FileThatIsUnlinkedOrReplacedStaysForWhoHasIt) {
  SimulatedFiles files;
  files.Put("a", AsBytes("old"));
  files.Put("b", AsBytes("new"));
  auto old = Make(files, "a");
  ASSERT_EQ(files.Rename("b", "a"), 0);
  EXPECT_EQ(TextOf(files, "a"), "new");
  std::string read(3, ' ');
  ASSERT_TRUE(old->ReadAt(0, std::as_writable_bytes(std::span(read))));
  EXPECT_EQ(read, "old");
  ASSERT_TRUE(old->WriteAt(0, AsBytes("OLD")));
  EXPECT_EQ(TextOf(files, "a"), "new");
}

TEST(SimulatedFilesTest, LocksAreThoseOfTheOpenFile) {
  SimulatedFiles files;
  auto first = Make(files, "a");
  auto second = Make(files, "a");
  ASSERT_TRUE(first->Lock(/*is_exclusive=*/false));
  EXPECT_TRUE(second->Lock(/*is_exclusive=*/false));
  EXPECT_EQ(second->Lock(/*is_exclusive=*/true).error().code, ErrorCode::kBusy);
  ASSERT_TRUE(first->Close());
  EXPECT_TRUE(second->Lock(/*is_exclusive=*/true));
  auto third = Make(files, "a");
  EXPECT_EQ(third->Lock(/*is_exclusive=*/true).error().code, ErrorCode::kBusy);
  EXPECT_EQ(files.Unlock(second->descriptor()), 0);
  EXPECT_TRUE(third->Lock(/*is_exclusive=*/true));
  files.Reboot(kLoseAll);
  EXPECT_FALSE(second->Sync()) << "a descriptor from before the power cut";
}

TEST(SimulatedFilesTest, FailsTheNthCallOnce) {
  SimulatedFiles files;
  auto file = Make(files, "a");
  files.FailCall(2, ENOSPC);
  EXPECT_TRUE(file->WriteAt(0, AsBytes("one")));
  EXPECT_EQ(file->WriteAt(0, AsBytes("two")).error().system_errno, ENOSPC);
  EXPECT_EQ(TextOf(files, "a"), "one");
  EXPECT_TRUE(file->WriteAt(0, AsBytes("six")));
  files.FailCall(SimulatedFiles::Call::kSync, 2, EIO);
  EXPECT_TRUE(file->WriteAt(0, AsBytes("ten")));
  EXPECT_TRUE(file->Sync());
  EXPECT_EQ(file->Sync().error().system_errno, EIO);
  EXPECT_TRUE(file->Sync());
  EXPECT_EQ(files.calls(SimulatedFiles::Call::kSync), 3U);
  EXPECT_EQ(files.calls(SimulatedFiles::Call::kWriteAt), 4U);
  EXPECT_EQ(files.calls(), 8U);
}

TEST(SimulatedFilesTest, ShortTransfersAreGoneOnWith) {
  SimulatedFiles files;
  files.LimitTransfers(2);
  auto file = Make(files, "a");
  ASSERT_TRUE(file->WriteAt(0, AsBytes("granary")));
  EXPECT_EQ(files.calls(SimulatedFiles::Call::kWriteAt), 4U);
  EXPECT_EQ(TextOf(files, "a"), "granary");
}

TEST(SimulatedFilesTest, VectoredCallsAreAsTheOthersOfAllTheirPieces) {
  SimulatedFiles files;
  auto file = Make(files, "a");
  std::string gran = "gran";
  std::string ary = "ary";
  const iovec pieces[] = {{gran.data(), 4}, {nullptr, 0}, {ary.data(), 3}};
  EXPECT_EQ(files.WriteVectorAt(file->descriptor(), pieces, 3, 2), 7);
  EXPECT_EQ(TextOf(files, "a"), std::string(2, '\0') + "granary");
  EXPECT_EQ(files.unsynced_writes("a"), 1U) << "one call is one write";
  gran = "....";
  ary = "...";
  EXPECT_EQ(files.ReadVectorAt(file->descriptor(), pieces, 3, 4), 5);
  EXPECT_EQ(gran + ary, "anary..");
  EXPECT_EQ(files.ReadVectorAt(file->descriptor(), pieces, 3, 9), 0);
  files.LimitTransfers(5);
  EXPECT_EQ(files.ReadVectorAt(file->descriptor(), pieces, 3, 2), 5);
  EXPECT_EQ(files.WriteVectorAt(file->descriptor(), pieces, 3, 0), 5);
  EXPECT_EQ(files.ReadVectorAt(file->descriptor(), pieces, IOV_MAX + 1, 0), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(files.calls(SimulatedFiles::Call::kReadVectorAt), 4U);
  EXPECT_EQ(files.calls(SimulatedFiles::Call::kWriteVectorAt), 2U);
}

TEST(SimulatedFilesTest, AllocationMakesTheFileLargerAndAPowerCutMayTakeThatBack) {
  for (const size_t answer : {0U, 1U}) {
    SimulatedFiles files;
    files.Put("a", AsBytes("old"));
    auto file = Make(files, "a");
    EXPECT_EQ(files.Allocate(file->descriptor(), 1, 1), 0);
    EXPECT_EQ(TextOf(files, "a"), "old");
    EXPECT_EQ(files.Allocate(file->descriptor(), 3, 2), 0);
    EXPECT_EQ(TextOf(files, "a"), std::string("old\0\0", 5));
    files.Reboot([&](size_t limit) { return std::min(answer, limit - 1); });
    EXPECT_EQ(TextOf(files, "a"), answer == 0 ? "old" : std::string("old\0\0", 5));
  }
  SimulatedFiles files;
  auto file = Make(files, "a");
  files.ForbidAllocation();
  EXPECT_EQ(files.Allocate(file->descriptor(), 0, 8), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST(SimulatedFilesTest, DirectFilesTakeWhatIsAlignedAlone) {
  SimulatedFiles files;
  EXPECT_EQ(File::Open("a", O_RDWR | O_CREAT | O_DIRECT, 0644, files).error().system_errno, EINVAL);
  EXPECT_TRUE(files.Paths().empty());
  files.AllowDirect({.memory_bytes = 16, .offset_bytes = 8});
  auto file = File::Open("a", O_RDWR | O_CREAT | O_DIRECT, 0644, files);
  ASSERT_TRUE(file);
  DirectAlignment told;
  ASSERT_EQ(files.DirectAlignmentOf(file->descriptor(), &told), 0);
  EXPECT_EQ(told.memory_bytes, 16U);
  EXPECT_EQ(told.offset_bytes, 8U);
  alignas(16) std::byte bytes[32] = {};
  EXPECT_TRUE(file->WriteAt(8, std::span(bytes).first(16)));
  EXPECT_FALSE(file->WriteAt(4, std::span(bytes).first(16)));
  EXPECT_FALSE(file->WriteAt(8, std::span(bytes).first(12)));
  EXPECT_FALSE(file->ReadAt(8, std::span(bytes).subspan(8, 8)));
  EXPECT_TRUE(file->ReadAt(8, std::span(bytes).subspan(16, 8)));
  EXPECT_TRUE(Make(files, "a")->WriteAt(1, std::span(bytes).first(3))) << "this one is not";
  files.AllowDirect({.memory_bytes = 16, .offset_bytes = 8}, /*is_told=*/false);
  EXPECT_EQ(files.DirectAlignmentOf(file->descriptor(), &told), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST(SimulatedFilesTest, PowerCutKeepsWhatWasSynced) {
  SimulatedFiles files;
  auto file = Make(files, "f/a");
  ASSERT_TRUE(file->WriteAt(0, AsBytes("granary")));
  EXPECT_EQ(files.unsynced_writes("f/a"), 1U);
  ASSERT_TRUE(file->Sync());
  EXPECT_EQ(files.unsynced_writes("f/a"), 0U);
  SyncFolder(files, "f");
  ASSERT_TRUE(file->WriteAt(0, AsBytes("GRANARY")));
  ASSERT_TRUE(file->Truncate(2));
  ASSERT_EQ(files.Rename("f/a", "f/b"), 0);
  files.CutPower(1);
  EXPECT_FALSE(file->Sync());
  EXPECT_TRUE(files.is_down());
  EXPECT_FALSE(file->Size());
  files.Reboot(kLoseAll);
  EXPECT_FALSE(files.is_down());
  EXPECT_EQ(files.Paths(), std::vector<std::string>{"f/a"});
  EXPECT_EQ(TextOf(files, "f/a"), "granary");
}

TEST(SimulatedFilesTest, FileSyncDoesNotKeepItsName) {
  SimulatedFiles files;
  auto file = Make(files, "f/a");
  ASSERT_TRUE(file->WriteAt(0, AsBytes("granary")));
  ASSERT_TRUE(file->Sync());
  files.Reboot(kLoseAll);
  EXPECT_TRUE(files.Paths().empty());
}

TEST(SimulatedFilesTest, NamesAreAsAtSomeMomentSinceTheFoldersSync) {
  std::set<std::vector<std::string>> seen;
  for (size_t moment = 0; moment < 4; ++moment) {
    SimulatedFiles files;
    files.Put("f/a", AsBytes("old"));
    ASSERT_TRUE(Make(files, "f/b"));
    ASSERT_EQ(files.Rename("f/b", "f/a"), 0);
    ASSERT_EQ(files.Unlink("f/a"), 0);
    files.Reboot([&](size_t limit) {
      EXPECT_EQ(limit, 4U);
      return moment;
    });
    seen.insert(files.Paths());
    EXPECT_EQ(TextOf(files, "f/a"), moment < 2 ? "old" : moment == 2 ? "" : "(none)");
  }
  EXPECT_EQ(seen, (std::set<std::vector<std::string>>{{}, {"f/a"}, {"f/a", "f/b"}}));
}

TEST(SimulatedFilesTest, EachUnsyncedWriteIsThereOrNotOrTornBetweenSectors) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const std::string old(3000, 'o');
  std::set<std::string> within;
  std::set<std::string> at_end;
  for (int i = 0; i < 2000; ++i) {
    SimulatedFiles files;
    files.Put("a", AsBytes(old));
    auto file = Make(files, "a");
    ASSERT_TRUE(file->WriteAt(100, AsBytes(std::string(1000, 'x'))));
    ASSERT_TRUE(file->WriteAt(2900, AsBytes(std::string(300, 'y'))));
    files.Reboot(random);
    const std::string left = TextOf(files, "a");
    // Pieces between the sectors' ends have one letter each.
    std::string letters;
    for (const size_t from : {0U, 100U, 512U, 1024U, 1100U, 2900U, 3000U, 3072U, 3200U}) {
      letters += from < left.size() ? left[from] == '\0' ? '0' : left[from] : '-';
    }
    within.insert(letters.substr(0, 5));
    at_end.insert(letters.substr(5));
    ASSERT_EQ(letters[0], 'o');
    ASSERT_EQ(letters[4], 'o');
    ASSERT_EQ(letters[8], '-');
    for (size_t from = 100; from < left.size(); ++from) {
      const size_t edges[] = {100, 512, 1024, 1100, 2900, 3000, 3072, 3200};
      const size_t edge = *(std::upper_bound(std::begin(edges), std::end(edges), from) - 1);
      ASSERT_EQ(left[from], left[edge]) << "at " << from << ": torn within a sector";
    }
  }
  EXPECT_EQ(within.size(), 8U) << "the subsets of three sectors";
  EXPECT_EQ(at_end.size(), 5U) << "nothing, the size, the first sector, the last, both";
}

TEST(SimulatedFilesTest, CutCallMayHaveBeenDone) {
  bool was_done = false;
  bool was_not = false;
  for (const size_t answer : {0U, 1U}) {
    SimulatedFiles files;
    files.Put("a", AsBytes("old"));
    auto file = Make(files, "a");
    files.CutPower(1);
    EXPECT_FALSE(file->WriteAt(0, AsBytes("new")));
    files.Reboot([&](size_t limit) { return std::min<size_t>(answer, limit - 1); });
    was_done |= TextOf(files, "a") == "new";
    was_not |= TextOf(files, "a") == "old";
  }
  EXPECT_TRUE(was_done && was_not);
}

TEST(SimulatedFilesTest, KillLosesNothingButBreaksOffAWrite) {
  for (size_t kept = 0; kept <= 3; ++kept) {
    SimulatedFiles files;
    auto file = Make(files, "a");
    ASSERT_TRUE(file->WriteAt(0, AsBytes("one")));
    files.Kill(1);
    EXPECT_FALSE(file->WriteAt(3, AsBytes("two")));
    EXPECT_FALSE(file->Sync());
    EXPECT_EQ(files.Rename("a", "b"), -1);
    files.Restart([&](size_t) { return kept; });
    EXPECT_EQ(TextOf(files, "a"), std::string("onetwo", 3 + kept));
    EXPECT_EQ(files.unsynced_writes("a"), kept == 0 ? 1U : 2U) << "the kernel still may lose it";
  }
  SimulatedFiles files;
  ASSERT_TRUE(Make(files, "a"));
  files.Kill(1);
  EXPECT_EQ(files.Rename("a", "b"), -1);
  files.Restart(kLoseAll);
  EXPECT_EQ(files.Paths(), std::vector<std::string>{"a"});
}

TEST(SimulatedFilesTest, RenamingDurablyLeavesOldOrNewWhereverThePowerGoes) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const auto replace = [](SimulatedFiles& files) -> Expected<void> {
    auto file = Make(files, "f/new");
    if (!file) return tl::unexpected(file.error());
    if (auto done = file->WriteAt(0, AsBytes("new")); !done) return done;
    if (auto done = file->Sync(); !done) return done;
    return RenameDurably("f/new", "f/a", files);
  };
  SimulatedFiles counted;
  ASSERT_TRUE(replace(counted));
  for (size_t nth = 1; nth <= counted.calls(); ++nth) {
    for (int i = 0; i < 50; ++i) {
      SimulatedFiles files;
      files.Put("f/a", AsBytes("old"));
      files.CutPower(nth);
      const bool done = replace(files).has_value();
      files.Reboot(random);
      const std::string left = TextOf(files, "f/a");
      ASSERT_TRUE(left == "new" || (left == "old" && !done)) << left << " after call " << nth;
    }
  }
}

}  // namespace
}  // namespace granary
