// What the pools do when the system refuses.
#include <sys/mman.h>

#include <cerrno>
#include <memory>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/failing_calls.h"
#include "pool/local_page_pool.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

template <class Pool>
class PagePoolFailureTest : public testing::Test {
 protected:
  // All pages that the pool has, each once.
  static size_t CountPages(Pool& pool) {
    std::set<std::byte*> pages;
    while (std::byte* const page = pool.Allocate()) {
      page[0] = std::byte{1};
      EXPECT_TRUE(pages.insert(page).second);
    }
    for (std::byte* const page : pages) pool.Deallocate(page);
    return pages.size();
  }
};
using Pools = testing::Types<PagePool, LocalPagePool>;
TYPED_TEST_SUITE(PagePoolFailureTest, Pools);

TYPED_TEST(PagePoolFailureTest, ACreationThatFailsAnywhereSaysSoAndLeavesNothing) {
  for (const bool record_sites : {false, true}) {
    size_t refused = 0;
    for (size_t nth = 1;; ++nth) {
      FailingCalls calls;
      calls.RefuseCall(nth, ENOMEM);
      {
        const auto pool = TypeParam::Create({.max_pages = 1000,
                                             .huge_pages = HugePages::kAdvise,
                                             .record_sites = record_sites,
                                             .system_calls = &calls});
        if (!calls.refused()) {
          EXPECT_TRUE(pool.has_value());
          break;
        }
        if (!pool) {
          ++refused;
          EXPECT_EQ(pool.error().code, ErrorCode::kOutOfMemory);
          EXPECT_FALSE(pool.error().message.empty());
        }
        calls.RefuseCall(0, 0);
      }
      EXPECT_EQ(calls.mapped_bytes(), 0);
    }
    EXPECT_GE(refused, 2u) << "the pages and what is beside them";
  }
}

TYPED_TEST(PagePoolFailureTest, PagesWhoseMemoryCannotBeGivenBackStayInUse) {
  FailingCalls calls;
  const auto pool = std::move(*TypeParam::Create({.max_pages = 100, .system_calls = &calls}));
  EXPECT_EQ(this->CountPages(*pool), 100u);
  calls.RefuseAdvice(MADV_DONTNEED, EINVAL);
  EXPECT_EQ(pool->Trim(10), 0u);
  EXPECT_EQ(pool->Stats().free_pages, 100u);
  EXPECT_EQ(pool->Stats().cold_pages, 0u);
  EXPECT_EQ(this->CountPages(*pool), 100u);

  // The cap is what counts, even if the memory stays.
  EXPECT_TRUE(pool->Resize(40).has_value());
  EXPECT_EQ(this->CountPages(*pool), 40u);
  EXPECT_TRUE(pool->Resize(100).has_value());
  EXPECT_EQ(this->CountPages(*pool), 100u);
}

// Some runs go, one does not: nothing is lost whichever it is.
TYPED_TEST(PagePoolFailureTest, ATrimThatFailsHalfwayLosesNoPage) {
  for (size_t nth = 1; nth <= 12; ++nth) {
    FailingCalls calls;
    const auto pool = std::move(*TypeParam::Create({.max_pages = 100, .system_calls = &calls}));
    std::vector<std::byte*> pages;
    while (std::byte* const page = pool->Allocate()) {
      page[0] = std::byte{42};
      pages.push_back(page);
    }
    // Ten runs of nine, and ten pages between them that stay out.
    std::vector<std::byte*> kept;
    for (std::byte* const page : pages) {
      if (pool->IndexOf(page) % 10 == 0) {
        kept.push_back(page);
      } else {
        pool->Deallocate(page);
      }
    }
    calls.RefuseCall(nth, ENOMEM);
    const size_t bytes = pool->Trim();
    EXPECT_EQ(bytes, (calls.refused() ? 81u : 90u) * pool->page_bytes());
    EXPECT_EQ(pool->Stats().cold_pages, calls.refused() ? 81u : 90u);
    calls.RefuseCall(0, 0);
    EXPECT_EQ(this->CountPages(*pool), 90u);
    for (std::byte* const page : kept) {
      EXPECT_EQ(page[0], std::byte{42});
      pool->Deallocate(page);
    }
    EXPECT_EQ(this->CountPages(*pool), 100u);
  }
}

}  // namespace
}  // namespace granary
