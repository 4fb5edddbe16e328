// What every PageStore has to pass. Include it in the test of a concrete one and instantiate it:
//
//   INSTANTIATE_TEST_SUITE_P(
//       Memory, PageStoreConformanceTest,
//       testing::Values(PageStoreTraits{.name = "Memory", .make = MakeMemoryStore}),
//       PageStoreName);
#ifndef GRANARY_POOL_BUFFER_TESTING_PAGE_STORE_CONFORMANCE_TEST_SUITE_H_
#define GRANARY_POOL_BUFFER_TESTING_PAGE_STORE_CONFORMANCE_TEST_SUITE_H_

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <ostream>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/random_seed.h"
#include "pool/buffer/page_store.h"
#include "pool/buffer/testing/page_buffers.h"
#include "pool/buffer/testing/reads_in_windows.h"

namespace granary {

struct PageStoreTraits {
  // Of letters and digits; a part of the test's name.
  std::string name;
  // A store without pages that takes at least 4096 of them. Null, with the reason in `why_not`, if
  // this machine has none: the test is skipped then.
  std::function<std::unique_ptr<PageStore>(std::string* why_not)> make;
  // Makes another of the same pages after the first is destroyed; null if they are gone with it.
  std::function<std::unique_ptr<PageStore>()> reopen;
};

inline std::string PageStoreName(const testing::TestParamInfo<PageStoreTraits>& info) {
  return info.param.name;
}

// gtest prints parameters, and would print the bytes of this one.
inline void PrintTo(const PageStoreTraits& traits, std::ostream* out) { *out << traits.name; }

class PageStoreConformanceTest : public testing::TestWithParam<PageStoreTraits> {
 protected:
  void SetUp() override {
    std::string why_not;
    store_ = GetParam().make(&why_not);
    if (store_ == nullptr) GTEST_SKIP() << why_not;
  }

  PageStore& store() { return *store_; }
  size_t page_bytes() { return store().page_bytes(); }
  PageBuffers Buffers(size_t count) {
    return PageBuffers(count, page_bytes(), store().Limits().memory_alignment);
  }

  // Writes these pages with bytes that `version` stands for, and expects all to be written.
  void Put(const std::vector<uint64_t>& pages, uint64_t version) {
    PageBuffers buffers = Buffers(pages.size());
    std::vector<PageWrite> writes;
    for (size_t i = 0; i < pages.size(); ++i) {
      buffers.Fill(i, pages[i], version);
      writes.push_back({.page = pages[i], .bytes = buffers[i], .error_number = 4711});
    }
    store().Write(writes);
    for (const PageWrite& write : writes) ASSERT_EQ(write.error_number, 0) << "page " << write.page;
  }

  // Reads them in one batch and expects these versions; 0 stands for zeros.
  void Expect(const std::vector<std::pair<uint64_t, uint64_t>>& pages) {
    PageBuffers buffers = Buffers(pages.size());
    std::vector<PageRead> reads;
    for (size_t i = 0; i < pages.size(); ++i) {
      buffers.Fill(i, ~pages[i].first, 4711);
      reads.push_back({.page = pages[i].first, .bytes = buffers[i], .error_number = 4711});
    }
    store().Read(reads);
    for (size_t i = 0; i < pages.size(); ++i) {
      ASSERT_EQ(reads[i].error_number, 0) << "page " << pages[i].first;
      ASSERT_TRUE(buffers.Holds(i, pages[i].first, pages[i].second)) << "page " << pages[i].first;
    }
  }

  std::unique_ptr<PageStore> store_;
};

TEST_P(PageStoreConformanceTest, IsEmptyAtFirst) {
  EXPECT_EQ(store().PageCount(), 0u);
  EXPECT_TRUE(PageStore::IsPageSize(page_bytes()));
  EXPECT_FALSE(store().name().empty());
  const IoLimits limits = store().Limits();
  EXPECT_GE(limits.batch_pages_max, 1u);
  EXPECT_TRUE(std::has_single_bit(limits.memory_alignment));
  EXPECT_EQ(page_bytes() % limits.offset_alignment, 0u);
  store().Read({});
  store().Write({});
  EXPECT_TRUE(store().Sync());
  EXPECT_EQ(store().PageCount(), 0u);
}

TEST_P(PageStoreConformanceTest, ReadsWhatWasWritten) {
  Put({0, 1, 2}, 1);
  EXPECT_EQ(store().PageCount(), 3u);
  Put({1}, 2);
  EXPECT_EQ(store().PageCount(), 3u);
  Expect({{2, 1}, {0, 1}, {1, 2}, {0, 1}});
}

TEST_P(PageStoreConformanceTest, ReadsWhatComesInWindowsAsItReadsABatch) {
  constexpr size_t kCount = 300;
  std::vector<uint64_t> pages(kCount);
  std::iota(pages.begin(), pages.end(), 0);
  Put(pages, 1);
  std::mt19937_64 random(RandomTestSeed());
  for (const auto& [window_max, windows] :
       {std::pair{1, 1}, std::pair{7, 1}, std::pair{3, 4}, std::pair{64, 2}, std::pair{1000, 3}}) {
    SCOPED_TRACE(std::to_string(windows) + " windows of " + std::to_string(window_max));
    PageBuffers buffers = Buffers(kCount);
    std::vector<PageRead> reads;
    for (size_t i = 0; i < kCount; ++i) {
      // One in ten is behind the end; neighbours are there as well.
      const uint64_t page = i % 3 == 0 ? random() % (kCount + kCount / 10) : reads.back().page + 1;
      buffers.Fill(i, ~page, 4711);
      reads.push_back({.page = page, .bytes = buffers[i], .error_number = 4711});
    }
    ReadsInWindows in_windows(reads, static_cast<size_t>(window_max), static_cast<size_t>(windows));
    store().ReadEach(in_windows);
    EXPECT_TRUE(in_windows.AllAreDone());
    for (size_t i = 0; i < kCount; ++i) {
      const bool is_there = reads[i].page < kCount;
      ASSERT_EQ(reads[i].error_number, is_there ? 0 : ENODATA) << "page " << reads[i].page;
      if (is_there) {
        ASSERT_TRUE(buffers.Holds(i, reads[i].page, 1)) << "page " << reads[i].page;
      }
    }
    ReadsInWindows none({}, 1, 1);
    store().ReadEach(none);
  }
}

TEST_P(PageStoreConformanceTest, ThereIsNoPageAtTheEndAndThoseBesideItAreRead) {
  Put({0, 1}, 1);
  PageBuffers buffers = Buffers(5);
  PageRead reads[] = {{.page = 2, .bytes = buffers[0]},
                      {.page = 0, .bytes = buffers[1]},
                      {.page = 1, .bytes = buffers[2]},
                      {.page = UINT64_MAX, .bytes = buffers[3]},
                      {.page = 1, .bytes = buffers[4]}};
  store().Read(reads);
  EXPECT_EQ(reads[0].error_number, ENODATA);
  EXPECT_EQ(reads[3].error_number, ENODATA);
  for (const size_t i : {1u, 2u, 4u}) {
    EXPECT_EQ(reads[i].error_number, 0);
    EXPECT_TRUE(buffers.Holds(i, reads[i].page, 1));
  }
}

TEST_P(PageStoreConformanceTest, WritingBeyondTheEndLeavesZerosBetween) {
  Put({5}, 1);
  EXPECT_EQ(store().PageCount(), 6u);
  Expect({{0, 0}, {4, 0}, {5, 1}});
}

TEST_P(PageStoreConformanceTest, APageThatCannotBeWrittenHarmsNoOther) {
  PageBuffers buffers = Buffers(3);
  for (size_t i = 0; i < 3; ++i) buffers.Fill(i, i, 1);
  PageWrite writes[] = {{.page = 0, .bytes = buffers[0]},
                        {.page = UINT64_MAX, .bytes = buffers[2]},
                        {.page = 1, .bytes = buffers[1]}};
  store().Write(writes);
  EXPECT_EQ(writes[0].error_number, 0);
  EXPECT_NE(writes[1].error_number, 0);
  EXPECT_EQ(writes[2].error_number, 0);
  EXPECT_EQ(store().PageCount(), 2u);
  Expect({{0, 1}, {1, 1}});
}

TEST_P(PageStoreConformanceTest, ExtendsWithZerosAndNeverShrinks) {
  Put({0}, 1);
  ASSERT_TRUE(store().Extend(10));
  EXPECT_EQ(store().PageCount(), 10u);
  ASSERT_TRUE(store().Extend(3));
  EXPECT_EQ(store().PageCount(), 10u);
  Expect({{0, 1}, {1, 0}, {9, 0}});
  EXPECT_FALSE(store().Extend(UINT64_MAX));
  EXPECT_EQ(store().PageCount(), 10u);
  Put({9}, 2);
  Expect({{9, 2}, {8, 0}});
}

TEST_P(PageStoreConformanceTest, WhatATruncationTakesComesBackAsZeros) {
  Put({0, 1, 2, 3, 4, 5, 6, 7, 8}, 1);
  ASSERT_TRUE(store().Truncate(20));
  EXPECT_EQ(store().PageCount(), 9u);
  ASSERT_TRUE(store().Truncate(3));
  EXPECT_EQ(store().PageCount(), 3u);
  ASSERT_TRUE(store().Extend(6));
  Expect({{2, 1}, {3, 0}, {5, 0}});
  Put({8}, 2);
  Expect({{6, 0}, {7, 0}, {8, 2}});
  ASSERT_TRUE(store().Truncate(0));
  EXPECT_EQ(store().PageCount(), 0u);
  Put({1}, 3);
  Expect({{0, 0}, {1, 3}});
}

TEST_P(PageStoreConformanceTest, LargeBatchesInAnyOrder) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  std::vector<uint64_t> pages(1500);
  std::iota(pages.begin(), pages.end(), 7);
  Put(pages, 1);
  std::shuffle(pages.begin(), pages.end(), random);
  Put(pages, 2);
  // Runs of some length, out of order, and some pages twice.
  std::vector<std::pair<uint64_t, uint64_t>> expected;
  while (expected.size() < 3000) {
    const uint64_t first = 7 + random() % 1500;
    const uint64_t last = std::min<uint64_t>(1507, first + 1 + random() % 150);
    for (uint64_t page = first; page < last; ++page) expected.emplace_back(page, 2);
  }
  Expect(expected);
}

TEST_P(PageStoreConformanceTest, LastsIfItIsToLast) {
  if (!GetParam().reopen) GTEST_SKIP() << "its pages are gone with it";
  Put({0, 3}, 1);
  ASSERT_TRUE(store().Sync());
  store_.reset();
  store_ = GetParam().reopen();
  ASSERT_NE(store_, nullptr);
  EXPECT_EQ(store().PageCount(), 4u);
  Expect({{3, 1}, {1, 0}, {0, 1}});
}

TEST_P(PageStoreConformanceTest, RegisteredMemoryReadsAndWritesAsAnyOther) {
  PageBuffers frames = Buffers(64);
  const std::string note = store().RegisterMemory(frames.memory());
  if (!note.empty()) std::printf("%s\n", note.c_str());
  std::vector<PageWrite> writes;
  for (size_t i = 0; i < frames.count(); ++i) {
    frames.Fill(i, i * 2, 1);
    writes.push_back({.page = i * 2, .bytes = frames[i]});
  }
  store().Write(writes);
  for (const PageWrite& write : writes) ASSERT_EQ(write.error_number, 0);
  std::vector<PageRead> reads;
  for (size_t i = 0; i < frames.count(); ++i) {
    frames.Fill(i, 4711, 4711);
    reads.push_back({.page = 2 * (frames.count() - 1 - i), .bytes = frames[i]});
  }
  store().Read(reads);
  for (size_t i = 0; i < frames.count(); ++i) {
    ASSERT_EQ(reads[i].error_number, 0);
    ASSERT_TRUE(frames.Holds(i, reads[i].page, 1));
  }
  // Memory of others goes on to do, and this one when nobody knows it any more.
  Expect({{0, 1}, {2, 1}, {126, 1}, {1, 0}});
  EXPECT_EQ(store().RegisterMemory({}), "");
  store().Read(reads);
  for (size_t i = 0; i < frames.count(); ++i) ASSERT_TRUE(frames.Holds(i, reads[i].page, 1));
}

TEST_P(PageStoreConformanceTest, BehavesAsAMapOfPages) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  constexpr uint64_t kPages = 300;
  std::vector<uint64_t> model;  // The version of each page; 0 for zeros.
  for (uint64_t step = 1; step <= 400; ++step) {
    const auto choice = random() % 100;
    if (choice < 45) {
      std::vector<uint64_t> pages;
      uint64_t page = random() % kPages;
      for (size_t left = 1 + random() % 40; left != 0 && page < kPages; --left) {
        pages.push_back(page);
        page += random() % 4 != 0 ? 1 : random() % 9 + 1;
      }
      ASSERT_NO_FATAL_FAILURE(Put(pages, step));
      if (model.size() <= pages.back()) model.resize(pages.back() + 1);
      for (const uint64_t written : pages) model[written] = step;
    } else if (choice < 90) {
      if (model.empty()) continue;
      std::vector<std::pair<uint64_t, uint64_t>> expected;
      uint64_t page = random() % model.size();
      for (size_t left = 1 + random() % 60; left != 0 && page < model.size(); --left) {
        expected.emplace_back(page, model[page]);
        page += random() % 5 != 0 ? 1 : random() % 9 + 1;
      }
      ASSERT_NO_FATAL_FAILURE(Expect(expected));
    } else if (choice < 94) {
      const uint64_t pages = random() % kPages;
      ASSERT_TRUE(store().Extend(pages));
      if (model.size() < pages) model.resize(pages);
    } else if (choice < 97) {
      const uint64_t pages = random() % kPages;
      ASSERT_TRUE(store().Truncate(pages));
      if (model.size() > pages) model.resize(pages);
    } else {
      ASSERT_TRUE(store().Sync());
    }
    ASSERT_EQ(store().PageCount(), model.size()) << "step " << step;
  }
}

TEST_P(PageStoreConformanceTest, ThreadsWithPagesOfTheirOwnGoOnAtTheSameTime) {
  constexpr size_t kThreads = 4;
  constexpr uint64_t kPagesEach = 100;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      // Each thread's pages lie between those of the others, and all make the file larger.
      for (uint64_t version = 1; version <= 6; ++version) {
        std::vector<uint64_t> pages;
        std::vector<std::pair<uint64_t, uint64_t>> expected;
        for (uint64_t i = 0; i < kPagesEach; ++i) {
          const uint64_t page = (i / 5 * kThreads + t) * 5 + i % 5;
          pages.push_back(page);
          expected.emplace_back(page, version);
        }
        Put(pages, version);
        Expect(expected);
        const auto others = t % 2 == 0 ? store().Extend(50 * version) : store().Sync();
        EXPECT_TRUE(others);
        EXPECT_GE(store().PageCount(), pages.back());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store().PageCount(), kThreads * kPagesEach);
}

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_TESTING_PAGE_STORE_CONFORMANCE_TEST_SUITE_H_
