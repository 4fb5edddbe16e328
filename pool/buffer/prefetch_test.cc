#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/testing/fault_page_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 512;
constexpr uint64_t kPages = 500;

class PrefetchTest : public ::testing::Test {
 protected:
  void Make(size_t frames) {
    pages_ = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = frames});
    pool_ = *BufferPool::Create({.pages = pages_.get(), .frames = frames, .has_evictor = false});
  }
  FileId Attach() {
    AttachOptions attach;
    attach.store = *MemoryPageStore::Create(
        {.page_bytes = kPageBytes, .pages = kPages, .capacity_pages = 2 * kPages});
    attach.pages_max = 2 * kPages;
    return *pool_->Attach(std::move(attach));
  }
  bool IsThere(PageId id) { return pool_->TryPeek(id).has_value(); }

  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<BufferPool> pool_;
};

TEST_F(PrefetchTest, PagesOfManyFilesInAnyOrderComeOnce) {
  Make(2000);
  const FileId files[] = {Attach(), Attach(), Attach()};
  std::vector<PageId> ids;
  for (uint64_t i = 0; i < 600; ++i) {
    ids.push_back({files[i % 3], (i * 7) % 200});
    if (i % 5 == 0) ids.push_back(ids[i / 2]);
  }
  for (uint64_t i = 0; i < 300; ++i) ids.push_back({files[1], 499 - i});
  ASSERT_TRUE(pool_->FixShared(ids[10]));
  const size_t brought = pool_->Prefetch(ids);
  for (const PageId& id : ids) EXPECT_TRUE(IsThere(id));
  EXPECT_EQ(brought + 1, pool_->ResidentPages().size());
  EXPECT_EQ(pool_->Stats().prefetched, brought);
  EXPECT_EQ(pool_->Prefetch(ids), 0U);
  EXPECT_EQ(pool_->Stats().misses, 1U);
}

// Nobody is told that there is no such page before he asks for it, and nothing counts as an error.
TEST_F(PrefetchTest, PagesThatThereAreNotAreLeftOut) {
  Make(100);
  const FileId file = Attach();
  const PageId ids[] = {{file, kPages},     {file, 1}, {file, 2 * kPages}, {file, UINT64_MAX},
                        {file, kPages - 1}, {7, 1},    {~FileId{0}, 1},    {file, 2},
                        {file, kPages + 1}, {file, 3}};
  EXPECT_EQ(pool_->Prefetch(ids), 4U);
  EXPECT_EQ(pool_->Stats().read_errors, 0U);
  EXPECT_EQ(pool_->ResidentPages().size(), 4U);
  EXPECT_TRUE(pool_->Reserve(100));
}

TEST_F(PrefetchTest, APageThatCannotBeReadHarmsNoOther) {
  Make(100);
  auto memory = *MemoryPageStore::Create({.page_bytes = kPageBytes, .pages = kPages});
  auto faults = std::make_unique<FaultPageStore>(std::move(memory));
  FaultPageStore& store = *faults;
  AttachOptions attach;
  attach.store = std::move(faults);
  attach.pages_max = kPages;
  const FileId file = *pool_->Attach(std::move(attach));
  store.InjectNth(PageFault::kReadError, 5);
  std::vector<PageId> ids;
  for (uint64_t page = 0; page < 10; ++page) ids.push_back({file, page});
  EXPECT_EQ(pool_->Prefetch(ids), 9U);
  EXPECT_EQ(pool_->Stats().read_errors, 1U);
  for (uint64_t page = 0; page < 10; ++page) EXPECT_EQ(IsThere({file, page}), page != 4) << page;
  EXPECT_TRUE(pool_->Reserve(100));
}

TEST_F(PrefetchTest, MoreThanFitComeOneAfterTheOther) {
  Make(32);
  const FileId file = Attach();
  std::vector<PageId> ids;
  for (uint64_t page = 0; page < kPages; ++page) ids.push_back({file, page});
  EXPECT_EQ(pool_->Prefetch(ids), kPages);
  EXPECT_EQ(pool_->ResidentPages().size(), 32U);
}

TEST_F(PrefetchTest, ItStopsWhereEveryFrameIsInUse) {
  Make(32);
  const FileId file = Attach();
  const auto all_but_one = pool_->Reserve(31);
  ASSERT_TRUE(all_but_one);
  const auto last = pool_->FixShared({file, 400});
  ASSERT_TRUE(last);
  std::vector<PageId> ids;
  for (uint64_t page = 0; page < 100; ++page) ids.push_back({file, page});
  EXPECT_EQ(pool_->Prefetch(ids), 0U);
}

}  // namespace
}  // namespace granary
