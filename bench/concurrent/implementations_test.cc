// That every implementation keeps the contract under which it is measured: several threads at once
// get memory that is aligned, may be written from end to end, and is nobody else's until all start
// over. And that threads which are to have met contention have.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/arena/sizes.h"
#include "bench/concurrent/arenas.h"
#include "bench/concurrent/rounds.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

constexpr size_t kThreads = 4;

// Fits what a raw block has for each thread.
template <class Held>
bool KeepsBytesApart(const Held& held, size_t thread) {
  struct Piece {
    unsigned char* p;
    size_t bytes;
  };
  std::vector<Piece> pieces;
  size_t sum = 0;
  for (const uint32_t bytes : SmallMix()) {
    auto* const p = static_cast<unsigned char*>(held.Aligned8(bytes));
    if (reinterpret_cast<uintptr_t>(p) % 8 != 0) return false;
    std::memset(p, static_cast<int>(thread * 50 + pieces.size() % 50), bytes);
    pieces.push_back({p, bytes});
    if ((sum += bytes) > kBlockBytes / 4) break;
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    for (size_t at = 0; at < pieces[i].bytes; ++at) {
      if (pieces[i].p[at] != thread * 50 + i % 50) return false;
    }
  }
  return true;
}

TEST(ImplementationsTest, ThreadsGetMemoryOfTheirOwn) {
  ForEachImplementation([]<class Implementation>() {
    const auto shared = std::make_unique<Implementation>(kThreads);
    std::atomic<size_t> good = 0;
    Rounds rounds(
        kThreads, [](size_t) {},
        [&](size_t thread) { good += KeepsBytesApart(shared->Attach(thread), thread) ? 1 : 0; });
    for (size_t round = 1; round <= 3; ++round) {
      rounds.Run();
      EXPECT_EQ(good, round * kThreads) << Implementation::kName;
      shared->Reset();
    }
  });
}

TEST(ImplementationsTest, RocksdbThreadsThatMetContentionUseShards) {
  std::thread([] { EXPECT_FALSE(RocksdbConcurrent::UsesShards()); }).join();
  std::thread([] {
    EXPECT_TRUE(RocksdbConcurrent::Contend());
    EXPECT_TRUE(RocksdbConcurrent::UsesShards());
  }).join();
}

TEST(RoundsTest, EveryThreadWorksOnceARound) {
  for (const size_t threads : {1u, 2u, 7u}) {
    std::vector<int> prepared(threads);
    std::vector<int> worked(threads);
    Rounds rounds(
        threads, [&](size_t thread) { ++prepared[thread]; },
        [&](size_t thread) { ++worked[thread]; });
    for (int round = 1; round <= 50; ++round) {
      rounds.Run();
      EXPECT_EQ(worked, std::vector<int>(threads, round));
    }
    prepared[0] = 1;  // The leader sees to itself.
    EXPECT_EQ(prepared, std::vector<int>(threads, 1));
  }
}

}  // namespace
}  // namespace granary::bench
