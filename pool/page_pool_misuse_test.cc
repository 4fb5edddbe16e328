// What is no use of a pool: the report says what happened, and where.
#include "gtest/gtest.h"
#include "pool/local_page_pool.h"
#include "pool/page_pool.h"
#include "pool/page_pool_resource.h"

namespace granary {
namespace {

template <class Pool>
class PagePoolMisuseTest : public ::testing::Test {
 protected:
  PagePoolMisuseTest() { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }

  std::unique_ptr<Pool> pool_ =
      std::move(*Pool::Create({.max_pages = 200, .record_sites = true, .name = "frames"}));
  std::unique_ptr<Pool> bare_ =
      std::move(*Pool::Create({.max_pages = 200, .record_sites = false, .name = "bare"}));
};
using Pools = ::testing::Types<PagePool, LocalPagePool>;
TYPED_TEST_SUITE(PagePoolMisuseTest, Pools);

TYPED_TEST(PagePoolMisuseTest, ADoubleFreeNamesBothFreesAndTheAllocation) {
  std::byte* const page = this->pool_->Allocate();
  this->pool_->Deallocate(page);
  EXPECT_DEATH(this->pool_->Deallocate(page),
               "pool 'frames': free of page 0 .*is free already; freed now at "
               ".*page_pool_misuse_test.cc:2[0-9]; freed before at .*_test.cc:25; allocated at "
               ".*_test.cc:24");
}

TYPED_TEST(PagePoolMisuseTest, ADoubleFreeIsFoundWithoutSites) {
  std::byte* const page = this->bare_->Allocate();
  (void)this->bare_->Allocate();
  this->bare_->Deallocate(page);
  EXPECT_DEATH(this->bare_->Deallocate(page), "page 0 .*is free already; freed now at");
}

TYPED_TEST(PagePoolMisuseTest, ADoubleFreeInABatch) {
  std::byte* const page = this->bare_->Allocate();
  std::byte* const pages[] = {page, this->bare_->Allocate(), page};
  EXPECT_DEATH(this->bare_->DeallocateBatch(pages), "page 0 .*is free already");
}

TYPED_TEST(PagePoolMisuseTest, APointerIntoAPage) {
  std::byte* const page = this->bare_->Allocate();
  EXPECT_DEATH(this->bare_->Deallocate(page + 8), "8 bytes into page 0");
}

TYPED_TEST(PagePoolMisuseTest, AForeignPointer) {
  alignas(4096) static std::byte other[4096];
  EXPECT_DEATH(this->bare_->Deallocate(other), "none of its pages");
  EXPECT_DEATH(this->bare_->Deallocate(nullptr), "none of its pages");
  std::byte* const page = this->pool_->Allocate();
  EXPECT_DEATH(this->bare_->Deallocate(page), "none of its pages");
}

TYPED_TEST(PagePoolMisuseTest, APageThatWasNeverOut) {
  (void)this->bare_->Allocate();
  EXPECT_DEATH(this->bare_->Deallocate(this->bare_->At(150)), "was never allocated");
}

TYPED_TEST(PagePoolMisuseTest, APageOfAChain) {
  auto chain = this->bare_->AllocateChain(3);
  EXPECT_DEATH(this->bare_->Deallocate(*chain.begin()), "belongs to a chain");
  std::byte* const first = *chain.begin();
  chain.Release();
  EXPECT_DEATH(this->bare_->Deallocate(first), "belongs to a chain");
}

TYPED_TEST(PagePoolMisuseTest, AFreePageInAReleasedChainOfBlocks) {
  // A few would be freed at once, and looked at.
  constexpr size_t kCount = 8;
  auto* const first = ::new (this->bare_->Allocate()) BlockLink{nullptr, 4096};
  BlockLink* last = first;
  for (size_t i = 1; i < kCount; ++i) {
    last = last->next = ::new (this->bare_->Allocate()) BlockLink{nullptr, 4096};
  }
  this->bare_->ReleaseBlocks({first, last, kCount, kCount * 4096});
  // The chain is not looked at yet, and the page is taken for a live one.
  this->bare_->Deallocate(reinterpret_cast<std::byte*>(first->next));
  EXPECT_DEATH(this->bare_->Trim(), "page 1 .*is free already");
}

}  // namespace
}  // namespace granary
