#include "memory/testing/failing_resource.h"

#include <memory>
#include <optional>

#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

class FailingUnderTest final : public ResourceUnderTest {
 public:
  explicit FailingUnderTest(MemoryResource* upstream) : failing_(*upstream) {}
  MemoryResource& resource() override { return failing_; }

 private:
  FailingResource failing_;
};

INSTANTIATE_TEST_SUITE_P(Failing, ResourceConformanceTest,
                         testing::Values(ConformanceTraits{
                             .name = "OverAnother",
                             .make =
                                 [](MemoryResource* upstream) {
                                   return std::make_unique<FailingUnderTest>(upstream);
                                 },
                             .takes_upstream = true,
                         }),
                         ConformanceName);

TEST(FailingResourceTest, RefusesTheNthAllocationOnly) {
  FailingResource failing;
  failing.RefuseNth(2);
  void* const first = failing.TryAllocate(10, 1);
  EXPECT_EQ(failing.TryAllocate(10, 1), nullptr);
  void* const third = failing.TryAllocate(10, 1);
  EXPECT_NE(first, nullptr);
  EXPECT_NE(third, nullptr);
  EXPECT_EQ(failing.allocation_count(), 3u);
  EXPECT_EQ(failing.refusal_count(), 1u);
  EXPECT_EQ(failing.live_count(), 2u);
  EXPECT_EQ(failing.live_bytes(), 20u);
  failing.deallocate(first, 10, 1);
  failing.deallocate(third, 10, 1);
  EXPECT_EQ(failing.deallocation_count(), 2u);
  EXPECT_EQ(failing.live_bytes(), 0u);
}

TEST(FailingResourceTest, RefusesEverythingFromTheNthOn) {
  FailingResource failing;
  failing.RefuseFrom(2);
  void* const first = failing.TryAllocate(10, 1);
  EXPECT_EQ(failing.TryAllocate(10, 1), nullptr);
  EXPECT_THROW(static_cast<void>(failing.allocate(10, 1)), BudgetExceeded);
  failing.RefuseNone();
  void* const served = failing.TryAllocate(10, 1);
  EXPECT_NE(served, nullptr);
  failing.deallocate(first, 10, 1);
  failing.deallocate(served, 10, 1);
}

TEST(FailingResourceTest, NewMemoryIsNotZero) {
  FailingResource failing;
  auto* const p = static_cast<unsigned char*>(failing.TryAllocate(3, 1));
  EXPECT_EQ(p[0], 0xCD);
  EXPECT_EQ(p[2], 0xCD);
  failing.deallocate(p, 3, 1);
}

TEST(FailingResourceTest, AWrongSizeOrAlignmentFailsTheTest) {
  FailingResource failing;
  void* p = failing.TryAllocate(64, 16);
  EXPECT_NONFATAL_FAILURE(failing.deallocate(p, 63, 16), "63 bytes");
  p = failing.TryAllocate(64, 16);
  EXPECT_NONFATAL_FAILURE(failing.deallocate(p, 64, 8), "alignment 8");
  EXPECT_EQ(failing.live_count(), 0u);
}

TEST(FailingResourceTest, ADoubleFreeFailsTheTest) {
  FailingResource failing;
  void* const p = failing.TryAllocate(64, 16);
  failing.deallocate(p, 64, 16);
  EXPECT_NONFATAL_FAILURE(failing.deallocate(p, 64, 16), "not out");
  int foreign = 0;
  EXPECT_NONFATAL_FAILURE(failing.deallocate(&foreign, 4, 4), "not out");
  EXPECT_NONFATAL_FAILURE(static_cast<void>(failing.TryResize(&foreign, 4, 8, 4)), "not out");
}

TEST(FailingResourceTest, ALeakFailsTheTest) {
  std::optional<FailingResource> failing(std::in_place);
  static_cast<void>(failing->TryAllocate(123, 8));
  EXPECT_NONFATAL_FAILURE(failing.reset(), "leaked");
}

TEST(FailingResourceTest, AChainWithWrongTotalsFailsTheTest) {
  FailingResource failing;
  void* const p = failing.TryAllocate(64, MemoryResource::kChainAlignment);
  auto* const link = new (p) BlockLink{.next = nullptr, .bytes = 64};
  EXPECT_NONFATAL_FAILURE(
      failing.ReleaseChain({.first = link, .last = link, .count = 1, .bytes = 65}), "65 bytes");
  EXPECT_EQ(failing.live_count(), 0u);
}

}  // namespace
}  // namespace granary
