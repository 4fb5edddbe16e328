// Many more queries than there is memory for: each has the right answer or is refused with the
// reason, and the process never has more than its limit.
//
// GRANARY_TEST_OPERATIONS is how many queries to run; 64 at a time.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "integration/examples/query_engine/engine.h"
#include "integration/examples/query_engine/testing/test_queries.h"
#include "memory/sanitizer.h"

namespace granary::query_engine {
namespace {

constexpr size_t kThreads = 64;

size_t QueryCount() {
  const char* const given = std::getenv("GRANARY_TEST_OPERATIONS");
  if (given != nullptr) return std::strtoull(given, nullptr, 10);
  return kCheckedBuild ? 300 : 1000;
}

size_t ResidentBytes() {
  size_t pages = 0;
  size_t resident = 0;
  std::FILE* const statm = std::fopen("/proc/self/statm", "r");
  const int read = std::fscanf(statm, "%zu %zu", &pages, &resident);
  std::fclose(statm);
  return read == 2 ? resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

struct Expected {
  std::string text;
  Digest digest;
  size_t peak_bytes;
};

// What each query gives, and needs, when it is alone and nothing is short.
std::vector<Expected> RunAlone(double scale, size_t* tables_bytes) {
  EngineMemory memory({.limit_bytes = 256 * kMiB, .page_bytes = 16 * kKiB});
  const Tables tables(scale, memory.resource());
  *tables_bytes = memory.resource().Stats().asked_bytes;
  Engine engine(memory, tables);
  std::vector<Expected> expected;
  for (const char* const text : kQueries) {
    const Outcome outcome = engine.Run({.text = text});
    EXPECT_FALSE(outcome.error);
    expected.push_back({text, outcome.digest, outcome.peak_bytes});
  }
  return expected;
}

TEST(QueryEngineLoadTest, ManyQueriesUnderATenthOfWhatTheyNeedStayWithinIt) {
  constexpr double kScale = kCheckedBuild ? 0.005 : 0.01;
  size_t tables_bytes = 0;
  const std::vector<Expected> expected = RunAlone(kScale, &tables_bytes);
  size_t all_bytes = 0;
  for (const Expected& one : expected) all_bytes += one.peak_bytes;
  const size_t at_once_bytes = kThreads * all_bytes / expected.size();
  const size_t limit = tables_bytes + tables_bytes / 8 + at_once_bytes / 10;

  EngineMemory memory({.limit_bytes = limit, .page_bytes = 16 * kKiB});
  const Tables tables(kScale, memory.resource());
  Engine engine(memory, tables);
  const size_t count = QueryCount();
  std::atomic<size_t> next = 0;
  std::atomic<size_t> finished = 0;
  std::atomic<size_t> refused = 0;
  std::atomic<size_t> spilled = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (size_t i; (i = next.fetch_add(1)) < count;) {
        const Expected& query = expected[i % expected.size()];
        const Outcome outcome = engine.Run({.text = query.text, .id = i + 1});
        spilled += outcome.spilled_bytes != 0;
        if (outcome.error) {
          ++refused;
          EXPECT_EQ(outcome.error->code, ErrorCode::kOutOfMemory) << outcome.error->message;
          const std::string& message = outcome.error->message;
          EXPECT_TRUE(message.find("engine has ") != std::string::npos ||
                      message.find("limit") != std::string::npos)
              << message;
        } else {
          ++finished;
          const bool is_ordered = (query.text + " ").find(" order ") != std::string::npos;
          EXPECT_TRUE(outcome.digest.Agrees(query.digest, is_ordered)) << query.text;
        }
      }
    });
  }
  size_t resident_max = 0;
  while (finished + refused < count) {
    resident_max = std::max(resident_max, ResidentBytes());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& thread : threads) thread.join();
  ExpectAllBack(memory);
  EXPECT_EQ(finished + refused, count);
  EXPECT_LE(memory.budget().Stats().peak_bytes, limit);
  std::printf(
      "%zu queries: %zu finished, %zu refused, %zu spilled; limit %.1f MiB, a tenth of %.1f and "
      "the tables' %.1f; resident %.1f at most\n",
      count, finished.load(), refused.load(), spilled.load(), static_cast<double>(limit) / kMiB,
      static_cast<double>(at_once_bytes) / kMiB, static_cast<double>(tables_bytes) / kMiB,
      static_cast<double>(resident_max) / kMiB);
  if (kCheckedBuild) return;
  EXPECT_LE(resident_max, limit + limit / 200 * 3 + 8 * kMiB);
}

}  // namespace
}  // namespace granary::query_engine
