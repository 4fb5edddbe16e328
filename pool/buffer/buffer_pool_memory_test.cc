// What a pool makes the process take: its frames, a little for what it knows of them, and nothing
// else, at every moment of a rough time.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/testing/random_seed.h"
#include "pool/buffer/buffer_pool.h"
#include "pool/buffer/page_scope.h"
#include "pool/buffer/posix_page_store.h"
#include "pool/buffer/testing/fault_page_store.h"
#include "pool/page_pool.h"

namespace granary {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kFrames = 16'384;
constexpr uint64_t kPages = 2 * kFrames;
constexpr auto kDuration = std::chrono::milliseconds(1500);

// The process's resident memory, again and again; allocates nothing.
class ResidentMemory {
 public:
  ResidentMemory() : file_(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)) {}
  ~ResidentMemory() { ::close(file_); }
  ResidentMemory(const ResidentMemory&) = delete;
  ResidentMemory& operator=(const ResidentMemory&) = delete;

  size_t Bytes() const {
    char text[128] = {};
    if (::pread(file_, text, sizeof(text) - 1, 0) <= 0) return 0;
    size_t all = 0;
    size_t resident = 0;
    if (std::sscanf(text, "%zu %zu", &all, &resident) != 2) return 0;
    return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  }

 private:
  const int file_;
};

// What an engine's thread does with pages, any of it at random. A fault is an error of that fix.
class Worker {
 public:
  Worker(BufferPool& pool, FileId file, uint64_t seed) : pool_(pool), file_(file), random_(seed) {}

  void Step() {
    switch (random_() % 16) {
      case 0:
        Prefetch();
        break;
      case 1:
        Scan();
        break;
      case 2:
      case 3:
      case 4:
      case 5:
        Change();
        break;
      case 6:
        if (random_() % 4096 == 0) (void)pool_.Flush();
        break;
      default:
        Check(pool_.FixShared(Any()));
    }
  }

 private:
  PageId Any() { return {file_, random_() % kPages}; }

  template <class Page>
  static bool Check(const Expected<Page>& page) {
    EXPECT_TRUE(page || page.error().code == ErrorCode::kIo) << page.error().message;
    return page.has_value();
  }

  void Change() {
    auto page = pool_.FixExclusive(Any());
    if (!Check(page)) return;
    page->data()[random_() % kPageBytes] = std::byte{1};
    page->MarkDirty(0);
  }
  void Prefetch() {
    PageId ids[16];
    std::generate(std::begin(ids), std::end(ids), [&] { return Any(); });
    (void)pool_.Prefetch(ids);
  }
  void Scan() {
    PageScope scope(pool_, {});
    const uint64_t first = random_() % (kPages - 64);
    for (uint64_t page = first; page < first + 64; ++page) {
      Check(scope.FixShared({file_, page}, Access::kScan));
    }
  }

  BufferPool& pool_;
  const FileId file_;
  std::mt19937_64 random_;
};

TEST(BufferPoolMemoryTest, TakesItsFramesAndOneAndAHalfPercent) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  const std::string path = testing::TempDir() + "/buffer_pool_memory_test.pages";
  (void)::unlink(path.c_str());
  auto file_store = PosixPageStore::Create({.path = path, .create = true, .reserve_space = false});
  ASSERT_TRUE(file_store) << file_store.error().message;
  ASSERT_TRUE((*file_store)->Extend(kPages));
  auto faults = std::make_unique<FaultPageStore>(
      *std::move(file_store), FaultPageStoreOptions{.seed = seed, .keeps_unsynced = false});
  for (const PageFault fault : {PageFault::kReadError, PageFault::kShortRead,
                                PageFault::kWriteError, PageFault::kShortWrite}) {
    faults->InjectRandomly(fault, 0.001);
  }
  const ResidentMemory memory;
  const size_t before = memory.Bytes();
  ASSERT_NE(before, 0u);

  const auto pages =
      *PagePool::Create({.page_bytes = kPageBytes, .max_pages = kFrames, .record_sites = false});
  auto pool = *BufferPool::Create({.pages = pages.get(), .frames = kFrames, .record_pins = false});
  const FileId file = *pool->Attach({.store = std::move(faults), .pages_max = kPages});
  std::atomic<bool> ends = false;
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      Worker worker(*pool, file, seed + i);
      while (!ends.load(std::memory_order_relaxed)) worker.Step();
    });
  }
  size_t most = 0;
  size_t samples = 0;
  const auto end = std::chrono::steady_clock::now() + kDuration;
  while (std::chrono::steady_clock::now() < end) {
    most = std::max(most, memory.Bytes() - before);
    ++samples;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
  const BufferPoolStats stats = pool->Stats();
  constexpr size_t kCapacity = kFrames * kPageBytes;
  std::printf(
      "%zu frames, %zu KiB: %zu KiB above them at most, in %zu samples; %zu KiB of entries\n",
      kFrames, kCapacity / 1024, (most - std::min(most, kCapacity)) / 1024, samples,
      stats.entry_bytes / 1024);
  EXPECT_LE(most, kCapacity + kCapacity * 15 / 1000 + (size_t{4} << 20));
  EXPECT_EQ(stats.used_frames, kFrames) << "or it was no test";
  EXPECT_GT(stats.read_errors, 0u);
  pool.reset();
  (void)::unlink(path.c_str());
}

}  // namespace
}  // namespace granary
