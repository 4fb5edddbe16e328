#include "pool/buffer/warm_start.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <stop_token>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/simulated_files.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/memory_page_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 512;
constexpr uint64_t kFilePages = 1000;
constexpr FileId kFile = 5;

class WarmStartTest : public ::testing::Test {
 protected:
  WarmStartTest() : pages_(*PagePool::Create({.page_bytes = kPageBytes, .max_pages = 4096})) {}

  std::unique_ptr<BufferPool> Make(size_t frames, uint64_t file_pages = kFilePages) {
    BufferPoolOptions options = {.pages = pages_.get(), .frames = frames};
    options.has_evictor = false;
    auto pool = *BufferPool::Create(options);
    AttachOptions attach;
    attach.store = *MemoryPageStore::Create({.page_bytes = kPageBytes, .pages = file_pages});
    attach.pages_max = kFilePages;
    attach.id = kFile;
    EXPECT_TRUE(pool->Attach(std::move(attach)));
    return pool;
  }
  static void Touch(BufferPool& pool, uint64_t first, uint64_t last) {
    for (uint64_t page = first; page < last; ++page) {
      ASSERT_TRUE(pool.FixShared({kFile, page}));
    }
  }
  static std::set<uint64_t> Resident(const BufferPool& pool) {
    std::set<uint64_t> pages;
    for (const PageId id : pool.ResidentPages()) pages.insert(id.page);
    return pages;
  }
  static std::set<uint64_t> Numbers(uint64_t first, uint64_t last) {
    std::set<uint64_t> pages;
    for (; first < last; ++first) pages.insert(first);
    return pages;
  }

  std::unique_ptr<PagePool> pages_;
};

TEST_F(WarmStartTest, APoolHasAfterARestartWhatItHadBefore) {
  SimulatedFiles files;
  {
    auto pool = Make(300);
    Touch(*pool, 100, 350);
    WarmList list;
    ObserveWarmPages(*pool, list);
    ASSERT_TRUE(SaveWarmList(list, "pool.warm", files));
  }
  auto pool = Make(300);
  const auto list = LoadWarmList("pool.warm", files);
  ASSERT_TRUE(list);
  const auto report = WarmStart(*pool, *list);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->brought, 250U);
  EXPECT_EQ(report->already_there + report->without_file + report->beyond_file + report->failed +
                report->left,
            0U);
  EXPECT_EQ(Resident(*pool), Numbers(100, 350));
  EXPECT_EQ(pool->Stats().misses, 0U);
  Touch(*pool, 100, 350);
  EXPECT_EQ(pool->Stats().misses, 0U);
}

TEST_F(WarmStartTest, WhatStayedIsHotterThanWhatJustCame) {
  auto pool = Make(100);
  WarmList list;
  Touch(*pool, 0, 10);
  ObserveWarmPages(*pool, list);
  Touch(*pool, 10, 20);
  ObserveWarmPages(*pool, list);
  ObserveWarmPages(*pool, list);
  pool->Discard(*pool->FixExclusive({kFile, 3}));
  Touch(*pool, 3, 4);
  Touch(*pool, 20, 30);
  pool->Discard(*pool->FixExclusive({kFile, 4}));
  ObserveWarmPages(*pool, list);
  ASSERT_EQ(list.pages.size(), 29U);
  EXPECT_EQ(list.page_bytes, kPageBytes);
  for (const WarmPage& page : list.pages) {
    const uint64_t number = PageOf(page.key).page;
    // Page 3 was there whenever somebody looked.
    EXPECT_EQ(page.heat, number < 10 ? 3 : number < 20 ? 2 : 0) << number;
    EXPECT_NE(number, 4U);
  }
  for (int i = 0; i < 300; ++i) ObserveWarmPages(*pool, list);
  for (const WarmPage& page : list.pages) EXPECT_EQ(page.heat, 255);
}

TEST_F(WarmStartTest, ASmallerPoolGetsTheHottestAndEvictsNothing) {
  WarmList list = {.page_bytes = kPageBytes};
  for (uint64_t page = 0; page < 500; ++page) {
    list.pages.push_back(
        {.key = KeyOf({kFile, page}), .heat = page % 5 == 0 ? uint8_t{9} : uint8_t{1}});
  }
  // As a file has them.
  list = *DecodeWarmList(*EncodeWarmList(list));
  auto pool = Make(128);
  Touch(*pool, 990, 1000);
  const auto report = WarmStart(*pool, list);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->brought, 114U);  // 128 - 10, and 1/32 free.
  EXPECT_EQ(report->left, 500U - 114U);
  EXPECT_EQ(pool->Stats().evictions, 0U);
  const auto resident = Resident(*pool);
  for (uint64_t page = 0; page < 500; page += 5) EXPECT_TRUE(resident.contains(page)) << page;
  for (uint64_t page = 990; page < 1000; ++page) EXPECT_TRUE(resident.contains(page)) << page;
}

TEST_F(WarmStartTest, PagesThatAreNotToBeHadAreCounted) {
  WarmList list = {.page_bytes = kPageBytes};
  for (uint64_t page = 0; page < 60; ++page) {
    list.pages.push_back({.key = KeyOf({kFile, page})});
    list.pages.push_back({.key = KeyOf({kFile + 1, page})});
  }
  {
    auto pool = Make(300, 40);
    Touch(*pool, 0, 5);
    const auto report =
        WarmStart(*pool, list, {.pages_of = [](FileId file) { return file == kFile ? 40U : 0U; }});
    ASSERT_TRUE(report);
    EXPECT_EQ(report->brought, 35U);
    EXPECT_EQ(report->already_there, 5U);
    EXPECT_EQ(report->without_file, 60U);
    EXPECT_EQ(report->beyond_file, 20U);
    EXPECT_EQ(report->failed, 0U);
    EXPECT_EQ(report->left, 0U);
    EXPECT_EQ(pool->Stats().read_errors, 0U);
  }
  auto pool = Make(300, 40);
  const auto report = WarmStart(*pool, list);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->brought, 40U);
  EXPECT_EQ(report->failed, 80U);
  // Every frame that was taken for one of them is free again.
  EXPECT_EQ(pool->Stats().free_frames, 260U);
}

TEST_F(WarmStartTest, ListsThatDoNotFitAreRefused) {
  auto pool = Make(100);
  const auto other = WarmStart(*pool, {.page_bytes = 4096});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(other.error().message, "the list is of pages of 4096 bytes, and the pool's have 512");
  const auto never = WarmStart(*pool, {.page_bytes = kPageBytes}, {.pages_per_second = 0});
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(WarmStartTest, IsNoFasterThanItMayAndStopsWhenItIsToldTo) {
  WarmList list = {.page_bytes = kPageBytes};
  for (uint64_t page = 0; page < 100; ++page) list.pages.push_back({.key = KeyOf({kFile, page})});
  auto pool = Make(300);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(WarmStart(*pool, list, {.pages_per_second = 1000}));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(100));
  EXPECT_EQ(pool->Stats().prefetched, 100U);

  auto stopped = Make(300);
  std::stop_source source;
  // After the first batch, which waits for hundreds of seconds.
  const auto report = WarmStart(*stopped, list,
                                {.pages_per_second = 1,
                                 .pages_of =
                                     [&](FileId) {
                                       source.request_stop();
                                       return kFilePages;
                                     },
                                 .stop = source.get_token()});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->brought, 1U);
  EXPECT_EQ(report->left, 99U);
}

}  // namespace
}  // namespace granary
