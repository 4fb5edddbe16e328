// What a query leaves behind when anything that it asks for is refused: nothing.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <memory_resource>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "integration/examples/query_engine/engine.h"
#include "integration/examples/query_engine/plan.h"
#include "integration/examples/query_engine/testing/test_queries.h"
#include "memory/sanitizer.h"

namespace {

// Which of this thread's calls of operator new throws, counted down; 0 is none.
thread_local size_t new_countdown = 0;

void* New(size_t bytes, size_t alignment) {
  if (new_countdown != 0 && --new_countdown == 0) throw std::bad_alloc();
  void* const p =
      alignment <= alignof(std::max_align_t)
          ? std::malloc(bytes)
          : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

}  // namespace

void* operator new(size_t bytes) { return New(bytes, 1); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return New(bytes, static_cast<size_t>(alignment));
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return New(bytes, 1);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace granary::query_engine {
namespace {

// A few hundred rows: every one of their allocations is refused once.
const Tables& SmallTables() {
  static const Tables tables(0.00005, *std::pmr::new_delete_resource());
  return tables;
}

const Tables& TestTables() {
  static const Tables tables(0.002, *std::pmr::new_delete_resource());
  return tables;
}

// Where checks make everything slow, some of many are enough: an optimised build has all.
constexpr size_t kStride = kCheckedBuild ? 7 : 1;

constexpr const char* kEveryOperator =
    "from lineitem where quantity > 10 join orders join customer group order";

// --- Operators ----------------------------------------------------------------------------------

// Memory of which the nth allocation is refused.
class CountdownResource final : public std::pmr::memory_resource {
 public:
  size_t countdown = 0;
  size_t live_count = 0;

 private:
  void* do_allocate(size_t bytes, size_t alignment) override {
    if (countdown != 0 && --countdown == 0) throw std::bad_alloc();
    void* const p = std::pmr::new_delete_resource()->allocate(bytes, alignment);
    ++live_count;
    return p;
  }
  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    --live_count;
    std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }
};

// A query's memory on it. Everything is freed by itself, so that what is forgotten stays.
class CountdownMemory final : public QueryMemory {
 public:
  CountdownResource resource;

  std::pmr::memory_resource& memory() noexcept override { return resource; }
  std::unique_ptr<Workspace> NewWorkspace(const char*, size_t) override {
    return std::make_unique<HeapWorkspace>(resource);
  }
  Expected<void> Check() const override { return {}; }

 private:
  class HeapWorkspace final : public Workspace {
   public:
    explicit HeapWorkspace(CountdownResource& resource) noexcept : resource_(resource) {}
    ~HeapWorkspace() override {
      if (buffer_ != nullptr) resource_.deallocate(buffer_, buffer_bytes_);
    }

    std::pmr::memory_resource& memory() noexcept override { return resource_; }
    void Clear() noexcept override {}
    bool has_bulk_clear() const noexcept override { return false; }
    size_t held_bytes() const noexcept override { return 0; }
    std::byte* TryTakeBuffer(size_t bytes) noexcept override {
      buffer_bytes_ = bytes;
      try {
        buffer_ = static_cast<std::byte*>(resource_.allocate(bytes));
      } catch (const std::bad_alloc&) {
        return nullptr;
      }
      return buffer_;
    }
    void SpillWith(std::function<size_t(size_t)>) override {}
    void StopSpilling() noexcept override {}
    Error Explain(const std::bad_alloc&) const override {
      return {.code = ErrorCode::kOutOfMemory, .message = "the countdown is over"};
    }

   private:
    CountdownResource& resource_;
    std::byte* buffer_ = nullptr;
    size_t buffer_bytes_ = 0;
  };
};

TEST(QueryEngineFailureTest, EveryAllocationOfAnOperatorMayBeRefused) {
  const SpillStorageFactory files = TemporaryFiles();
  const NaiveResult& expected = NaiveResultOf(kEveryOperator, SmallTables());
  size_t refused = 0;
  size_t spilled = 0;
  for (size_t nth = 1;; ++nth) {
    CountdownMemory memory;
    memory.resource.countdown = nth;
    bool is_over = false;
    {
      QueryContext context{memory, files};
      Result result(memory);
      const auto done = RunText(kEveryOperator, SmallTables(), context, result);
      if (done) {
        EXPECT_TRUE(result.digest().Agrees(expected.digest, expected.is_ordered)) << nth;
      } else {
        EXPECT_EQ(done.error().code, ErrorCode::kOutOfMemory);
      }
      refused += !done;
      spilled += context.spilled_bytes != 0;
      is_over = memory.resource.countdown != 0;
    }
    EXPECT_EQ(memory.resource.live_count, 0u) << nth;
    if (is_over) break;
  }
  EXPECT_GT(refused, 0u);
  EXPECT_GT(spilled, 0u);
}

// --- The engine ---------------------------------------------------------------------------------

TEST(QueryEngineFailureTest, EveryCallOfOperatorNewMayThrow) {
  EngineMemory memory({.limit_bytes = 8 * kMiB, .page_bytes = 16 * kKiB});
  Engine engine(memory, TestTables());
  const QueryRequest request{.text = kEveryOperator, .id = 1, .limit_bytes = 1 * kMiB};
  ExpectRight(kEveryOperator, TestTables(), engine.Run(request));
  size_t thrown = 0;
  for (size_t nth = 1;; ++nth) {
    bool is_over = false;
    try {
      new_countdown = nth;
      const Outcome outcome = engine.Run(request);
      is_over = std::exchange(new_countdown, 0) != 0;
      if (outcome.error) {
        EXPECT_EQ(outcome.error->code, ErrorCode::kOutOfMemory);
      } else {
        ExpectRight(kEveryOperator, TestTables(), outcome);
      }
    } catch (const std::bad_alloc&) {
      new_countdown = 0;
      ++thrown;
    }
    EXPECT_FALSE(engine.Cancel(1)) << "it still runs, after " << nth;
    ExpectAllBack(memory);
    if (is_over) break;
  }
  EXPECT_GT(thrown, 0u);
}

TEST(QueryEngineFailureTest, EveryLimitRefusesOrServesAndTakesAllBack) {
  EngineMemory memory({.limit_bytes = 16 * kMiB, .page_bytes = 16 * kKiB});
  Engine engine(memory, TestTables());
  size_t refused = 0;
  size_t spilled = 0;
  size_t finished = 0;
  for (size_t limit = 0; limit < 2 * kMiB; limit += 5'000 * kStride) {
    Outcome outcome = engine.Run({.text = kEveryOperator, .limit_bytes = limit});
    if (outcome.error) {
      ++refused;
      EXPECT_EQ(outcome.error->code, ErrorCode::kOutOfMemory) << outcome.error->message;
    } else {
      ++finished;
      ExpectRight(kEveryOperator, TestTables(), outcome);
    }
    spilled += outcome.spilled_bytes != 0;
    EXPECT_LE(outcome.peak_bytes, limit);
    outcome = {};
    ExpectAllBack(memory);
  }
  EXPECT_GT(refused, 0u);
  EXPECT_GT(spilled, 0u);
  EXPECT_GT(finished, 0u);
}

// --- Files --------------------------------------------------------------------------------------

// Counts the calls that go to a temporary file, and fails the nth.
struct FailingCalls {
  size_t countdown = 0;

  Expected<void> Call() {
    if (countdown == 0 || --countdown != 0) return {};
    return tl::unexpected(Error{.code = ErrorCode::kIo, .message = "the disk is gone"});
  }
};

class FailingStorage final : public SpillStorage {
 public:
  FailingStorage(FailingCalls& calls, std::unique_ptr<SpillStorage> file)
      : calls_(calls), file_(std::move(file)) {}

  Expected<void> Write(uint64_t offset, std::span<const std::byte> bytes) override {
    if (auto done = calls_.Call(); !done) return done;
    return file_->Write(offset, bytes);
  }
  Expected<void> Read(uint64_t offset, std::span<std::byte> bytes) override {
    if (auto done = calls_.Call(); !done) return done;
    return file_->Read(offset, bytes);
  }

 private:
  FailingCalls& calls_;
  std::unique_ptr<SpillStorage> file_;
};

TEST(QueryEngineFailureTest, EveryCallOfASpillFileMayFail) {
  EngineMemory memory({.limit_bytes = 16 * kMiB, .page_bytes = 16 * kKiB});
  FailingCalls calls;
  Engine engine(memory, TestTables(),
                [&, files = TemporaryFiles()]() -> Expected<std::unique_ptr<SpillStorage>> {
                  if (auto done = calls.Call(); !done) return tl::unexpected(done.error());
                  auto file = files();
                  if (!file) return file;
                  return std::make_unique<FailingStorage>(calls, std::move(*file));
                });
  size_t failed = 0;
  for (size_t nth = 1;; nth += kStride) {
    calls.countdown = nth;
    Outcome outcome = engine.Run({.text = kEveryOperator, .limit_bytes = 1 * kMiB});
    const bool is_over = calls.countdown != 0;
    EXPECT_EQ(is_over, !outcome.error) << nth;
    if (outcome.error) {
      ++failed;
      EXPECT_EQ(outcome.error->code, ErrorCode::kIo);
      EXPECT_EQ(outcome.error->message, "the disk is gone");
    } else {
      ExpectRight(kEveryOperator, TestTables(), outcome);
    }
    outcome = {};
    ExpectAllBack(memory);
    if (is_over) break;
  }
  EXPECT_GT(failed, 10u);
}

TEST(QueryEngineFailureTest, AFolderThatIsNotThereIsSaid) {
  EngineMemory memory({.limit_bytes = 16 * kMiB, .page_bytes = 16 * kKiB});
  Engine engine(memory, TestTables(), TemporaryFiles("/nowhere"));
  const Outcome outcome = engine.Run({.text = kEveryOperator, .limit_bytes = 1 * kMiB});
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::kIo);
  EXPECT_EQ(outcome.error->system_errno, ENOENT);
  EXPECT_NE(outcome.error->message.find("/nowhere"), std::string::npos);
  ExpectAllBack(memory);
}

}  // namespace
}  // namespace granary::query_engine
