// That everyone keeps the contract under which it is measured: each page is found, and is the one
// that was asked for, by several threads at once where the implementation serves several.
#include "bench/buffer/implementations.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "bench/buffer/hit_run.h"
#include "bench/buffer/miss_readers.h"
#include "bench/buffer/orders.h"
#include "bench/buffer/page_orders.h"
#include "bench/buffer/prepared.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

// More than one shard's, one magazine's or one leaf's.
constexpr size_t kPages = 3'000;

template <class Implementation>
void CheckEveryPage() {
  Implementation implementation(kPages);
  for (int round = 0; round < 3; ++round) {
    for (size_t page = 0; page < kPages; ++page) {
      ASSERT_EQ(implementation.Read(page), WordOf(page)) << Implementation::kName << " " << page;
    }
    for (size_t page = kPages; page-- > 0;) {
      ASSERT_EQ(implementation.Read(page), WordOf(page)) << Implementation::kName << " " << page;
    }
  }
}

TEST(ImplementationsTest, EveryPageIsFoundAndIsItself) {
  ForEach(FixUnfix(), []<class I>() { CheckEveryPage<I>(); });
  ForEach(Peek(), []<class I>() { CheckEveryPage<I>(); });
}

// Ends the program if a page is not what it is.
template <class Implementation>
void RunThreads() {
  if (Implementation::kThreadsMax < 4) return;
  Implementation implementation(kPages);
  for (const auto distribution :
       {Distribution::kUniform, Distribution::kZipf, Distribution::kHot}) {
    const Orders orders(distribution, kPages, 4, 5'000);
    EXPECT_GT(SecondsOfReads(implementation, orders, 2), 0) << Implementation::kName;
    EXPECT_GT(SecondsOfReads<Reads::kChained>(implementation, orders, 2), 0)
        << Implementation::kName;
  }
}

TEST(ImplementationsTest, SeveralThreadsReadAtOnce) {
  ForEach(FixUnfix(), []<class I>() { RunThreads<I>(); });
  ForEach(Peek(), []<class I>() { RunThreads<I>(); });
}

template <class Reader>
void CheckReader() {
  Reader reader(kPages, kPages / 4);
  if (!reader.why_skipped().empty()) GTEST_SKIP() << reader.why_skipped();
  std::vector<uint32_t> every_page(kPages);
  std::iota(every_page.begin(), every_page.end(), 0u);
  for (size_t page = 0; page < kPages; ++page) {
    ASSERT_EQ(reader.ReadAll(std::span(every_page).subspan(page, 1)), WordOf(page)) << page;
  }
  // At most what there is room for was there already.
  const Orders orders(Distribution::kUniform, kPages, 1);
  const uint64_t before = reader.brought();
  EXPECT_EQ(reader.ReadAll(orders.PagesOf(0)), orders.WordsOf(0));
  EXPECT_GE(reader.brought() - before, kOrderReads * 7 / 10);
  EXPECT_LE(reader.brought() - before, kOrderReads);
}

TEST(MissReadersTest, EveryPageIsReadAndThreeQuartersAreBrought) {
  CheckReader<FilePoolPosix>();
  CheckReader<BareIntoOnePage>();
  CheckReader<BareIntoFrames>();
}

TEST(MissReadersTest, PagesThatArePrefetchedAreThemselves) {
  CheckReader<FilePoolPosixAhead>();
  CheckReader<FilePoolUringAhead>();
}

TEST(PagesTest, NoWordHasTheHighestBit) {
  for (uint64_t page = 0; page < 64'000; ++page) ASSERT_EQ(WordOf(page) >> 63, 0u) << page;
}

// Has other words than it should.
class Wrong {
 public:
  static constexpr const char* kName = "wrong";
  uint64_t Read(uint64_t page) { return WordOf(page) + (page == 7 ? 1 : 0); }
};

TEST(HitRunDeathTest, WhoReadsTheWrongPageIsFoundOut) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Wrong wrong;
  EXPECT_DEATH(SecondsOfReads(wrong, Orders(Distribution::kUniform, 10, 1, 1'000), 1),
               "wrong has read what is in no page");
}

std::vector<size_t> CountsOf(const std::vector<uint32_t>& order, size_t pages) {
  std::vector<size_t> counts(pages);
  for (const uint32_t page : order) ++counts.at(page);
  return counts;
}

TEST(OrdersTest, AreTheSameEachTimeAndAnotherForEachThread) {
  for (const auto distribution : {Distribution::kUniform, Distribution::kZipf}) {
    EXPECT_EQ(MakeOrder(distribution, 1'000, 1), MakeOrder(distribution, 1'000, 1));
    EXPECT_NE(MakeOrder(distribution, 1'000, 0), MakeOrder(distribution, 1'000, 1));
  }
}

TEST(OrdersTest, HotIsOnePage) {
  const std::vector<uint32_t> order = MakeOrder(Distribution::kHot, 1'000, 1);
  EXPECT_EQ(order.size(), kOrderReads);
  EXPECT_EQ(order, MakeOrder(Distribution::kHot, 1'000, 0));
  EXPECT_EQ(std::ranges::count(order, order.front()), std::ssize(order));
}

TEST(OrdersTest, UniformHasEachPageAboutAsOften) {
  const auto counts = CountsOf(MakeOrder(Distribution::kUniform, 100, 0), 100);
  const double mean = static_cast<double>(kOrderReads) / 100;
  for (const size_t count : counts) {
    EXPECT_NEAR(static_cast<double>(count), mean, 6 * std::sqrt(mean));
  }
}

TEST(OrdersTest, ZipfHasTheMostWantedPagesAsOftenAsTheLawSays) {
  constexpr size_t kZipfPages = 1'000;
  auto counts = CountsOf(MakeOrder(Distribution::kZipf, kZipfPages, 0), kZipfPages);
  // All threads want the same page most.
  const auto others = CountsOf(MakeOrder(Distribution::kZipf, kZipfPages, 1), kZipfPages);
  EXPECT_EQ(std::ranges::max_element(counts) - counts.begin(),
            std::ranges::max_element(others) - others.begin());
  std::ranges::sort(counts, std::greater<>());
  double sum = 0;
  for (size_t k = 1; k <= kZipfPages; ++k) sum += std::pow(static_cast<double>(k), -0.99);
  for (const size_t k : {1u, 2u, 4u, 8u}) {
    const double expected =
        static_cast<double>(kOrderReads) * std::pow(static_cast<double>(k), -0.99) / sum;
    EXPECT_NEAR(static_cast<double>(counts[k - 1]), expected, expected * 0.1) << k;
  }
}

TEST(PreparedTest, IsMadeOnceForAKeyAndGoesBeforeTheNext) {
  static int alive = 0;
  struct Counted {
    Counted() { EXPECT_EQ(++alive, 1); }
    ~Counted() { --alive; }
    int uses = 0;
  };
  const auto make = [] { return std::make_unique<Counted>(); };
  ++Prepared::Get<Counted>("a", make).uses;
  EXPECT_EQ(++Prepared::Get<Counted>("a", make).uses, 2);
  EXPECT_EQ(++Prepared::Get<Counted>("b", make).uses, 1);
  EXPECT_EQ(++Prepared::Get<Counted>("a", make).uses, 1);
  Prepared::Forget();
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace granary::bench
