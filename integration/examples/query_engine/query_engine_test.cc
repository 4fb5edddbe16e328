// The example's queries: right answers, whatever the memory; and everything back afterwards.
#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "integration/examples/query_engine/engine.h"
#include "integration/examples/query_engine/testing/test_queries.h"

namespace granary::query_engine {
namespace {

// Not in the memory that the tests are about.
const Tables& TestTables() {
  static const Tables tables(0.005, *std::pmr::new_delete_resource());
  return tables;
}

TEST(QueryEngineTest, AnswersAreRight) {
  EngineMemory memory({.limit_bytes = 256 * kMiB});
  Engine engine(memory, TestTables());
  for (const char* const text : kQueries) {
    const Outcome outcome = engine.Run({.text = text});
    ExpectRight(text, TestTables(), outcome);
    EXPECT_EQ(outcome.spilled_bytes, 0u) << text;
  }
  ExpectAllBack(memory);
}

TEST(QueryEngineTest, AnswersAreRightWhenOperatorsSpill) {
  EngineMemory memory({.limit_bytes = 256 * kMiB, .page_bytes = 16 * kKiB});
  Engine engine(memory, TestTables());
  for (const size_t limit : {1 * kMiB, 1500 * kKiB}) {
    size_t spilled_count = 0;
    for (const char* const text : kQueries) {
      const Outcome outcome = engine.Run({.text = text, .limit_bytes = limit});
      ExpectRight(text, TestTables(), outcome);
      EXPECT_LE(outcome.peak_bytes, limit);
      spilled_count += outcome.spilled_bytes != 0;
    }
    EXPECT_GE(spilled_count, 4u);
  }
  ExpectAllBack(memory);
}

TEST(QueryEngineTest, ResultsOutliveTheirQueries) {
  EngineMemory memory({.limit_bytes = 64 * kMiB});
  Engine engine(memory, TestTables());
  {
    const Outcome outcome = engine.Run({.text = kQueries[2]});
    EXPECT_EQ(memory.queries_budget().Stats().taken_bytes, 0u);
    EXPECT_GT(memory.results_budget().Stats().taken_bytes, 0u);
    ExpectRight(kQueries[2], TestTables(), outcome);
  }
  ExpectAllBack(memory);
}

TEST(QueryEngineTest, AQueryThatAsksTooMuchIsRefusedWithTheReasonAndOthersGoOn) {
  EngineMemory memory({.limit_bytes = 64 * kMiB});
  Engine engine(memory, TestTables());
  std::atomic<bool> is_over = false;
  std::thread other([&] {
    while (!is_over) ExpectRight(kQueries[3], TestTables(), engine.Run({.text = kQueries[3]}));
  });
  for (int i = 0; i < 20; ++i) {
    const Outcome outcome =
        engine.Run({.text = "from lineitem order limit 25000", .id = 7, .limit_bytes = 1 * kMiB});
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code, ErrorCode::kOutOfMemory);
    EXPECT_NE(outcome.error->message.find("engine/queries/query 7 has"), std::string::npos)
        << outcome.error->message;
    EXPECT_NE(outcome.error->message.find("of 1048576 bytes taken, by top-n"), std::string::npos)
        << outcome.error->message;
  }
  is_over = true;
  other.join();
  ExpectAllBack(memory);
}

TEST(QueryEngineTest, ManyAtOnceUnderOneLimitSpillForOneAnother) {
  EngineMemory memory({.limit_bytes = 6 * kMiB, .page_bytes = 16 * kKiB});
  Engine engine(memory, TestTables());
  std::atomic<size_t> finished = 0;
  std::atomic<size_t> spilled = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < std::size(kQueries); ++i) {
        const char* const text = kQueries[(i + t) % std::size(kQueries)];
        const Outcome outcome = engine.Run({.text = text});
        spilled += outcome.spilled_bytes != 0;
        if (outcome.error) {
          EXPECT_EQ(outcome.error->code, ErrorCode::kOutOfMemory) << outcome.error->message;
          EXPECT_FALSE(outcome.error->message.empty());
          continue;
        }
        ++finished;
        ExpectRight(text, TestTables(), outcome);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(finished, threads.size() * std::size(kQueries) / 2);
  EXPECT_GT(spilled, 0u);
  EXPECT_LE(memory.budget().Stats().peak_bytes, 6 * kMiB);
  ExpectAllBack(memory);
}

TEST(QueryEngineTest, ACancelledQueryStopsAndReturnsEverything) {
  EngineMemory memory({.limit_bytes = 64 * kMiB, .page_bytes = 16 * kKiB});
  Engine engine(memory, TestTables());
  EXPECT_FALSE(engine.Cancel(1));
  size_t cancelled = 0;
  std::minstd_rand random(1);
  for (uint64_t id = 1; id <= 60; ++id) {
    std::atomic<bool> is_over = false;
    std::thread other([&, wait = std::chrono::microseconds(random() % 20'000)] {
      std::this_thread::sleep_for(wait);
      while (!is_over && !engine.Cancel(id)) std::this_thread::yield();
    });
    const char* const text = kQueries[id % std::size(kQueries)];
    const Outcome outcome = engine.Run({.text = text, .id = id, .limit_bytes = 2 * kMiB});
    is_over = true;
    other.join();
    if (outcome.error) {
      ++cancelled;
      EXPECT_EQ(outcome.error->code, ErrorCode::kAborted);
      EXPECT_EQ(outcome.error->message, "query " + std::to_string(id) + " was cancelled");
    } else {
      ExpectRight(text, TestTables(), outcome);
    }
  }
  EXPECT_GT(cancelled, 0u);
  ExpectAllBack(memory);
}

TEST(QueryEngineTest, MalformedQueriesAreRefusedWithTheWord) {
  EngineMemory memory({.limit_bytes = 16 * kMiB});
  Engine engine(memory, TestTables());
  const std::pair<const char*, const char*> cases[] = {
      {"", "expected 'from' and found the end"},
      {"from", "expected a table and found the end"},
      {"from nowhere", "there is no table 'nowhere'"},
      {"from orders where", "expected a column and found the end"},
      {"from orders where total", "expected '=', '<' or '>' and found the end"},
      {"from orders where total < much", "expected a number and found 'much'"},
      {"from orders where price < 1", "there is no column 'price' in orders"},
      {"from orders order limit -1", "expected a limit that is not negative and found the end"},
      {"from orders limit 3", "which rows a limit cuts off is not known without 'order'"},
      {"from orders please", "expected the end and found 'please'"},
      {"from orders join customer join customer join customer", "no more than 2 joins"},
  };
  for (const auto& [text, message] : cases) {
    const Outcome outcome = engine.Run({.text = text});
    ASSERT_TRUE(outcome.error) << text;
    EXPECT_EQ(outcome.error->code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(outcome.error->message, message);
  }
  ExpectAllBack(memory);
}

}  // namespace
}  // namespace granary::query_engine
