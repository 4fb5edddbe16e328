// Arena against what every MemoryResource has to pass, with every set of options that changes how
// it takes memory or gives it back.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "arena/arena.h"
#include "gtest/gtest.h"
#include "memory/testing/resource_conformance_test_suite.h"

namespace granary {
namespace {

class ArenaUnderTest final : public ResourceUnderTest {
 public:
  ArenaUnderTest(size_t first_block_bytes, const ArenaOptions& options)
      : first_block_(first_block_bytes),
        arena_(std::span<std::byte>(first_block_.data(), first_block_bytes), options) {}

  MemoryResource& resource() override { return arena_; }
  void ResetAll() override { arena_.Reset(); }

 private:
  // Outlives the arena.
  std::vector<std::byte> first_block_;
  Arena arena_;
};

ConformanceTraits Traits(std::string name, const ArenaOptions& options,
                         size_t first_block_bytes = 0) {
  return {
      .name = std::move(name) + (options.checks == Checks::kOn ? "Checked" : "Unchecked"),
      .make =
          [options, first_block_bytes](MemoryResource* upstream) {
            ArenaOptions mine = options;
            mine.upstream = upstream;
            return std::make_unique<ArenaUnderTest>(first_block_bytes, mine);
          },
      .takes_upstream = true,
      // What is used counts the header of the block in which the arena stands, and after a reset
      // it may stand in none.
      .idle_used_slack_bytes = Arena::kBlockHeaderBytes,
  };
}

std::vector<ConformanceTraits> EveryArena() {
  std::vector<ConformanceTraits> all;
  for (const Checks checks : {Checks::kOff, Checks::kOn}) {
    all.push_back(Traits("Adaptive", {.checks = checks}));
    all.push_back(Traits("KeepAll", {.retention = Retention::KeepAll(), .checks = checks}));
    all.push_back(
        Traits("KeepBytes", {.retention = Retention::KeepBytes(20'000), .checks = checks}));
    all.push_back(Traits("Release", {.retention = Retention::Release(), .checks = checks}));
    all.push_back(
        Traits("SmallBlocks",
               {.first_block_bytes = 256, .max_block_bytes = size_t{1} << 10, .checks = checks}));
    all.push_back(Traits("GrowthByShare",
                         {.first_block_bytes = 1008, .growth_divisor = 16, .checks = checks}));
    all.push_back(Traits("GivenBlock", {.checks = checks}, 10'001));
    all.push_back(
        Traits("GivenBlockKeepAll", {.retention = Retention::KeepAll(), .checks = checks}, 10'001));
    all.push_back(Traits("TooSmallGivenBlock", {.checks = checks}, 40));
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Arena, ResourceConformanceTest, testing::ValuesIn(EveryArena()),
                         ConformanceName);

}  // namespace
}  // namespace granary
