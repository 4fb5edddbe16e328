// Hits of counting policies come from threads without the lock, while pages come and go.
#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "pool/buffer/eviction.h"

namespace granary {
namespace {

class EvictionThreadsTest : public testing::TestWithParam<EvictionKind> {};

INSTANTIATE_TEST_SUITE_P(Policies, EvictionThreadsTest,
                         testing::Values(EvictionKind::kS3Fifo, EvictionKind::kClock),
                         [](const auto& kind) { return EvictionKindName(kind.param); });

TEST_P(EvictionThreadsTest, HitsRunBesideEverything) {
  constexpr FrameIndex kFrames = 256;
  constexpr PageKey kPages = 20'000;
  const auto eviction = *MakeEviction(GetParam(), kFrames);
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (FrameIndex begin : {0U, 77U}) {
    threads.emplace_back([&, begin] {
      for (FrameIndex i = begin; !done.load(std::memory_order_relaxed); i += 7) {
        eviction->OnHit(i % kFrames);
        if (i % 64 == 0) std::this_thread::yield();
      }
    });
  }
  std::vector<PageKey> keys(kFrames);
  for (PageKey key = 0; key < kPages; ++key) {
    auto frame = static_cast<FrameIndex>(key);
    if (key >= kFrames) {
      while (eviction->PickVictims(std::span(&frame, 1)) == 0) continue;
      eviction->OnEvicted(frame, keys[frame]);
    }
    keys[frame] = key * 7 % 1000;
    eviction->OnInsert(frame, keys[frame], Access::kNormal);
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  for (FrameIndex frame = 0; frame < kFrames; ++frame) {
    EXPECT_LE(eviction->hits()[frame].load(), eviction->hits_max());
  }
}

}  // namespace
}  // namespace granary
