#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr uint64_t kPages = 100;

template <class Pool>
class FileViewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    pages_ = *PagePool::Create({.max_pages = 64});
    BufferPoolOptions options;
    options.pages = pages_.get();
    options.frames = 32;
    pool_ = *Pool::Create(options);
    // A file of another number than the first.
    for (FileId& file : files_) file = Attach(kPages);
  }

  FileId Attach(uint64_t pages_max) {
    AttachOptions attach;
    attach.store = *MemoryPageStore::Create({.pages = pages_max});
    attach.pages_max = pages_max;
    return *pool_->Attach(std::move(attach));
  }
  void Write(FileId file, uint64_t page, uint64_t value) {
    auto fixed = pool_->FixExclusive({file, page});
    ASSERT_TRUE(fixed) << fixed.error().message;
    std::memcpy(fixed->data(), &value, sizeof(value));
    fixed->MarkDirty(1);
  }

  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<Pool> pool_;
  FileId files_[2] = {};
};

using Pools = ::testing::Types<BufferPool, HashBufferPool>;
TYPED_TEST_SUITE(FileViewTest, Pools);

TYPED_TEST(FileViewTest, PagesAreThoseOfItsFile) {
  for (const FileId file : this->files_) {
    for (uint64_t page = 0; page < kPages; ++page) this->Write(file, page, page * 2 + file);
  }
  for (const FileId file : this->files_) {
    const auto view = this->pool_->ViewOf(file);
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->file(), file);
    EXPECT_EQ(&view->pool(), this->pool_.get());
    for (uint64_t page = 0; page < kPages; ++page) {
      {
        const auto fixed = view->FixShared(page);
        ASSERT_TRUE(fixed) << fixed.error().message;
        EXPECT_EQ(fixed->id(), (PageId{file, page}));
        uint64_t value;
        std::memcpy(&value, fixed->data(), sizeof(value));
        EXPECT_EQ(value, page * 2 + file);
      }
      const auto peeked = view->Peek(page);
      ASSERT_TRUE(peeked) << peeked.error().message;
      EXPECT_EQ(peeked->template Read<uint64_t>(0), page * 2 + file);
      EXPECT_TRUE(peeked->Validate());
    }
  }
}

TYPED_TEST(FileViewTest, ALookSeesWhatIsChangedByWayOfThePoolAndTheOtherWayRound) {
  const auto view = *this->pool_->ViewOf(this->files_[1]);
  this->Write(this->files_[1], 7, 1);
  auto by_view = view.TryPeek(7);
  auto by_pool = this->pool_->TryPeek({this->files_[1], 7});
  ASSERT_TRUE(by_view);
  ASSERT_TRUE(by_pool);
  EXPECT_EQ(by_view->data(), by_pool->data());
  by_pool.reset();
#if !defined(__SANITIZE_THREAD__)
  this->Write(this->files_[1], 7, 2);
  EXPECT_FALSE(by_view->Validate());
  by_view = view.TryPeek(7);
  ASSERT_TRUE(by_view);
#endif
  auto upgraded = by_view->TryUpgrade();
  ASSERT_TRUE(upgraded);
  EXPECT_FALSE(view.TryPeek(7));
  upgraded.reset();
  {
    auto fixed = view.FixExclusive(7);
    ASSERT_TRUE(fixed) << fixed.error().message;
    EXPECT_FALSE(view.TryPeek(7));
  }
  EXPECT_TRUE(view.TryPeek(7));
}

TYPED_TEST(FileViewTest, APageThatIsNotThereIsNotPeekedAtAndIsBrought) {
  const auto view = *this->pool_->ViewOf(this->files_[0]);
  EXPECT_FALSE(view.TryPeek(3));
  EXPECT_EQ(this->pool_->Stats().misses, 0U);
  EXPECT_TRUE(view.Peek(3));
  EXPECT_TRUE(view.TryPeek(3));
  EXPECT_EQ(this->pool_->Stats().misses, 1U);
}

TYPED_TEST(FileViewTest, PagesBeyondTheEndAreRefused) {
  const auto view = *this->pool_->ViewOf(this->files_[0]);
  for (const uint64_t page : {kPages, uint64_t{1} << 40, UINT64_MAX}) {
    EXPECT_FALSE(view.TryPeek(page));
    EXPECT_EQ(view.Peek(page).error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(view.FixShared(page).error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(view.FixExclusive(page).error().code, ErrorCode::kInvalidArgument);
  }
}

TYPED_TEST(FileViewTest, ThereIsNoneOfAFileThatIsNotThere) {
  for (const FileId file : {FileId{2}, FileId{1000}, ~FileId{0}}) {
    EXPECT_EQ(this->pool_->ViewOf(file).error().code, ErrorCode::kInvalidArgument);
  }
}

// What it knows of the file was true of another one: nothing of that is followed.
TYPED_TEST(FileViewTest, OfAFileThatIsDetachedItHasNothing) {
  const FileId file = this->files_[1];
  this->Write(file, 7, 1);
  const auto view = *this->pool_->ViewOf(file);
  ASSERT_TRUE(this->pool_->Detach(file));
  EXPECT_FALSE(view.TryPeek(7));
  EXPECT_EQ(view.Peek(7).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(view.FixShared(7).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(view.FixExclusive(7).error().code, ErrorCode::kInvalidArgument);
  // One that is too large for the place that the first one had.
  ASSERT_EQ(this->Attach(1000 * kPages), file);
  this->Write(file, 7, 2);
  this->Write(file, 500 * kPages, 3);
  const auto fixed = view.FixShared(7);
  ASSERT_TRUE(fixed) << fixed.error().message;
  EXPECT_EQ(fixed->id(), (PageId{file, 7}));
  const auto beyond = view.FixShared(500 * kPages);
  ASSERT_TRUE(beyond) << beyond.error().message;
  EXPECT_EQ(beyond->id(), (PageId{file, 500 * kPages}));
}

}  // namespace
}  // namespace granary
