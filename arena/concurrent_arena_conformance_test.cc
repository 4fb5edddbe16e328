// ConcurrentArena against what every MemoryResource has to pass.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arena/concurrent_arena.h"
#include "gtest/gtest.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

class ConcurrentArenaUnderTest final : public ResourceUnderTest {
 public:
  explicit ConcurrentArenaUnderTest(const ConcurrentArenaOptions& options) : arena_(options) {}

  MemoryResource& resource() override { return arena_; }
  void ResetAll() override { arena_.Reset(); }

 private:
  ConcurrentArena arena_;
};

ConformanceTraits Traits(std::string name, const ConcurrentArenaOptions& options) {
  return {.name = std::move(name) + (options.checks == Checks::kOn ? "Checked" : "Unchecked"),
          .make =
              [options](MemoryResource* upstream) {
                ConcurrentArenaOptions mine = options;
                mine.upstream = upstream;
                return std::make_unique<ConcurrentArenaUnderTest>(mine);
              },
          .takes_upstream = true};
}

std::vector<ConformanceTraits> EveryConcurrentArena() {
  std::vector<ConformanceTraits> all;
  for (const Checks checks : {Checks::kOff, Checks::kOn}) {
    all.push_back(Traits("Adaptive", {.checks = checks}));
    all.push_back(Traits("KeepAll", {.retention = Retention::KeepAll(), .checks = checks}));
    all.push_back(
        Traits("KeepBytes", {.retention = Retention::KeepBytes(20'000), .checks = checks}));
    all.push_back(Traits("Release", {.retention = Retention::Release(), .checks = checks}));
    all.push_back(
        Traits("LargeBlocks",
               {.first_block_bytes = 65536, .max_block_bytes = size_t{1} << 22, .checks = checks}));
    all.push_back(Traits("EqualBlocks",
                         {.first_block_bytes = 4096, .max_block_bytes = 4096, .checks = checks}));
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(ConcurrentArena, ResourceConformanceTest,
                         testing::ValuesIn(EveryConcurrentArena()), ConformanceName);

}  // namespace
}  // namespace granary
