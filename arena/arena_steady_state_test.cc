// An Arena in its steady state costs nothing but its bumps: no malloc within a block that the
// caller gave, and after some queries no call upstream and no page fault.
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory_resource>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "arena/arena.h"
#include "arena/arena_scope.h"
#include "gtest/gtest.h"
#include "memory/malloc_resource.h"
#include "memory/testing/random_seed.h"

// A sanitizer's malloc must not be replaced, and its shadow memory faults as it likes.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GRANARY_TEST_COUNTS_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define GRANARY_TEST_COUNTS_MALLOC 0
#endif
#endif
#if !defined(GRANARY_TEST_COUNTS_MALLOC)
#define GRANARY_TEST_COUNTS_MALLOC 1
#endif

namespace {

constexpr bool kCountsMalloc = GRANARY_TEST_COUNTS_MALLOC != 0;

// Calls of malloc's family, and of operator new beside them.
std::atomic<size_t> malloc_calls{0};

}  // namespace

#if GRANARY_TEST_COUNTS_MALLOC

// The C library's own, under the names by which it lets a program's functions stand in front.
extern "C" {
void* __libc_malloc(size_t bytes) noexcept;
void __libc_free(void* p) noexcept;
void* __libc_calloc(size_t count, size_t bytes) noexcept;
void* __libc_realloc(void* p, size_t bytes) noexcept;
void* __libc_memalign(size_t alignment, size_t bytes) noexcept;

void* malloc(size_t bytes) noexcept {
  malloc_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(bytes);
}
void free(void* p) noexcept {
  if (p != nullptr) malloc_calls.fetch_add(1, std::memory_order_relaxed);
  __libc_free(p);
}
void* calloc(size_t count, size_t bytes) noexcept {
  malloc_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, bytes);
}
void* realloc(void* p, size_t bytes) noexcept {
  malloc_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(p, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  malloc_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, bytes);
}
void* memalign(size_t alignment, size_t bytes) noexcept {
  malloc_calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** p, size_t alignment, size_t bytes) noexcept {
  malloc_calls.fetch_add(1, std::memory_order_relaxed);
  *p = __libc_memalign(alignment, bytes);
  return *p == nullptr ? ENOMEM : 0;
}
}

void* operator new(size_t bytes) {
  malloc_calls.fetch_add(1, std::memory_order_relaxed);
  void* const p = __libc_malloc(bytes == 0 ? 1 : bytes);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void operator delete(void* p) noexcept { free(p); }
void operator delete(void* p, size_t) noexcept { free(p); }

#endif  // GRANARY_TEST_COUNTS_MALLOC

namespace granary {
namespace {

struct Noted {
  explicit Noted(size_t* where) : destroyed(where) {}
  ~Noted() { ++*destroyed; }
  size_t* destroyed;
  char payload[40] = {};
};

TEST(ArenaSteadyStateTest, MallocIsCounted) {
  if (!kCountsMalloc) GTEST_SKIP() << "a sanitizer has its own malloc";
  const size_t before = malloc_calls;
  std::free(std::malloc(10));
  delete new std::string(100, 'x');
  EXPECT_GE(malloc_calls - before, 6u);
}

TEST(ArenaSteadyStateTest, AnArenaWithinACallersBlockCallsNoMalloc) {
  if (!kCountsMalloc) GTEST_SKIP() << "a sanitizer has its own malloc";
  alignas(16) std::byte block[16 << 10];
  const std::string text(100, 'x');
  size_t destroyed = 0;
  const size_t before = malloc_calls;
  for (int i = 0; i < 1000; ++i) {
    Arena arena(block, {.checks = Checks::kOff});
    for (int use = 0; use < 3; ++use) {
      for (size_t bytes = 1; bytes < 100; ++bytes) (void)arena.allocate(bytes, 8);
      (void)arena.Copy(text);
      arena.Create<Noted>(&destroyed);
      (void)arena.CreateArray<uint64_t>(10);
      const ArenaMark mark = arena.Mark();
      {
        const ArenaScope scope(arena);
        std::pmr::vector<int> numbers(&arena);
        for (int k = 0; k < 100; ++k) numbers.push_back(k);
      }
      arena.Rewind(mark);
      if (use < 2) arena.Reset();
    }
  }
  EXPECT_EQ(malloc_calls - before, 0u);
  EXPECT_EQ(destroyed, 3000u);
}

TEST(ArenaSteadyStateTest, AnArenaThatNeverAllocatesCallsNoMalloc) {
  if (!kCountsMalloc) GTEST_SKIP() << "a sanitizer has its own malloc";
  const size_t before = malloc_calls;
  for (int i = 0; i < 1000; ++i) {
    Arena arena({.checks = Checks::kOff});
    arena.Rewind(arena.Mark());
    arena.Reset();
    (void)arena.Trim();
    (void)arena.Stats();
  }
  EXPECT_EQ(malloc_calls - before, 0u);
}

// --- Queries ------------------------------------------------------------------------------------

// Counts every call, and touches what it hands out: a page that the arena reaches for the first
// time much later is no cost of a reset.
class CountingResource final : public MemoryResource {
 public:
  CountingResource() : MemoryResource(Deallocation::kFrees, MallocResource::kMaxAlignment) {}

  void* TryAllocate(size_t bytes, size_t alignment) noexcept override {
    ++calls;
    void* const p = malloc_.TryAllocate(bytes, alignment);
    if (p != nullptr) std::memset(p, 1, bytes);
    return p;
  }
  bool TryResize(void* p, size_t old_bytes, size_t new_bytes, size_t alignment) noexcept override {
    ++calls;
    return malloc_.TryResize(p, old_bytes, new_bytes, alignment);
  }
  MemoryStats Stats() const noexcept override { return malloc_.Stats(); }

  size_t calls = 0;

 private:
  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    ++calls;
    malloc_.deallocate(p, bytes, alignment);
  }

  MallocResource malloc_;
};

struct Query {
  size_t small_count;
  size_t large_bytes[2];
};

void Run(Arena& arena, const Query& query, size_t* destroyed) {
  static constexpr std::string_view kText = "a key of a row, longer or shorter";
  for (size_t i = 0; i < query.small_count; ++i) {
    const size_t bytes = 8 + i * 37 % 120;
    std::memset(arena.allocate(bytes, i % 3 == 0 ? 16 : 8), 2, bytes);
    if (i % 8 == 0) (void)arena.Copy(kText.substr(0, i % kText.size()));
    if (i % 32 == 0) arena.Create<Noted>(destroyed);
    if (i == query.small_count / 3 || i == query.small_count / 2) {
      const size_t bytes_large = query.large_bytes[i == query.small_count / 2 ? 1 : 0];
      std::memset(arena.allocate(bytes_large, 64), 3, bytes_large);
    }
    if (i % 512 == 0) {
      const ArenaScope scope(arena);
      std::pmr::vector<std::pmr::string> strings(&arena);
      for (size_t k = 0; k < 20; ++k) strings.emplace_back(30 + k, 'y');
    }
  }
  std::pmr::vector<uint64_t> numbers(&arena);
  for (size_t i = 0; i < query.small_count / 4; ++i) numbers.push_back(i);
}

size_t MinorFaults() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return static_cast<size_t>(usage.ru_minflt);
}

constexpr size_t kCycles = 10'000;
constexpr size_t kWarmCycles = 10;

// Runs the queries of which `next` gives one after the other.
void ExpectSteady(const Retention& retention, const auto& next, size_t warm_cycles = kWarmCycles) {
  CountingResource upstream;
  size_t destroyed = 0;
  Arena arena({.retention = retention, .upstream = &upstream, .checks = Checks::kOff});
  size_t calls = 0;
  size_t faults = 0;
  size_t disturbed_count = 0;
  size_t last_disturbed = 0;
  for (size_t cycle = 0; cycle < kCycles; ++cycle) {
    if (cycle == warm_cycles) {
      calls = upstream.calls;
      faults = MinorFaults();
    }
    const size_t calls_before = upstream.calls;
    const Query query = next(cycle);
    Run(arena, query, &destroyed);
    const size_t calls_of_query = upstream.calls - calls_before;
    arena.Reset();
    if (cycle < warm_cycles || upstream.calls == calls_before) continue;
    last_disturbed = cycle;
    if (++disturbed_count <= 3) {
      ADD_FAILURE() << "query " << cycle << " (" << query.small_count << " small, "
                    << query.large_bytes[0] << " and " << query.large_bytes[1]
                    << " bytes large) called upstream " << calls_of_query << " times, its reset "
                    << upstream.calls - calls_before - calls_of_query << " times; held "
                    << arena.Stats().held_bytes;
    }
  }
  EXPECT_EQ(upstream.calls - calls, 0u)
      << "in " << disturbed_count << " queries, the last of them " << last_disturbed;
  if (kCountsMalloc) {
    EXPECT_EQ(MinorFaults() - faults, 0u);
  }
  EXPECT_GT(destroyed, kCycles);
}

class ArenaQueriesTest : public testing::TestWithParam<Retention> {};

TEST_P(ArenaQueriesTest, QueriesOfOneSizeTakeNothingAfterTheFirstTen) {
  ExpectSteady(GetParam(), [](size_t) { return Query{1500, {100'000, 250'000}}; });
}

// Queries of the period 35: from `first_small` on, and from the largest pair of large objects,
// whose sizes are within a factor of two of each other.
Query QueryOfManySizes(size_t cycle, size_t first_small) {
  constexpr size_t kSmall[] = {3000, 100, 700, 1500, 2200};
  constexpr size_t kLarge[] = {190'000, 175'000, 100'000, 160'000, 130'000, 115'000, 145'000};
  return {kSmall[(cycle + first_small) % 5], {kLarge[cycle % 7], kLarge[(cycle + 1) % 7]}};
}

TEST_P(ArenaQueriesTest, QueriesOfManySizesTakeNothingAfterTheFirstTen) {
  ExpectSteady(GetParam(), [](size_t cycle) { return QueryOfManySizes(cycle, 0); });
}

// Under Adaptive, after a small first query, the estimate has to see the whole period once.
TEST_P(ArenaQueriesTest, QueriesThatBeginSmallTakeNothingAfterAPeriod) {
  ExpectSteady(
      GetParam(), [](size_t cycle) { return QueryOfManySizes(cycle, 1); }, 35);
}

TEST_P(ArenaQueriesTest, QueriesWithLargeObjectsOfAnySizeTakeNothingAfterAPeriod) {
  constexpr size_t kSmall[] = {100, 3000, 700, 1500, 2200};
  constexpr size_t kLarge[] = {150'000, 600'000, 250'000};
  ExpectSteady(
      GetParam(),
      [&](size_t cycle) {
        return Query{kSmall[cycle % 5], {kLarge[cycle % 3], kLarge[(cycle / 3) % 3]}};
      },
      45);
}

TEST_P(ArenaQueriesTest, QueriesThatVaryByAFifthTakeNothingAfterTheFirstTen) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const auto about = [&random](size_t mean) {
    return mean - mean / 5 + static_cast<size_t>(random() % (2 * (mean / 5) + 1));
  };
  ExpectSteady(GetParam(), [&](size_t cycle) {
    // One of the first is as large as they come, so that what varies is not the record.
    if (cycle < 3) return Query{1800, {120'000, 300'000}};
    return Query{about(1500), {about(100'000), about(250'000)}};
  });
}

INSTANTIATE_TEST_SUITE_P(Arena, ArenaQueriesTest,
                         testing::Values(Retention::Adaptive(), Retention::KeepAll()),
                         [](const testing::TestParamInfo<Retention>& retention) {
                           return retention.param.kind() == Retention::Kind::kAdaptive ? "Adaptive"
                                                                                       : "KeepAll";
                         });

}  // namespace
}  // namespace granary
