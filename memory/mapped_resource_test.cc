#include "memory/mapped_resource.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

class MappedUnderTest final : public ResourceUnderTest {
 public:
  MemoryResource& resource() override { return mapped_; }

 private:
  MappedResource mapped_;
};

INSTANTIATE_TEST_SUITE_P(
    Mapped, ResourceConformanceTest,
    testing::Values(ConformanceTraits{
        .name = "Plain",
        .make = [](MemoryResource*) { return std::make_unique<MappedUnderTest>(); },
    }),
    ConformanceName);

bool IsMapped(void* p) {
  unsigned char resident;
  return ::mincore(p, 1, &resident) == 0;
}

TEST(MappedResourceTest, AFreedBlockIsTheSystems) {
  MappedResource mapped;
  auto* const p = static_cast<std::byte*>(mapped.TryAllocate(100'000, 16));
  std::memset(p, 1, 100'000);
  EXPECT_EQ(mapped.Stats().asked_bytes, 100'000u);
  EXPECT_EQ(mapped.Stats().held_bytes, 102'400u);
  EXPECT_TRUE(IsMapped(p + 98'304));
  mapped.deallocate(p, 100'000, 16);
  EXPECT_FALSE(IsMapped(p));
  EXPECT_FALSE(IsMapped(p + 98'304));
  EXPECT_EQ(mapped.Stats(), MemoryStats{});
}

TEST(MappedResourceTest, AShrunkBlockGivesItsPagesBackAndGrowsIntoThemAgain) {
  MappedResource mapped;
  auto* const p = static_cast<std::byte*>(mapped.TryAllocate(100'000, 16));
  std::memset(p, 1, 100'000);
  ASSERT_TRUE(mapped.TryResize(p, 100'000, 5'000, 16));
  EXPECT_FALSE(IsMapped(p + 8'192));
  EXPECT_EQ(mapped.Stats().held_bytes, 8'192u);
  // Nothing else maps memory here meanwhile.
  ASSERT_TRUE(mapped.TryResize(p, 5'000, 50'000, 16));
  EXPECT_EQ(p[4'999], std::byte{1});
  EXPECT_EQ(p[49'999], std::byte{0});
  ASSERT_TRUE(mapped.TryResize(p, 50'000, 50'001, 16)) << "within its last page";
  mapped.deallocate(p, 50'001, 16);
  EXPECT_EQ(mapped.Stats(), MemoryStats{});
}

TEST(MappedResourceTest, ABlockDoesNotGrowOverItsNeighbour) {
  MappedResource mapped;
  auto* const p = static_cast<std::byte*>(mapped.TryAllocate(8'192, 16));
  ASSERT_TRUE(mapped.TryResize(p, 8'192, 4'096, 16));
  void* const neighbour = ::mmap(p + 4'096, 4'096, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  ASSERT_EQ(neighbour, p + 4'096);
  std::memset(neighbour, 7, 4'096);
  EXPECT_FALSE(mapped.TryResize(p, 4'096, 8'192, 16));
  EXPECT_EQ(static_cast<std::byte*>(neighbour)[0], std::byte{7});
  EXPECT_EQ(mapped.Stats().held_bytes, 4'096u);
  ::munmap(neighbour, 4'096);
  mapped.deallocate(p, 4'096, 16);
}

TEST(MappedResourceTest, LargeAlignmentsKeepNoMoreThanTheBlock) {
  FailingCalls calls;
  MappedResource mapped(calls);
  for (const size_t alignment : {size_t{1}, size_t{4096}, size_t{8192}, size_t{2} << 20}) {
    void* const p = mapped.TryAllocate(10'000, alignment);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % alignment, 0u);
    EXPECT_EQ(calls.mapped_bytes(), 12'288);
    mapped.deallocate(p, 10'000, alignment);
    EXPECT_EQ(calls.mapped_bytes(), 0);
  }
}

TEST(MappedResourceTest, ARefusalByTheSystemLeavesNothingBehind) {
  for (size_t nth = 1; nth <= 3; ++nth) {
    FailingCalls calls;
    MappedResource mapped(calls);
    calls.RefuseCall(nth, ENOMEM);
    void* const p = mapped.TryAllocate(10'000, size_t{2} << 20);
    if (p != nullptr) mapped.deallocate(p, 10'000, size_t{2} << 20);
    EXPECT_EQ(calls.mapped_bytes(), 0) << nth;
    EXPECT_EQ(mapped.Stats(), MemoryStats{});
  }
  FailingCalls calls;
  MappedResource mapped(calls);
  void* const p = mapped.TryAllocate(10'000, 16);
  calls.RefuseCall(1, ENOMEM);
  EXPECT_FALSE(mapped.TryResize(p, 10'000, 1'000, 16));
  calls.RefuseCall(1, ENOMEM);
  EXPECT_FALSE(mapped.TryResize(p, 10'000, 100'000, 16));
  EXPECT_EQ(mapped.Stats().asked_bytes, 10'000u);
  mapped.deallocate(p, 10'000, 16);
  EXPECT_EQ(calls.mapped_bytes(), 0);
}

TEST(MappedResourceTest, SizesThatOverflowAreRefused) {
  MappedResource mapped;
  EXPECT_EQ(mapped.TryAllocate(SIZE_MAX, 1), nullptr);
  EXPECT_EQ(mapped.TryAllocate(SIZE_MAX - 4096, 4096), nullptr);
  EXPECT_EQ(mapped.TryAllocate(size_t{PTRDIFF_MAX} - 100, size_t{1} << 21), nullptr);
  EXPECT_EQ(MappedResource::BlockBytes(SIZE_MAX), SIZE_MAX);
  EXPECT_EQ(mapped.Stats(), MemoryStats{});
}

}  // namespace
}  // namespace granary
