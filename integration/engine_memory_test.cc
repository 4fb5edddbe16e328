// EngineMemory: one limit over pages and malloc, whoever has them.
#include "integration/engine_memory.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;
constexpr size_t kGiB = 1024 * kMiB;

class EngineUnderTest final : public ResourceUnderTest {
 public:
  ~EngineUnderTest() override { EXPECT_EQ(engine_.resource().Stats().asked_bytes, 0u); }
  MemoryResource& resource() override { return engine_.resource(); }

 private:
  EngineMemory engine_{{.limit_bytes = 4 * kGiB}};
};

INSTANTIATE_TEST_SUITE_P(
    EngineMemory, ResourceConformanceTest,
    testing::Values(ConformanceTraits{
        .name = "General",
        .make = [](MemoryResource*) { return std::make_unique<EngineUnderTest>(); }}),
    ConformanceName);

TEST(EngineMemoryTest, OneLimitHoldsForPagesAndForMalloc) {
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  MemoryResource& memory = engine.resource();
  std::vector<void*> pages;
  while (void* const page = memory.TryAllocate(64 * kKiB, 64)) pages.push_back(page);
  EXPECT_EQ(pages.size(), 1024u);
  EXPECT_EQ(memory.TryAllocate(1, 1), nullptr);
  for (int i = 0; i < 100; ++i) {
    memory.deallocate(pages.back(), 64 * kKiB, 64);
    pages.pop_back();
  }
  // The pool's free pages make room for malloc.
  void* const large = memory.TryAllocate(6 * kMiB, 64);
  EXPECT_NE(large, nullptr);
  EXPECT_LE(engine.budget().Stats().taken_bytes, 64 * kMiB);
  memory.deallocate(large, 6 * kMiB, 64);
  for (void* const page : pages) memory.deallocate(page, 64 * kKiB, 64);
  void* const all = memory.TryAllocate(60 * kMiB, 64);
  EXPECT_NE(all, nullptr) << "and all of them for one";
  memory.deallocate(all, 60 * kMiB, 64);
}

TEST(EngineMemoryTest, OddSizesComeFromTheRegion) {
  if (kAddressSanitizer) GTEST_SKIP() << "there they are malloc's, whose blocks it watches";
  EngineMemory engine({.limit_bytes = 64 * kMiB});
  MemoryResource& memory = engine.resource();
  const SharedRegionResource& region = engine.large().region();
  const size_t odd[] = {16 * kKiB, 20'000, 64 * kKiB + 1, 300'000, kMiB};
  for (const size_t bytes : odd) {
    void* const p = memory.TryAllocate(bytes, 64);
    ASSERT_NE(p, nullptr);
    EXPECT_TRUE(region.Contains(p)) << bytes;
    memory.deallocate(p, bytes, 64);
  }
  const size_t others[] = {100, 16 * kKiB - 1, 40'000, 64 * kKiB, kMiB + 1};
  for (const size_t bytes : others) {
    void* const p = memory.TryAllocate(bytes, 64);
    ASSERT_NE(p, nullptr);
    EXPECT_FALSE(region.Contains(p)) << bytes;
    memory.deallocate(p, bytes, 64);
  }
  // What is free is somebody else's as soon as they need it.
  std::vector<void*> blocks;
  while (void* const p = memory.TryAllocate(300'000, 64)) blocks.push_back(p);
  EXPECT_GE(blocks.size() * 300'000, 62 * kMiB);
  EXPECT_LE(engine.budget().Stats().taken_bytes, 64 * kMiB);
  for (void* const p : blocks) memory.deallocate(p, 300'000, 64);
  void* const all = memory.TryAllocate(60 * kMiB, 64);
  EXPECT_NE(all, nullptr);
  memory.deallocate(all, 60 * kMiB, 64);
}

TEST(EngineMemoryTest, OptionsThatMakeNoSenseAreNamed) {
  const auto message = [](const EngineMemoryOptions& options) {
    const auto engine = EngineMemory::Create(options);
    return engine ? std::string() : engine.error().message;
  };
  EXPECT_NE(message({}).find("limit_bytes is 0"), std::string::npos);
  EXPECT_NE(message({.limit_bytes = kMiB}).find("at least 64 pages"), std::string::npos);
  EXPECT_NE(message({.limit_bytes = kGiB, .page_bytes = 1000}).find("page_bytes is 1000"),
            std::string::npos);
  EXPECT_EQ(message({.limit_bytes = kGiB}), "");
  EXPECT_THROW(EngineMemory({.limit_bytes = 1}), std::runtime_error);
}

TEST(EngineMemoryTest, ThreadsShareIt) {
  EngineMemory engine({.limit_bytes = 256 * kMiB});
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      MemoryResource& memory = engine.resource();
      for (size_t i = 0; i < 20'000; ++i) {
        const size_t bytes = 1 + (i * 7919 + t) % (100 * kKiB);
        void* const p = memory.TryAllocate(bytes, 16);
        ASSERT_NE(p, nullptr);
        memory.deallocate(p, bytes, 16);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(engine.resource().Stats().asked_bytes, 0u);
}

}  // namespace
}  // namespace granary
