// What both pools promise, one thread.
#include "pool/page_pool.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "pool/local_page_pool.h"

namespace granary {
namespace {

template <class Pool>
std::unique_ptr<Pool> Make(const PagePoolOptions& options) {
  auto pool = Pool::Create(options);
  if (!pool) {
    ADD_FAILURE() << pool.error().message;
    std::abort();
  }
  return std::move(*pool);
}

// A kind of pool, with sites recorded or not: the calls take different ways then.
template <class Kind, bool kRecordsSites>
struct PoolKind {
  using Pool = Kind;
  static constexpr bool kSites = kRecordsSites;
};

template <class Kind>
class PagePoolTest : public ::testing::Test {
 protected:
  using Pool = typename Kind::Pool;
  static std::unique_ptr<Pool> MakePool(PagePoolOptions options) {
    options.record_sites = Kind::kSites;
    return Make<Pool>(options);
  }
};
using Pools = ::testing::Types<PoolKind<PagePool, false>, PoolKind<PagePool, true>,
                               PoolKind<LocalPagePool, false>, PoolKind<LocalPagePool, true>>;
TYPED_TEST_SUITE(PagePoolTest, Pools);

TYPED_TEST(PagePoolTest, PagesAreApartAlignedAndOfThePool) {
  for (const size_t page_bytes : {512u, 1024u, 4096u, 65536u, 2u << 20}) {
    const auto pool = this->MakePool({.page_bytes = page_bytes, .max_pages = 50});
    std::set<std::byte*> pages;
    for (int i = 0; i < 50; ++i) {
      std::byte* const page = pool->Allocate();
      ASSERT_NE(page, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(page) % page_bytes, 0u);
      EXPECT_TRUE(pool->Owns(page));
      EXPECT_TRUE(pool->Owns(page + page_bytes - 1));
      EXPECT_EQ(pool->At(pool->IndexOf(page + page_bytes - 1)), page);
      std::memset(page, i, page_bytes);
      EXPECT_TRUE(pages.insert(page).second);
    }
    EXPECT_EQ(pool->Allocate(), nullptr);
    EXPECT_EQ(pool->Stats().live_pages, 50u);
    EXPECT_FALSE(pool->Owns(*pages.begin() - 1));
    EXPECT_FALSE(pool->Owns(*pages.rbegin() + page_bytes));
    int stack = 0;
    EXPECT_FALSE(pool->Owns(&stack));
    for (std::byte* const page : pages) pool->Deallocate(page);
    EXPECT_EQ(pool->Stats().live_pages, 0u);
    EXPECT_EQ(pool->Stats().free_pages, 50u);
  }
}

TYPED_TEST(PagePoolTest, TheNewestFreePageIsTheNext) {
  const auto pool = this->MakePool({.max_pages = 100});
  std::byte* const a = pool->Allocate();
  std::byte* const b = pool->Allocate();
  pool->Deallocate(a);
  pool->Deallocate(b);
  EXPECT_EQ(pool->Allocate(), b);
  EXPECT_EQ(pool->Allocate(), a);
}

TYPED_TEST(PagePoolTest, UntouchedPagesComeInTheOrderOfTheirAddresses) {
  const auto pool = this->MakePool({.max_pages = 300});
  for (PageIndex i = 0; i < 300; ++i) ASSERT_EQ(pool->IndexOf(pool->Allocate()), i);
}

TYPED_TEST(PagePoolTest, TheCapIsExact) {
  for (const size_t max_pages : {1u, 2u, 63u, 64u, 65u, 1000u}) {
    const auto pool = this->MakePool({.max_pages = max_pages});
    for (int round = 0; round < 3; ++round) {
      std::vector<std::byte*> pages;
      while (std::byte* const page = pool->Allocate()) pages.push_back(page);
      EXPECT_EQ(pages.size(), max_pages);
      pool->Deallocate(pages.back());
      EXPECT_EQ(pool->Allocate(), pages.back());
      for (std::byte* const page : pages) pool->Deallocate(page);
    }
  }
}

TYPED_TEST(PagePoolTest, BatchesGiveWhatThereIs) {
  const auto pool = this->MakePool({.max_pages = 1000});
  std::vector<std::byte*> pages(700);
  ASSERT_EQ(pool->AllocateBatch(pages), 700u);
  EXPECT_EQ(std::set<std::byte*>(pages.begin(), pages.end()).size(), 700u);
  std::vector<std::byte*> more(700);
  ASSERT_EQ(pool->AllocateBatch(more), 300u);
  EXPECT_EQ(pool->Stats().live_pages, 1000u);
  more.resize(300);
  pool->DeallocateBatch(more);
  pool->DeallocateBatch(pages);
  pool->DeallocateBatch({});
  EXPECT_EQ(pool->Stats().live_pages, 0u);
  EXPECT_EQ(pool->AllocateBatch({}), 0u);
}

TYPED_TEST(PagePoolTest, ChainsAreAllOrNothing) {
  const auto pool = this->MakePool({.max_pages = 500});
  auto chain = pool->AllocateChain(400);
  ASSERT_EQ(chain.size(), 400u);
  std::set<std::byte*> pages;
  for (std::byte* const page : chain) {
    std::memset(page, 7, pool->page_bytes());
    pages.insert(page);
  }
  EXPECT_EQ(pages.size(), 400u);
  EXPECT_TRUE(pool->AllocateChain(101).empty());
  EXPECT_TRUE(pool->AllocateChain(0).empty());
  EXPECT_EQ(pool->Stats().live_pages, 400u);

  // Pages of their own go into a chain and out of it.
  std::byte* const own = pool->Allocate();
  chain.Append(own);
  auto other = pool->AllocateChain(3);
  chain.Splice(std::move(other));
  EXPECT_EQ(chain.size(), 404u);
  EXPECT_EQ(std::distance(chain.begin(), chain.end()), 404);
  std::byte* const first = chain.Take();
  EXPECT_EQ(chain.size(), 403u);
  pool->Deallocate(first);
  EXPECT_EQ(pool->Stats().live_pages, 403u);

  auto moved = std::move(chain);
  EXPECT_EQ(moved.size(), 403u);
  moved.Release();
  EXPECT_EQ(pool->Stats().live_pages, 0u);
  EXPECT_EQ(pool->AllocateChain(500).size(), 500u);
  EXPECT_EQ(pool->Stats().live_pages, 0u) << "a chain that ends gives its pages back";
}

TYPED_TEST(PagePoolTest, AReservationCannotFail) {
  const auto pool = this->MakePool({.max_pages = 100, .name = "small"});
  auto reserved = pool->Reserve(60);
  ASSERT_TRUE(reserved.has_value());
  const auto refused = pool->Reserve(41);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(refused.error().message.find("small"), std::string::npos);
  while (pool->Allocate() != nullptr) {
  }
  for (int i = 0; i < 60; ++i) ASSERT_NE(reserved->Take(), nullptr);
  EXPECT_EQ(reserved->Take(), nullptr);
  EXPECT_EQ(pool->Stats().live_pages, 100u);
}

// Blocks as an arena links them.
template <class Pool>
BlockChain MakeBlocks(Pool& pool, size_t count) {
  BlockChain chain;
  for (size_t i = 0; i < count; ++i) {
    auto* const link = ::new (pool.Allocate()) BlockLink{nullptr, pool.page_bytes()};
    if (chain.first == nullptr) {
      chain.first = link;
    } else {
      chain.last->next = link;
    }
    chain.last = link;
    ++chain.count;
    chain.bytes += pool.page_bytes();
  }
  return chain;
}

TYPED_TEST(PagePoolTest, ReleasedBlocksAreUsedAgain) {
  const auto pool = this->MakePool({.max_pages = 300});
  pool->ReleaseBlocks({});
  const BlockChain first = MakeBlocks(*pool, 200);
  const BlockChain second = MakeBlocks(*pool, 99);
  const BlockChain single = MakeBlocks(*pool, 1);
  // What lies behind the last block is no part of the chain.
  first.last->next = second.first;
  EXPECT_EQ(pool->Allocate(), nullptr);
  pool->ReleaseBlocks(second);
  pool->ReleaseBlocks(first);
  pool->ReleaseBlocks(single);
  EXPECT_EQ(pool->Stats().live_pages, 0u);
  std::set<std::byte*> pages;
  while (std::byte* const page = pool->Allocate()) pages.insert(page);
  EXPECT_EQ(pages.size(), 300u);
}

TYPED_TEST(PagePoolTest, TrimLeavesWhatLives) {
  const auto pool = this->MakePool({.max_pages = 4096});
  std::vector<std::byte*> pages(4096);
  ASSERT_EQ(pool->AllocateBatch(pages), 4096u);
  for (std::byte* const page : pages) std::memset(page, 1, 4096);
  for (size_t i = 0; i < pages.size(); ++i) {
    if (i % 100 != 0) pool->Deallocate(pages[i]);
  }
  const size_t live = pool->Stats().live_pages;
  EXPECT_EQ(live, 41u);
  EXPECT_EQ(pool->Trim(), (4096 - live) * 4096);
  EXPECT_EQ(pool->Stats().cold_pages, 4096 - live);
  EXPECT_LE(*pool->slab().ResidentPageBytes(), live * 4096 * 101 / 100);
  EXPECT_EQ(pool->Trim(), 0u);
  for (size_t i = 0; i < pages.size(); i += 100) {
    EXPECT_EQ(pages[i][4095], std::byte{1});
    pool->Deallocate(pages[i]);
  }
  // Warm pages go out before cold ones.
  for (size_t i = 0; i < live; ++i) {
    EXPECT_EQ(pool->IndexOf(pool->Allocate()) % 100, 0u);
  }
  size_t rest = 0;
  while (std::byte* const page = pool->Allocate()) {
    EXPECT_EQ(page[100], std::byte{0}) << "its memory is new";
    ++rest;
  }
  EXPECT_EQ(rest, 4096 - live);
}

TYPED_TEST(PagePoolTest, TrimKeepsWhatItIsTold) {
  const auto pool = this->MakePool({.max_pages = 1000});
  std::vector<std::byte*> pages(1000);
  ASSERT_EQ(pool->AllocateBatch(pages), 1000u);
  for (std::byte* const page : pages) std::memset(page, 1, 4096);
  pool->ReleaseBlocks({});
  pool->DeallocateBatch(pages);
  EXPECT_EQ(pool->Trim(300), 700u * 4096);
  EXPECT_EQ(pool->Stats().free_pages, 300u);
  EXPECT_EQ(pool->Trim(400), 0u);
  EXPECT_EQ(pool->Trim(100), 200u * 4096);
  EXPECT_EQ(pool->Stats().cold_pages, 900u);
  while (pool->Allocate() != nullptr) {
  }
  EXPECT_EQ(pool->Stats().live_pages, 1000u);
}

TYPED_TEST(PagePoolTest, TrimOfPagesSmallerThanTheSystems) {
  const auto pool = this->MakePool({.page_bytes = 512, .max_pages = 800});
  std::vector<std::byte*> pages(800);
  ASSERT_EQ(pool->AllocateBatch(pages), 800u);
  for (std::byte* const page : pages) std::memset(page, 3, 512);
  for (size_t i = 1; i < 800; ++i) {
    if (i != 20) pool->Deallocate(pages[i]);
  }
  EXPECT_EQ(pool->Trim(), 98u * 4096) << "two of a hundred system pages have a live page";
  EXPECT_EQ(pages[0][511], std::byte{3});
  EXPECT_EQ(pages[20][511], std::byte{3});
  pool->Deallocate(pages[0]);
  EXPECT_EQ(pool->Trim(), 4096u) << "with its neighbours, which were trimmed before";
}

TYPED_TEST(PagePoolTest, ResizeMovesTheCap) {
  const auto pool = this->MakePool({.max_pages = 100, .reserve_pages = 1000});
  std::vector<std::byte*> pages;
  const auto fill = [&] {
    while (std::byte* const page = pool->Allocate()) pages.push_back(page);
    return pages.size();
  };
  EXPECT_EQ(fill(), 100u);
  EXPECT_TRUE(pool->Resize(1000).has_value());
  EXPECT_EQ(fill(), 1000u);
  EXPECT_EQ(pool->Resize(1001).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool->Resize(0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool->Resize(999).error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(pool->Stats().max_pages, 1000u);
  for (int i = 0; i < 600; ++i) {
    pool->Deallocate(pages.front());
    pages.erase(pages.begin());
  }
  EXPECT_EQ(pool->Resize(399).error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(fill(), 1000u) << "a refused resize changes nothing";
  for (int i = 0; i < 600; ++i) {
    pool->Deallocate(pages.back());
    pages.pop_back();
  }
  EXPECT_TRUE(pool->Resize(450).has_value());
  EXPECT_EQ(pool->Stats().max_pages, 450u);
  EXPECT_EQ(fill(), 450u);
  EXPECT_TRUE(pool->Resize(900).has_value());
  EXPECT_EQ(fill(), 900u);
  EXPECT_EQ(std::set<std::byte*>(pages.begin(), pages.end()).size(), 900u);
}

TYPED_TEST(PagePoolTest, CreationTouchesNothing) {
  const auto pool = this->MakePool({.max_pages = (size_t{16} << 30) / 4096, .name = "16 GiB"});
  EXPECT_EQ(*pool->slab().ResidentPageBytes(), 0u);
  EXPECT_EQ(*pool->slab().ResidentMetadataBytes(), 0u);
  if (!TypeParam::kSites) {
    EXPECT_LE(static_cast<double>(pool->slab().metadata_bytes()), 0.002 * (size_t{16} << 30));
  }
  std::byte* const page = pool->Allocate();
  EXPECT_EQ(*pool->slab().ResidentPageBytes(), 0u) << "an allocation touches no page";
  pool->Deallocate(page);
  EXPECT_EQ(*pool->slab().ResidentPageBytes(), 0u);
}

TYPED_TEST(PagePoolTest, BadOptionsAreNamed) {
  const auto message = [](const PagePoolOptions& options) {
    const auto pool = TypeParam::Pool::Create(options);
    return pool ? std::string() : pool.error().message;
  };
  EXPECT_NE(message({.page_bytes = 256, .max_pages = 1}).find("page_bytes is 256"),
            std::string::npos);
  EXPECT_NE(message({.page_bytes = 5000, .max_pages = 1}).find("5000"), std::string::npos);
  EXPECT_NE(message({.page_bytes = 4u << 20, .max_pages = 1}).find("page_bytes"),
            std::string::npos);
  EXPECT_NE(message({.max_pages = 1, .magazine_pages = 0}).find("magazine_pages is 0"),
            std::string::npos);
  EXPECT_NE(message({.max_pages = 1, .magazine_pages = 129}).find("magazine_pages is 129"),
            std::string::npos);
  EXPECT_NE(message({}).find("max_pages"), std::string::npos);
  EXPECT_NE(message({.max_pages = 10, .reserve_pages = 9}).find("reserve_pages"),
            std::string::npos);
  EXPECT_NE(message({.max_pages = size_t{1} << 40}).find("number"), std::string::npos);
}

}  // namespace
}  // namespace granary
