#include "memory/file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace granary {
namespace {

std::span<const std::byte> AsBytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string PathOf(const std::string& name) { return ::testing::TempDir() + "/file_test_" + name; }

// Does a byte at a time, is interrupted each second time, and refuses one kind of call.
class ReluctantCalls final : public FileCalls {
 public:
  int sync_errno = 0;
  int write_errno = 0;
  bool writes_nothing = false;

  ssize_t ReadAt(int file, void* bytes, size_t count, off_t offset) noexcept override {
    if (Interrupts()) return -1;
    return FileCalls::ReadAt(file, bytes, std::min<size_t>(count, 1), offset);
  }
  ssize_t WriteAt(int file, const void* bytes, size_t count, off_t offset) noexcept override {
    if (write_errno != 0) {
      errno = write_errno;
      return -1;
    }
    if (writes_nothing) return 0;
    if (Interrupts()) return -1;
    return FileCalls::WriteAt(file, bytes, std::min<size_t>(count, 1), offset);
  }
  int Sync(int file) noexcept override {
    if (sync_errno == 0) return FileCalls::Sync(file);
    errno = sync_errno;
    return -1;
  }

 private:
  bool Interrupts() {
    interrupts_ = !interrupts_;
    if (interrupts_) errno = EINTR;
    return interrupts_;
  }

  bool interrupts_ = false;
};

TEST(FileTest, ReadsWhatWasWritten) {
  const std::string path = PathOf("whole");
  auto file = File::Open(path, O_RDWR | O_CREAT | O_TRUNC);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(file->WriteAt(3, AsBytes("granary")));
  EXPECT_EQ(file->Size(), 10U);
  std::string read(7, ' ');
  ASSERT_TRUE(file->ReadAt(3, std::as_writable_bytes(std::span(read))));
  EXPECT_EQ(read, "granary");
  ASSERT_TRUE(file->Truncate(5));
  EXPECT_EQ(file->Size(), 5U);
  EXPECT_TRUE(file->Sync());
  EXPECT_TRUE(file->Close());
  EXPECT_FALSE(file->is_open());
  EXPECT_FALSE(file->ReadAt(0, std::as_writable_bytes(std::span(read))));
}

TEST(FileTest, GoesOnAfterInterruptionsAndParts) {
  ReluctantCalls calls;
  auto file = File::Open(PathOf("parts"), O_RDWR | O_CREAT | O_TRUNC, 0644, calls);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->WriteAt(0, AsBytes("granary")));
  std::string read(7, ' ');
  ASSERT_TRUE(file->ReadAt(0, std::as_writable_bytes(std::span(read))));
  EXPECT_EQ(read, "granary");
}

TEST(FileTest, EndOfFileIsAnErrorThatSaysHowFarItWent) {
  auto file = File::Open(PathOf("end"), O_RDWR | O_CREAT | O_TRUNC);
  ASSERT_TRUE(file->WriteAt(0, AsBytes("gran")));
  std::string read(7, ' ');
  const auto whole = file->ReadAt(0, std::as_writable_bytes(std::span(read)));
  ASSERT_FALSE(whole);
  EXPECT_EQ(whole.error().code, ErrorCode::kIo);
  EXPECT_EQ(whole.error().message,
            file->path() + ": read of 7 bytes at 0: the file ends after 4 of them");
  EXPECT_EQ(file->ReadUpTo(0, std::as_writable_bytes(std::span(read))), 4U);
  EXPECT_EQ(file->ReadUpTo(9, std::as_writable_bytes(std::span(read))), 0U);
}

TEST(FileTest, ErrorsNameFileAndReason) {
  const auto missing = File::Open("/nowhere/at/all", O_RDONLY);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().system_errno, ENOENT);
  EXPECT_EQ(missing.error().message,
            "/nowhere/at/all: cannot be opened: No such file or directory");

  ReluctantCalls calls;
  auto file = File::Open(PathOf("errors"), O_RDWR | O_CREAT | O_TRUNC, 0644, calls);
  ASSERT_TRUE(file);
  calls.sync_errno = EIO;
  EXPECT_EQ(file->Sync().error().system_errno, EIO);
  calls.write_errno = ENOSPC;
  const auto full = file->WriteAt(5, AsBytes("abc"));
  EXPECT_EQ(full.error().message,
            file->path() + ": write of 3 bytes at 5: No space left on device");
  calls.write_errno = 0;
  calls.writes_nothing = true;
  EXPECT_FALSE(file->WriteAt(5, AsBytes("abc")));
}

TEST(FileTest, SecondExclusiveLockIsBusy) {
  const std::string path = PathOf("lock");
  auto first = File::Open(path, O_RDWR | O_CREAT);
  auto second = File::Open(path, O_RDWR);
  ASSERT_TRUE(first->Lock(/*is_exclusive=*/true));
  const auto refused = second->Lock(/*is_exclusive=*/true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBusy);
  ASSERT_TRUE(first->Close());
  EXPECT_TRUE(second->Lock(/*is_exclusive=*/false));
}

TEST(FileTest, RenamesDurably) {
  const std::string from = PathOf("from");
  const std::string to = PathOf("to");
  auto file = File::Open(from, O_RDWR | O_CREAT | O_TRUNC);
  ASSERT_TRUE(file->WriteAt(0, AsBytes("x")));
  ASSERT_TRUE(RenameDurably(from, to));
  EXPECT_FALSE(File::Open(from, O_RDONLY));
  EXPECT_EQ(File::Open(to, O_RDONLY)->Size(), 1U);
  EXPECT_EQ(RenameDurably(from, to).error().system_errno, ENOENT);
}

TEST(FileTest, MovesAndClosesOnce) {
  auto file = File::Open(PathOf("move"), O_RDWR | O_CREAT);
  const int descriptor = file->descriptor();
  {
    File moved = std::move(*file);
    EXPECT_FALSE(file->is_open());
    EXPECT_TRUE(moved.is_open());
  }
  EXPECT_EQ(::fcntl(descriptor, F_GETFD), -1);
}

}  // namespace
}  // namespace granary
