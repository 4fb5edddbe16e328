// That every implementation keeps the contract under which it is measured: its pages are aligned as
// it says, may be written from end to end, and are nobody else's until they are freed, by whichever
// thread.
#include "bench/pool/implementations.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "bench/pool/pattern_run.h"
#include "bench/pool/patterns.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

constexpr size_t kPageBytes = 16 << 10;
constexpr size_t kPageCount = 100;

template <class Pool>
bool IsLeftOut() {
  if constexpr (requires { Pool::WhySkipped(); }) {
    if (!Pool::WhySkipped().empty()) {
      std::printf("skipped: %s\n", Pool::WhySkipped().c_str());
      return true;
    }
  }
  return false;
}

// Allocates pages, fills each with a mark of its own, and then reads all marks.
template <size_t kAlignment, class Handle>
std::vector<std::byte*> AllocateMarked(Handle& handle, const char* name) {
  std::vector<std::byte*> pages;
  for (size_t i = 0; i < kPageCount; ++i) {
    pages.push_back(static_cast<std::byte*>(handle.Allocate()));
    EXPECT_NE(pages.back(), nullptr) << name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages.back()) % kAlignment, 0U) << name;
    std::memset(pages.back(), static_cast<int>(i), kPageBytes);
  }
  for (size_t i = 0; i < kPageCount; ++i) {
    for (size_t byte = 0; byte < kPageBytes; ++byte) {
      if (pages[i][byte] != static_cast<std::byte>(i)) {
        ADD_FAILURE() << name << " gave one page to two";
        return pages;
      }
    }
  }
  return pages;
}

TEST(ImplementationsTest, PagesAreAlignedAndTheirOwners) {
  ForEach<kPageBytes>(OneThread(), []<class I>() {
    if (IsLeftOut<I>()) return;
    I pool(1, kPageCount);
    const ThreadOfPool<I> thread(pool);
    auto& handle = pool.ForThread(0);
    for (int round = 0; round < 3; ++round) {
      for (std::byte* const page : AllocateMarked<I::kAlignment>(handle, I::kName)) {
        handle.Deallocate(page);
      }
    }
  });
}

template <class Pool, class Worker>
void RunSome(size_t thread_count) {
  Pool pool(thread_count, Worker::kLivePages);
  typename Worker::Shared shared(thread_count);
  SecondsOnThreads(thread_count, [&](size_t thread, StartLine& line) {
    const ThreadOfPool<Pool> thread_of_pool(pool);
    Worker worker(pool.ForThread(thread), shared, thread);
    line.Wait();
    for (int i = 0; i < 3; ++i) worker.RunBatch();
    return StartLine::Clock::now();
  });
}

TEST(ImplementationsTest, ServeSeveralThreads) {
  ForEach<kPageBytes>(ManyThreads(), []<class I>() {
    if (IsLeftOut<I>()) return;
    RunSome<I, RandomReplacement<HandleOf<I>, true>>(4);
    RunSome<I, Burst<HandleOf<I>, true, true>>(4);
  });
}

TEST(ImplementationsTest, OneThreadMayFreeWhatAnotherAllocated) {
  ForEach<kPageBytes>(HandingOver(), []<class I>() {
    if (IsLeftOut<I>()) return;
    RunSome<I, ProducerConsumer<HandleOf<I>, true>>(4);
  });
}

}  // namespace
}  // namespace granary::bench
