// What bitcoin-arena offers, and Bitcoin's own Arena with it, on a RegionResource: blocks by
// pointer in memory that the caller brings, placed at its end; statistics, a dump, and frees that
// are refused. The numbers are Bitcoin's: 1 MiB, aligned to 16.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <sstream>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/region_resource.h"
#include "memory/testing/random_seed.h"
#include "nlohmann/json.hpp"

namespace granary {
namespace {

constexpr size_t kBytes = size_t{1} << 20;

class BitcoinArenaTest : public testing::Test {
 protected:
  struct alignas(4096) Memory {
    std::byte bytes[kBytes];
  };

  size_t OffsetOf(const void* p) const {
    return static_cast<size_t>(static_cast<const std::byte*>(p) - memory_->bytes);
  }
  void* Alloc(size_t bytes) { return arena_->TryAllocate(bytes, 16); }
  void ExpectUsed(uint64_t used, uint64_t used_chunks, uint64_t free_chunks) const {
    const RegionStats stats = arena_->region().Stats();
    EXPECT_EQ(stats.used_bytes, used);
    EXPECT_EQ(stats.free_bytes, kBytes - used);
    EXPECT_EQ(stats.size_bytes, kBytes);
    EXPECT_EQ(stats.live_ranges, used_chunks);
    EXPECT_EQ(stats.free_ranges, free_chunks);
  }

  std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
  std::unique_ptr<RegionResource> arena_ =
      RegionResource::CreateOver(
          memory_->bytes, {.name = "arena", .region = {.fit = Fit::kHighest, .track_used = true}})
          .value();
};

TEST_F(BitcoinArenaTest, ABlockLiesAtTheEndOfTheCallersMemory) {
  void* const chunk = Alloc(1000);
  EXPECT_EQ(OffsetOf(chunk), 1047568U);
  ExpectUsed(1008, 1, 1);
  EXPECT_EQ(arena_->Free(chunk), FreeStatus::kOk);
  ExpectUsed(0, 0, 1);
}

TEST_F(BitcoinArenaTest, FreeingTwiceOrElsewhereIsRefused) {
  void* const chunk = Alloc(1000);
  EXPECT_EQ(arena_->Free(static_cast<std::byte*>(chunk) + 16), FreeStatus::kNotAllocated);
  EXPECT_EQ(arena_->Free(memory_->bytes), FreeStatus::kNotAllocated);
  EXPECT_EQ(arena_->Free(this), FreeStatus::kOutOfRange);
  EXPECT_EQ(arena_->Free(chunk), FreeStatus::kOk);
  EXPECT_EQ(arena_->Free(chunk), FreeStatus::kNotAllocated);
  EXPECT_DEATH(arena_->deallocate(chunk, 1000, 16), "region 'arena': free of 1000 bytes");
}

TEST_F(BitcoinArenaTest, NeighboursThatAreFreeBecomeOneAndServeAgain) {
  void* const a0 = Alloc(128);
  void* const a1 = Alloc(256);
  void* const a2 = Alloc(512);
  EXPECT_EQ(OffsetOf(a0), 1048448U);
  EXPECT_EQ(OffsetOf(a1), 1048192U);
  EXPECT_EQ(OffsetOf(a2), 1047680U);
  ExpectUsed(896, 3, 1);
  EXPECT_EQ(arena_->Free(a0), FreeStatus::kOk);
  ExpectUsed(768, 2, 2);
  EXPECT_EQ(arena_->Free(a1), FreeStatus::kOk);
  ExpectUsed(512, 1, 2);
  void* const a3 = Alloc(128);
  EXPECT_EQ(OffsetOf(a3), 1048448U);
  ExpectUsed(640, 2, 2);
  EXPECT_EQ(arena_->Free(a2), FreeStatus::kOk);
  ExpectUsed(128, 1, 1);
  EXPECT_EQ(arena_->Free(a3), FreeStatus::kOk);
  ExpectUsed(0, 0, 1);
}

TEST_F(BitcoinArenaTest, NothingIsAllocatedOfASizeOfZeroOrBeyondTheEnd) {
  // A MemoryResource gives an address of its own for no bytes; the region under it has none.
  EXPECT_EQ(Alloc(kBytes + 1), nullptr);
  EXPECT_EQ(Alloc(SIZE_MAX), nullptr);
  auto region = RegionAllocator::Create(kBytes).value();
  EXPECT_FALSE(region.Allocate(0));
}

TEST_F(BitcoinArenaTest, AfterRandomAllocationsAllIsOneAgain) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  std::vector<void*> chunks;
  for (int i = 0; i < 2000; ++i) {
    if (chunks.empty() || random() % 2 == 0) {
      if (void* const p = Alloc(random() % 2048)) chunks.push_back(p);
    } else {
      std::swap(chunks[random() % chunks.size()], chunks.back());
      ASSERT_EQ(arena_->Free(chunks.back()), FreeStatus::kOk);
      chunks.pop_back();
    }
  }
  for (void* const chunk : chunks) ASSERT_EQ(arena_->Free(chunk), FreeStatus::kOk);
  ExpectUsed(0, 0, 1);
}

TEST_F(BitcoinArenaTest, WalkShowsWhatIsFree) {
  (void)Alloc(1000);
  std::ostringstream out;
  arena_->region().DumpJson(out);
  const auto dump = nlohmann::json::parse(out.str());
  EXPECT_EQ(dump["size"], kBytes);
  EXPECT_EQ(dump["used"], 1008);
  EXPECT_EQ(dump["free"], nlohmann::json::parse("[[0, 1047568]]"));
}

}  // namespace
}  // namespace granary
