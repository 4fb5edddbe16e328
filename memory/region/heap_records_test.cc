#include "memory/region/heap_records.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/failing_calls.h"
#include "memory/testing/random_seed.h"

namespace granary::region {
namespace {

HeapRecords Make(uint64_t count, uint32_t first_generation = 1, SystemCalls* calls = nullptr) {
  return HeapRecords::Create(count, first_generation, calls).value();
}

void Free(HeapRecords& records, uint32_t number) {
  HeapRecord& record = records.At(number);
  records.EndGeneration(record);
  records.PutBack(record);
}

// Which of the pages that records up to `count` are on have memory. Reading would bring some.
uint64_t ResidentBytes(const HeapRecords& records, uint64_t count) {
  const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t bytes = (count + 1) * sizeof(HeapRecord);
  std::vector<unsigned char> pages((bytes + page_bytes - 1) / page_bytes);
  EXPECT_EQ(mincore(&records.At(0), bytes, pages.data()), 0);
  uint64_t resident = 0;
  for (const unsigned char page : pages) resident += (page & 1u) * page_bytes;
  return resident;
}

TEST(HeapRecordsTest, TakesTheLowestNumberThatIsFree) {
  HeapRecords records = Make(1000);
  for (uint32_t i = 1; i <= 1000; ++i) ASSERT_EQ(records.Take(), i);
  EXPECT_EQ(records.Take(), 0u);
  for (const uint32_t number : {900u, 1000u, 1u, 64u, 63u}) Free(records, number);
  for (const uint32_t number : {1u, 63u, 64u, 900u, 1000u, 0u}) EXPECT_EQ(records.Take(), number);
}

TEST(HeapRecordsTest, HasAsManyAsThereMayBe) {
  for (const uint32_t count : {1u, 62u, 63u, 64u, 65u, 127u, 128u, 129u, 4096u}) {
    SCOPED_TRACE(count);
    HeapRecords records = Make(count);
    for (int round = 0; round < 3; ++round) {
      for (uint32_t i = 1; i <= count; ++i) ASSERT_EQ(records.Take(), i);
      ASSERT_EQ(records.Take(), 0u);
      EXPECT_TRUE(records.IsConsistent(count));
      for (uint32_t i = 1; i <= count; ++i) Free(records, i);
      EXPECT_EQ(records.idle_bytes(), (count / 64 + 1) * HeapRecords::kPageBytes);
      EXPECT_EQ(records.GiveBack(), (count / 64 + 1) * HeapRecords::kPageBytes);
      EXPECT_TRUE(records.IsConsistent(0));
    }
  }
}

TEST(HeapRecordsTest, PagesOfWhichNoneIsUsedHaveNoMemory) {
  constexpr uint32_t kCount = 1'000'000;
  HeapRecords records = Make(kCount);
  for (uint32_t i = 1; i <= kCount; ++i) ASSERT_EQ(records.Take(), i);
  const uint64_t held_before = records.held_bytes();
  EXPECT_GE(held_before, kCount * sizeof(HeapRecord));
  EXPECT_GE(ResidentBytes(records, kCount), kCount * sizeof(HeapRecord));
  // One of each 1000 is left, on as many pages.
  for (uint32_t i = 1; i <= kCount; ++i) {
    if (i % 1000 != 0) Free(records, i);
  }
  const uint64_t idle = records.idle_bytes();
  EXPECT_EQ(records.GiveBack(), idle);
  EXPECT_EQ(ResidentBytes(records, kCount), 1000 * HeapRecords::kPageBytes);
  EXPECT_EQ(records.held_bytes(), held_before - idle);
  EXPECT_LT(records.held_bytes(), held_before / 14);
  // Handles of those that are gone are looked up, which brings nothing to stay.
  for (uint32_t i = 1; i <= kCount; i += 777) {
    ASSERT_TRUE(records.IsKnown(i));
    ASSERT_TRUE(i % 1000 == 0 || records.At(i).state == HeapRecord::State::kUnused);
  }
  EXPECT_EQ(records.held_bytes(), held_before - idle);
  EXPECT_TRUE(records.IsConsistent(1000));
}

TEST(HeapRecordsTest, GivesBackNoMoreThanItMayAndTheHighestFirst) {
  HeapRecords records = Make(64 * 100 - 1);
  while (records.Take() != 0) {
  }
  for (uint32_t i = 1; i < 64 * 100; ++i) {
    if (i / 64 % 10 != 0) Free(records, i);
  }
  // Nine of each ten pages are idle.
  EXPECT_EQ(records.idle_bytes(), 90 * HeapRecords::kPageBytes);
  EXPECT_EQ(records.GiveBack(4 * HeapRecords::kPageBytes), 4 * HeapRecords::kPageBytes);
  EXPECT_EQ(records.GiveBack(HeapRecords::kNoLimit, 1), 5 * HeapRecords::kPageBytes);
  EXPECT_EQ(records.GiveBack(HeapRecords::kNoLimit, 2), 18 * HeapRecords::kPageBytes);
  EXPECT_EQ(records.idle_bytes(), 63 * HeapRecords::kPageBytes);
  // The lowest that is free is there still.
  const uint64_t held = records.held_bytes();
  EXPECT_EQ(records.Take(), 64u);
  EXPECT_EQ(records.held_bytes(), held);
  EXPECT_EQ(records.GiveBack(), 62 * HeapRecords::kPageBytes);
  EXPECT_TRUE(records.IsConsistent(10 * 64 - 1 + 1));
}

TEST(HeapRecordsTest, AGenerationThatIsOverNeverComesBack) {
  HeapRecords records = Make(63);
  EXPECT_EQ(records.Take(), 1u);
  EXPECT_EQ(records.Take(), 2u);
  for (int i = 0; i < 10; ++i) {
    Free(records, 2);
    ASSERT_EQ(records.Take(), 2u);
  }
  const uint32_t last = records.At(2).generation;
  Free(records, 1);
  Free(records, 2);
  EXPECT_EQ(records.GiveBack(), HeapRecords::kPageBytes);
  EXPECT_EQ(records.Take(), 1u);
  EXPECT_EQ(records.Take(), 2u);
  EXPECT_GT(records.At(2).generation, last);
}

TEST(HeapRecordsTest, ThoseThatAreRetiredStaySoThoughTheirPageGoes) {
  HeapRecords records = Make(200, UINT32_MAX);
  for (uint32_t i = 1; i <= 130; ++i) ASSERT_EQ(records.Take(), i);
  for (uint32_t i = 1; i <= 130; ++i) Free(records, i);
  EXPECT_EQ(records.retired(), 130u);
  // A page with retired records goes as well.
  EXPECT_EQ(records.GiveBack(), 3 * HeapRecords::kPageBytes);
  for (uint32_t i = 131; i <= 200; ++i) ASSERT_EQ(records.Take(), i);
  EXPECT_EQ(records.Take(), 0u);
  EXPECT_TRUE(records.IsConsistent(70));
}

TEST(HeapRecordsTest, APageThatTheSystemDoesNotTakeStays) {
  FailingCalls calls;
  HeapRecords records = Make(1000, 1, &calls);
  std::vector<std::pair<uint32_t, uint32_t>> stale;
  for (uint32_t i = 1; i <= 1000; ++i) {
    ASSERT_EQ(records.Take(), i);
    stale.emplace_back(i, records.At(i).generation);
  }
  for (uint32_t i = 1; i <= 1000; ++i) Free(records, i);
  const uint64_t held = records.held_bytes();
  calls.RefuseAdvice(MADV_DONTNEED, EINVAL);
  EXPECT_EQ(records.GiveBack(), 0u);
  EXPECT_EQ(records.held_bytes(), held);
  EXPECT_TRUE(records.IsConsistent(0));
  for (const auto& [number, generation] : stale) {
    ASSERT_EQ(records.Take(), number);
    ASSERT_GT(records.At(number).generation, generation);
  }
  for (uint32_t i = 1; i <= 1000; ++i) Free(records, i);
  calls.RefuseAdvice(-1, 0);
  EXPECT_EQ(records.GiveBack(), 16 * HeapRecords::kPageBytes);
}

TEST(HeapRecordsTest, ARefusedCallAtCreationLeavesNothingMapped) {
  for (size_t nth = 1;; ++nth) {
    FailingCalls calls;
    calls.RefuseCall(nth, ENOMEM);
    const auto records = HeapRecords::Create(1000, 1, &calls);
    if (!calls.refused()) {
      EXPECT_TRUE(records);
      EXPECT_GE(nth, 2u);
      break;
    }
    ASSERT_FALSE(records);
    EXPECT_EQ(records.error().code, ErrorCode::kOutOfMemory) << records.error().message;
    EXPECT_EQ(calls.mapped_bytes(), 0);
  }
}

// Random calls against a model that knows which numbers are used and every handle there ever was.
void CheckAgainstModel(uint64_t seed, uint32_t count, uint32_t first_generation) {
  std::mt19937_64 random(seed);
  FailingCalls calls;
  HeapRecords records = Make(count, first_generation, &calls);
  // Number to the generation of its handle; and the least that its next one may have.
  std::map<uint32_t, uint32_t> used;
  std::map<uint32_t, uint64_t> next;
  std::set<uint32_t> free;
  for (uint32_t i = 1; i <= count; ++i) free.insert(i);
  uint32_t retired = 0;
  for (int step = 0; step < 30'000; ++step) {
    // Grows for a while, and shrinks for a while.
    const bool grows = step / 3000 % 2 == 0;
    const uint64_t choice = random() % 64;
    if (choice < (grows ? 40u : 20u)) {
      const uint32_t number = records.Take();
      ASSERT_EQ(number, free.empty() ? 0 : *free.begin());
      if (number == 0) continue;
      free.erase(number);
      const uint32_t generation = records.At(number).generation;
      ASSERT_NE(generation, 0u);
      ASSERT_GE(generation, std::max<uint64_t>(next[number], first_generation));
      records.At(number).state = HeapRecord::State::kBlock;
      used[number] = generation;
    } else if (choice < 62 && !used.empty()) {
      auto it = used.lower_bound(static_cast<uint32_t>(random() % count));
      if (it == used.end() || random() % 4 == 0) it = std::prev(used.end());
      const auto [number, generation] = *it;
      ASSERT_EQ(records.At(number).generation, generation);
      used.erase(it);
      if (random() % 8 == 0) {
        // Was no block: no handle has had it.
        records.PutBack(records.At(number));
        next[number] = generation;
        free.insert(number);
        continue;
      }
      Free(records, number);
      next[number] = uint64_t{generation} + 1;
      if (generation == UINT32_MAX) {
        ++retired;
      } else {
        free.insert(number);
      }
    } else {
      if (random() % 4 == 0) calls.RefuseAdvice(MADV_DONTNEED, ENOMEM);
      const uint64_t held = records.held_bytes();
      const uint64_t given =
          records.GiveBack(random() % 2 == 0 ? HeapRecords::kNoLimit : random() % 40'000,
                           random() % 4 == 0 ? 2 : HeapRecords::kNoLimit);
      ASSERT_EQ(records.held_bytes(), held - given);
      calls.RefuseAdvice(-1, 0);
      ASSERT_TRUE(records.IsConsistent(used.size()));
      for (const auto& [number, its] : used) ASSERT_EQ(records.At(number).generation, its);
    }
    ASSERT_EQ(records.retired(), retired);
  }
}

TEST(HeapRecordsTest, NoHandleIsGivenTwice) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  for (const uint32_t count : {100u, 1000u}) {
    for (const uint32_t first_generation : {1u, UINT32_MAX - 5}) {
      SCOPED_TRACE(testing::Message() << count << " records from " << first_generation);
      CheckAgainstModel(seed + count, count, first_generation);
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }
}

}  // namespace
}  // namespace granary::region
