// The frames of scans, where a scan is not the only one who wants them.
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 512;
constexpr uint64_t kPages = 1000;

class ScanRingTest : public ::testing::Test {
 protected:
  void Make(size_t frames, size_t ring_frames, EvictionKind eviction = EvictionKind::kS3Fifo) {
    pages_ = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = frames});
    BufferPoolOptions options = {.pages = pages_.get(), .frames = frames};
    options.eviction = eviction;
    options.has_evictor = false;
    options.scan_ring_frames = ring_frames;
    options.frame_wait = std::chrono::milliseconds(1);
    pool_ = *BufferPool::Create(options);
    AttachOptions attach;
    attach.store = *MemoryPageStore::Create({.page_bytes = kPageBytes, .pages = kPages});
    attach.pages_max = kPages;
    file_ = *pool_->Attach(std::move(attach));
  }
  void Fix(uint64_t first, uint64_t last, Access access) {
    for (uint64_t page = first; page < last; ++page) {
      auto fixed = pool_->FixShared({file_, page}, access);
      ASSERT_TRUE(fixed) << fixed.error().message;
    }
  }

  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<BufferPool> pool_;
  FileId file_ = 0;
};

TEST_F(ScanRingTest, PagesOfARingAreNoReasonNotToBecomeSmaller) {
  Make(64, 8);
  Fix(0, 64, Access::kNormal);
  Fix(100, 200, Access::kScan);
  const auto resized = pool_->Resize(4);
  ASSERT_TRUE(resized) << resized.error().message;
  EXPECT_LE(pool_->ResidentPages().size(), 4U);
}

// The wait is too short for as many pauses as pages are latched.
TEST_F(ScanRingTest, PagesOfARingAreLookedAtBeforeAFixGivesUp) {
  Make(64, 8, EvictionKind::kLru);
  Fix(0, 56, Access::kNormal);
  std::vector<SharedPage> latched;
  for (uint64_t page = 0; page < 56; ++page) latched.push_back(*pool_->FixShared({file_, page}));
  Fix(100, 108, Access::kNormal);
  Fix(200, 300, Access::kScan);
  const auto fixed = pool_->FixShared({file_, 500});
  EXPECT_TRUE(fixed) << fixed.error().message;
}

TEST_F(ScanRingTest, PagesThatAreReadAheadForAScanDriveOutNoMoreThanOthersOfIt) {
  Make(64, 8);
  for (int times = 0; times < 4; ++times) Fix(0, 40, Access::kNormal);
  Fix(40, 64, Access::kNormal);
  for (uint64_t page = 100; page < 900; page += 20) {
    std::vector<PageId> ahead;
    for (uint64_t next = page; next < page + 20; ++next) ahead.push_back({file_, next});
    (void)pool_->Prefetch(ahead, Access::kScan);
    Fix(page, page + 20, Access::kScan);
  }
  size_t kept = 0;
  for (const PageId id : pool_->ResidentPages()) kept += id.page < 40;
  EXPECT_GE(kept, 25U);
}

}  // namespace
}  // namespace granary
