// That pages which are read past the operating system's cache are themselves, and that fio reads as
// many as it is told.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>

#include "bench/buffer/bare_rings.h"
#include "bench/buffer/direct_readers.h"
#include "bench/buffer/fio.h"
#include "bench/buffer/orders.h"
#include "bench/buffer/page_orders.h"
#include "bench/compaction/temporary_folder.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

constexpr size_t kPages = 4'000;
constexpr size_t kReads = 1'000;

template <class Reader>
void ExpectThatEveryPageIsReadAndMostAreBroughtOnce() {
  DirectPool pool(kPages, kPages / 2);
  if (!pool.why_skipped().empty()) GTEST_SKIP() << pool.why_skipped();
  const Orders orders(Distribution::kUniform, kPages, 1, kReads);
  EXPECT_EQ(Reader{pool}.ReadAll(orders.PagesOf(0)), orders.WordsOf(0));
  EXPECT_GE(pool.brought(), kReads * 7 / 10);
  EXPECT_LE(pool.brought(), kReads);
}

TEST(DirectPoolTest, ReadsWhileOthersCome) {
  ExpectThatEveryPageIsReadAndMostAreBroughtOnce<StartedReader>();
}
TEST(DirectPoolTest, ReadsWhatHasCome) {
  ExpectThatEveryPageIsReadAndMostAreBroughtOnce<AwaitedReader>();
}

TEST(BareRingsTest, ThreadsReadEveryPage) {
  const PageFileOnDisk file(kPages);
  file.Sync();
  BareRings rings(file.path(), 2, kPages / 10, 16);
  if (!rings.why_skipped().empty()) GTEST_SKIP() << rings.why_skipped();
  const Orders orders(Distribution::kUniform, kPages, 2, kReads);
  std::thread other([&] { EXPECT_EQ(rings.ReadAll(orders.PagesOf(1)), orders.WordsOf(1)); });
  EXPECT_EQ(rings.ReadAll(orders.PagesOf(0)), orders.WordsOf(0));
  other.join();
}

TEST(FioTest, ReadsAsManyPagesAsItIsTold) {
  const PageFileOnDisk file(kPages);
  file.Sync();
  const FioReads done = RunFio(file.path(), 2, kReads, 16);
  if (!done.why_not.empty()) GTEST_SKIP() << done.why_not;
  EXPECT_EQ(done.reads, 2 * kReads);
  EXPECT_GT(done.seconds, 0);
}

// And leaves nothing behind: by itself it makes the folders of the file.
TEST(FioTest, SaysWhyItHasReadNothing) {
  const TemporaryFolder folder;
  const std::string nowhere = folder.PathOf("nowhere");
  const FioReads done = RunFio(nowhere + "/at/all", 1, kReads, 16);
  EXPECT_FALSE(done.why_not.empty());
  EXPECT_EQ(done.reads, 0u);
  EXPECT_FALSE(std::filesystem::exists(nowhere));
}

}  // namespace
}  // namespace granary::bench
