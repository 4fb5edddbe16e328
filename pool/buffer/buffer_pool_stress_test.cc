// Threads that fix, change, look at, discard and prefetch pages of a pool of few frames, with
// everything else going on beside it: each page is one content of itself at every moment.
//
// GRANARY_TEST_OPERATIONS is how many operations each thread makes.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/sanitizer.h"
#include "memory/testing/random_seed.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/buffer/testing/misleading_translation.h"
#include "pool/buffer/testing/test_log.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 512;

size_t Operations() {
  const char* const given = std::getenv("GRANARY_TEST_OPERATIONS");
  if (given != nullptr) return std::strtoull(given, nullptr, 10);
  return kCheckedBuild ? 20'000 : 200'000;
}

// Every word of a page is its number plus how often it was changed.
constexpr size_t kWords = kPageBytes / sizeof(uint64_t);

uint64_t WordOf(const std::byte* page, size_t word) {
  uint64_t value;
  std::memcpy(&value, page + word * sizeof(value), sizeof(value));
  return value;
}

struct Case {
  const char* name;
  EvictionKind eviction;
  size_t frames;
  bool has_evictor;
  // How entries are found.
  enum class By : uint8_t { kNumber, kHash, kMisleadingHash } by = By::kNumber;
  uint64_t pages = 300;
};
using By = Case::By;

template <class Pool>
void ExpectThatEveryPageIsOneContentOfItself(const Case& tried, uint64_t seed) {
  constexpr size_t kThreads = 4;
  const uint64_t page_count = tried.pages;
  TestLog log;
  auto pages = *PagePool::Create({.page_bytes = kPageBytes, .max_pages = 4 * page_count});
  BufferPoolOptions options = {.pages = pages.get(), .frames = tried.frames};
  options.eviction = tried.eviction;
  options.has_evictor = tried.has_evictor;
  options.evictor_low_frames = tried.has_evictor ? 2 : 0;
  options.evictor_high_frames = tried.has_evictor ? 4 : 0;
  options.wal_gate = &log;
  options.write_batch_pages = 8;
  options.frame_wait = std::chrono::seconds(20);
  auto pool = *Pool::Create(options);
  auto store = *MemoryPageStore::Create({.page_bytes = kPageBytes, .pages = page_count});
  AttachOptions attach;
  attach.store = std::move(store);
  attach.pages_max = page_count;
  const FileId file = *pool->Attach(std::move(attach));
  {
    auto reserved = *pool->Reserve(1);
    for (uint64_t page = 0; page < page_count; ++page) {
      auto fixed = pool->FixExclusive({file, page});
      ASSERT_TRUE(fixed) << fixed.error().message;
      for (size_t word = 0; word < kWords; ++word) {
        std::memcpy(fixed->data() + word * sizeof(page), &page, sizeof(page));
      }
      fixed->MarkDirty(log.Next());
    }
  }
  const auto view = *pool->ViewOf(file);
  std::vector<std::atomic<uint64_t>> changes(page_count);
  std::atomic<uint64_t> looks = 0;
  const size_t operations = tried.by == By::kNumber ? Operations() : Operations() / 2;
  buffer::MisleadingTranslation::Mislead(true);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + t);
      for (size_t i = 0; i < operations && !::testing::Test::HasFailure(); ++i) {
        // Some pages are asked for far more often than others.
        const uint64_t page = random() % (random() % 4 == 0 ? page_count : 20);
        const PageId id = {file, page};
        const uint64_t what = random() % 100;
        const bool by_view = random() % 2 == 0;
        if (what < 40) {
          const Access access = what < 5 ? Access::kScan : Access::kNormal;
          auto fixed = by_view ? view.FixShared(page, access) : pool->FixShared(id, access);
          ASSERT_TRUE(fixed) << fixed.error().message;
          ASSERT_EQ(fixed->id(), id);
          const uint64_t first = WordOf(fixed->data(), 0);
          ASSERT_EQ(first, page + (changes[page].load() << 32));
          ASSERT_EQ(WordOf(fixed->data(), kWords - 1), first);
        } else if (what < 70) {
          auto fixed = by_view ? view.FixExclusive(page) : pool->FixExclusive(id);
          ASSERT_TRUE(fixed) << fixed.error().message;
          const uint64_t next = page + ((changes[page].fetch_add(1) + 1) << 32);
          for (size_t word = 0; word < kWords; ++word) {
            std::memcpy(fixed->data() + word * sizeof(next), &next, sizeof(next));
          }
          fixed->MarkDirty(log.Next());
        } else if (what < 95) {
          Expected<OptimisticPage> peeked = by_view ? view.Peek(page) : pool->Peek(id);
          ASSERT_TRUE(peeked) << peeked.error().message;
          const auto first = peeked->Read<uint64_t>(0);
          const auto last = peeked->Read<uint64_t>((kWords - 1) * sizeof(uint64_t));
          if (!peeked->Validate()) continue;
          ASSERT_EQ(first, last);
          ASSERT_EQ(first & UINT32_MAX, page);
          if (auto upgraded = peeked->TryUpgrade()) {
            ASSERT_EQ(WordOf(upgraded->data(), 0), first);
          }
          looks.fetch_add(1, std::memory_order_relaxed);
        } else if (what < 96) {
          const PageId ahead[] = {
              id, {file, (page + 1) % page_count}, {file, (page + 2) % page_count}};
          (void)(by_view ? pool->Prefetch(ahead) : pool->StartPrefetch(ahead));
        } else if (what < 97) {
          (void)pool->TrimEntries();
        } else if (what < 98) {
          const auto flushed = pool->Flush(log.Flushed());
          ASSERT_TRUE(flushed) << flushed.error().message;
        } else {
          auto shared = pool->FixShared(id);
          ASSERT_TRUE(shared) << shared.error().message;
          if (auto exclusive = shared->TryUpgrade()) {
            SharedPage again = exclusive->Downgrade();
            ASSERT_EQ(again.id(), id);
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  buffer::MisleadingTranslation::Mislead(false);
  if (::testing::Test::HasFailure()) return;
  EXPECT_GT(looks.load(), 0U);
  const auto done = pool->Checkpoint();
  ASSERT_TRUE(done) << done.error().message;
  const BufferPoolStats stats = pool->Stats();
  EXPECT_EQ(stats.dirty_pages, 0U);
  EXPECT_LE(stats.used_frames, tried.frames);
  EXPECT_GT(stats.evictions, 0U);
  for (uint64_t page = 0; page < page_count; ++page) {
    auto fixed = pool->FixShared({file, page});
    ASSERT_TRUE(fixed) << fixed.error().message;
    ASSERT_EQ(WordOf(fixed->data(), 0), page + (changes[page].load() << 32));
  }
  const auto detached = pool->Detach(file);
  ASSERT_TRUE(detached) << detached.error().message;
  EXPECT_EQ(pool->Stats().entry_bytes, 0U);
  pool.reset();
  EXPECT_EQ(pages->Stats().live_pages, 0U);
}

class BufferPoolStressTest : public ::testing::TestWithParam<Case> {};

TEST_P(BufferPoolStressTest, EveryPageIsOneContentOfItself) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  switch (GetParam().by) {
    case By::kNumber:
      return ExpectThatEveryPageIsOneContentOfItself<BufferPool>(GetParam(), seed);
    case By::kHash:
      return ExpectThatEveryPageIsOneContentOfItself<HashBufferPool>(GetParam(), seed);
    case By::kMisleadingHash:
      return ExpectThatEveryPageIsOneContentOfItself<
          BasicBufferPool<buffer::MisleadingTranslation>>(GetParam(), seed);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Pools, BufferPoolStressTest,
    ::testing::Values(Case{"s3fifo_32", EvictionKind::kS3Fifo, 32, false},
                      Case{"s3fifo_evictor", EvictionKind::kS3Fifo, 100, true},
                      Case{"s3fifo_lanes", EvictionKind::kS3Fifo, 600, true, By::kNumber, 1500},
                      Case{"clock_lanes", EvictionKind::kClock, 1100, false, By::kNumber, 1500},
                      Case{"twoq_32", EvictionKind::kTwoQ, 32, false},
                      Case{"clock_evictor", EvictionKind::kClock, 64, true},
                      Case{"lru_16", EvictionKind::kLru, 16, false},
                      Case{"hash_32", EvictionKind::kS3Fifo, 32, false, By::kHash},
                      Case{"hash_evictor", EvictionKind::kS3Fifo, 100, true, By::kHash},
                      Case{"hash_lanes", EvictionKind::kS3Fifo, 600, true, By::kHash, 1500},
                      Case{"hash_lru_16", EvictionKind::kLru, 16, false, By::kHash},
                      Case{"misled_32", EvictionKind::kS3Fifo, 32, false, By::kMisleadingHash},
                      Case{"misled_evictor", EvictionKind::kS3Fifo, 100, true,
                           By::kMisleadingHash}),
    [](const auto& named) { return std::string(named.param.name); });

}  // namespace
}  // namespace granary
