// PagePoolResource: what every MemoryResource has to pass, and what is its own.
#include "pool/page_pool_resource.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

template <class Pool>
class PagesUnderTest final : public ResourceUnderTest {
 public:
  explicit PagesUnderTest(const PagePoolOptions& options)
      : pool_(std::move(*Pool::Create(options))), resource_(*pool_) {}

  MemoryResource& resource() override { return resource_; }

 private:
  std::unique_ptr<Pool> pool_;
  BasicPagePoolResource<Pool> resource_;
};

template <class Pool>
ConformanceTraits Traits(std::string name, size_t page_bytes, bool record_sites) {
  return {.name = std::move(name),
          .make =
              [=](MemoryResource*) {
                return std::make_unique<PagesUnderTest<Pool>>(
                    PagePoolOptions{.page_bytes = page_bytes,
                                    .max_pages = size_t{1} << 20,
                                    .record_sites = record_sites});
              },
          .largest_request_bytes = page_bytes};
}

INSTANTIATE_TEST_SUITE_P(PagePool, ResourceConformanceTest,
                         testing::Values(Traits<PagePool>("Shared4K", 4096, false),
                                         Traits<PagePool>("Shared512", 512, false),
                                         Traits<PagePool>("Shared64K", 65536, true),
                                         Traits<LocalPagePool>("Local4K", 4096, false),
                                         Traits<LocalPagePool>("Local64K", 65536, true)),
                         ConformanceName);

TEST(PagePoolResourceTest, ServesUpToAPage) {
  const auto pool = std::move(*PagePool::Create({.page_bytes = 8192, .max_pages = 3}));
  PagePoolResource resource(*pool);
  EXPECT_EQ(resource.block_bytes(), 8192u);
  EXPECT_EQ(resource.max_alignment(), 8192u);
  void* const page = resource.TryAllocate(8192, 8192);
  EXPECT_TRUE(pool->Owns(page));
  EXPECT_EQ(resource.TryAllocate(8193, 16), nullptr);
  EXPECT_EQ(resource.TryAllocate(16, 16384), nullptr);
  EXPECT_EQ(resource.TryAllocate(16, 3), nullptr);
  EXPECT_TRUE(resource.TryResize(page, 8192, 1, 16));
  EXPECT_FALSE(resource.TryResize(page, 1, 8193, 16));
  EXPECT_EQ(resource.Stats().asked_bytes, 8192u);
  resource.deallocate(page, 1, 16);
  EXPECT_EQ(resource.Stats().asked_bytes, 0u);
}

TEST(PagePoolResourceTest, ResourcesOfOnePoolAreEqual) {
  const auto pool = std::move(*PagePool::Create({.max_pages = 3}));
  const auto other = std::move(*PagePool::Create({.max_pages = 3}));
  const PagePoolResource a(*pool);
  const PagePoolResource b(*pool);
  const PagePoolResource c(*other);
  EXPECT_TRUE(a.is_equal(b));
  EXPECT_FALSE(a.is_equal(c));
}

}  // namespace
}  // namespace granary
