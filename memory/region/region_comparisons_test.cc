// What a region costs, counted rather than timed: comparisons of keys at a million free ranges, how
// often a range keeps its place by size, calls of operator new, bytes a record.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/region_allocator.h"
#include "memory/region/region_core.h"
#include "memory/sanitizer.h"
#include "memory/system_calls.h"
#include "memory/testing/random_seed.h"

namespace {

std::atomic<size_t> new_calls{0};

}  // namespace

// Not inline: the compiler would see a malloc beside a delete, or a new beside a free.
[[gnu::noinline]] void* operator new(size_t bytes) {
  new_calls.fetch_add(1, std::memory_order_relaxed);
  if (void* const p = std::malloc(bytes == 0 ? 1 : bytes)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace granary::region {
namespace {

struct CountingProbe {
  static void Compared() noexcept { ++compared; }
  static void Rekeyed(bool in_place) noexcept { ++(in_place ? in_place_count : moved_count); }

  static inline uint64_t compared = 0;
  static inline uint64_t in_place_count = 0;
  static inline uint64_t moved_count = 0;
};

using Core = RegionCore<uint32_t, CountingProbe>;

static_assert(sizeof(RangeRecord<uint32_t>) == 32);
static_assert(sizeof(RangeRecord<uint64_t>) == 40);

// The comparisons of one kind of call.
struct Comparisons {
  uint64_t calls = 0;
  uint64_t sum = 0;
  uint64_t most = 0;

  template <class Call>
  void Count(const Call& call) {
    const uint64_t before = CountingProbe::compared;
    call();
    const uint64_t compared = CountingProbe::compared - before;
    ++calls;
    sum += compared;
    most = std::max(most, compared);
  }
  double Mean() const { return static_cast<double>(sum) / static_cast<double>(calls); }
};

// All sizes are in the tree, none in bins, so that every call has the whole tree to search.
TEST(RegionComparisonsTest, EachDescentIsLogarithmicAtAMillionFreeRanges) {
  constexpr uint32_t kRanges = kCheckedBuild ? 100'000 : 1'000'000;
  constexpr uint32_t kSlot = 4000;
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  auto core = Core::Create(kRanges * kSlot, {.lowest_among_equals = true}, SystemCalls::Real());
  ASSERT_TRUE(core);
  ASSERT_TRUE((*core)->Reserve(0, kRanges * kSlot));
  std::vector<uint32_t> slots(kRanges);
  for (uint32_t i = 0; i < kRanges; ++i) slots[i] = i;
  std::shuffle(slots.begin(), slots.end(), random);
  const auto length = [&] { return static_cast<uint32_t>(65 + random() % (kSlot - 100)); };
  for (const uint32_t slot : slots) {
    ASSERT_EQ((*core)->Release(slot * kSlot + 10, length()), FreeStatus::kOk);
  }

  Comparisons finds;
  Comparisons best;
  Comparisons inserts;
  for (int i = 0; i < 200'000; ++i) {
    const auto& free = (*core)->free();
    finds.Count(
        [&] { (void)free.addresses().Find(static_cast<uint32_t>(random() % (kRanges * kSlot))); });
    const uint32_t wanted = length();
    best.Count([&] { (void)free.AtLeast(wanted); });
    // An exact fit leaves both trees, and its release is a descent in each.
    const auto* const at = free.AtLeast(wanted);
    if (at == nullptr) continue;
    const uint32_t taken = at->length;
    uint32_t offset;
    ASSERT_TRUE((*core)->Allocate(taken, 1, Fit::kBest, offset));
    inserts.Count([&] { (void)(*core)->Release(offset, taken); });
  }
  const double log2 = std::log2(static_cast<double>(kRanges) + 1);
  const double mean_most = 1.05 * log2 + 2;
  const auto most = static_cast<uint64_t>(2 * log2 + 4);
  EXPECT_LE(finds.Mean(), mean_most);
  EXPECT_LE(best.Mean(), mean_most);
  // Two trees: two operations.
  EXPECT_LE(inserts.Mean(), 2 * mean_most);
  EXPECT_LE(finds.most, most);
  EXPECT_LE(best.most, most);
  EXPECT_LE(inserts.most, 2 * most);
  RecordProperty("find_mean", std::to_string(finds.Mean()));
  RecordProperty("at_least_mean", std::to_string(best.Mean()));
  RecordProperty("release_mean", std::to_string(inserts.Mean()));
}

// Of the sizes that recordings have, most are small, a few large; a third live long.
TEST(RegionComparisonsTest, MostSplitsKeepTheirPlaceBySize) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  auto core = Core::Create(uint32_t{1} << 30, {}, SystemCalls::Real());
  ASSERT_TRUE(core);
  std::vector<Core::Piece> live;
  uint64_t in_place = 0;
  uint64_t moved = 0;
  for (int i = 0; i < 300'000; ++i) {
    if (live.size() < 5000 || random() % 2 == 0) {
      const bool is_large = random() % 15 == 0;
      const auto length = static_cast<uint32_t>(1 + random() % (is_large ? 2000 : 64));
      const uint64_t in_place_before = CountingProbe::in_place_count;
      const uint64_t moved_before = CountingProbe::moved_count;
      uint32_t offset;
      ASSERT_TRUE((*core)->Allocate(length, 1, Fit::kBest, offset));
      live.push_back({offset, length});
      in_place += CountingProbe::in_place_count - in_place_before;
      moved += CountingProbe::moved_count - moved_before;
    } else {
      const size_t recent = std::min<size_t>(live.size(), random() % 3 == 0 ? live.size() : 200);
      std::swap(live[live.size() - 1 - random() % recent], live.back());
      ASSERT_EQ((*core)->Release(live.back().offset, live.back().length), FreeStatus::kOk);
      live.pop_back();
    }
  }
  RecordProperty("in_place", std::to_string(in_place));
  RecordProperty("moved", std::to_string(moved));
  ASSERT_GT(in_place + moved, 1000U);
  // One that comes into another class moves, which the small trees of classes make cheap.
  EXPECT_GE(static_cast<double>(in_place), 0.6 * static_cast<double>(in_place + moved))
      << in_place << " of " << in_place + moved;
}

TEST(RegionComparisonsTest, SteadyStateCallsNoMalloc) {
  for (const bool track_used : {false, true}) {
    RegionAllocator region =
        RegionAllocator::Create(uint64_t{1} << 32, {.track_used = track_used}).value();
    std::vector<Range> live;
    live.reserve(2000);
    std::mt19937_64 random(1);
    const size_t before = new_calls;
    for (uint64_t i = 0; i < 100'000; ++i) {
      if (live.size() < 1000 || (live.size() < 2000 && random() % 2 == 0)) {
        const auto range = region.Allocate(1 + random() % 5000, uint64_t{1} << random() % 8);
        ASSERT_TRUE(range);
        live.push_back(*range);
        continue;
      }
      std::swap(live[random() % live.size()], live.back());
      const Range range = live.back();
      live.pop_back();
      const auto shrunk = region.Resize(range, range.size / 2 + 1);
      ASSERT_TRUE(shrunk);
      ASSERT_EQ(i % 2 == 0 ? region.Free(*shrunk) : region.FreeDeferred(*shrunk, i),
                FreeStatus::kOk);
      (void)region.ReleaseUpTo(i - std::min<uint64_t>(i, 100));
      (void)region.Stats();
      (void)region.TrimTail();
      ASSERT_TRUE(region.Extend(uint64_t{1} << 32));
    }
    EXPECT_EQ(new_calls - before, 0U);
  }
}

}  // namespace
}  // namespace granary::region
