#include "memory/memory_resource.h"

#include <array>
#include <cstdlib>
#include <memory_resource>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "memory/malloc_resource.h"
#include "memory/testing/failing_resource.h"

namespace {

// Makes the program's operator new fail on this thread.
thread_local bool malloc_fails = false;

class FailNew {
 public:
  FailNew() { malloc_fails = true; }
  ~FailNew() { malloc_fails = false; }
};

}  // namespace

void* operator new(size_t bytes) {
  void* const p = malloc_fails ? nullptr : std::malloc(bytes != 0 ? bytes : 1);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace granary {
namespace {

static_assert(IsPowerOfTwo(1) && IsPowerOfTwo(4096) && IsPowerOfTwo(SIZE_MAX / 2 + 1));
static_assert(!IsPowerOfTwo(0) && !IsPowerOfTwo(3) && !IsPowerOfTwo(SIZE_MAX));
static_assert(AlignUp(0, 8) == 0 && AlignUp(1, 8) == 8 && AlignUp(8, 8) == 8);
static_assert(AlignUp(SIZE_MAX - 6, 8) == 0, "wraps around, as it says");
static_assert(AlignUp(SIZE_MAX - 7, 8) == SIZE_MAX - 7);

// The least that a resource has to be: 64 bytes, handed out once.
class OneBlock : public MemoryResource {
 public:
  explicit OneBlock(Deallocation deallocation = Deallocation::kFrees)
      : MemoryResource(deallocation, 64) {}

  void* TryAllocate(size_t bytes, size_t alignment) noexcept override {
    if (!IsPowerOfTwo(alignment) || alignment > max_alignment()) return nullptr;
    if (out_ || bytes > block_.size()) return nullptr;
    out_ = true;
    return block_.data();
  }
  MemoryStats Stats() const noexcept override { return {}; }
  bool out() const { return out_; }

  static OneBlock Noop() { return OneBlock(Deallocation::kNoop); }

 private:
  void do_deallocate(void*, size_t, size_t) override { out_ = false; }

  alignas(64) std::array<std::byte, 64> block_;
  bool out_ = false;
};

class LimitedBlock final : public OneBlock {
 public:
  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override {
    throw BudgetExceeded("engine/query 17/sort, alignment " + std::to_string(alignment), bytes, 64);
  }
};

TEST(BudgetExceededTest, NamesTheScopeAndTheNumbers) {
  const BudgetExceeded refusal("engine/query 17/sort", 4096, 1024);
  EXPECT_EQ(refusal.scope_path(), "engine/query 17/sort");
  EXPECT_EQ(refusal.asked_bytes(), 4096u);
  EXPECT_EQ(refusal.limit_bytes(), 1024u);
  EXPECT_STREQ(refusal.what(),
               "memory limit exceeded: engine/query 17/sort asked for 4096 bytes under a limit of "
               "1024 bytes");
}

TEST(BudgetExceededTest, HasAFixedTextWhenMallocRefusesToo) {
  const std::string_view path = "engine/a scope path that no small string can hold";
  // Made where new fails, and read where it works.
  const auto make = [path] {
    const FailNew fail;
    return BudgetExceeded(path, 4096, 1024);
  };
  const BudgetExceeded refusal = make();
  EXPECT_STREQ(refusal.what(), "memory limit exceeded");
  EXPECT_EQ(refusal.asked_bytes(), 4096u);
  EXPECT_EQ(refusal.limit_bytes(), 1024u);
}

TEST(BudgetExceededTest, IsABadAlloc) {
  LimitedBlock block;
  EXPECT_THROW(static_cast<void>(block.allocate(65)), std::bad_alloc);
}

TEST(MemoryResourceTest, AllocateReturnsWhatTryAllocateDoes) {
  OneBlock block;
  void* const p = block.allocate(64, 64);
  EXPECT_NE(p, nullptr);
  EXPECT_EQ(block.TryAllocate(1, 1), nullptr);
  block.deallocate(p, 64, 64);
  EXPECT_FALSE(block.out());
}

TEST(MemoryResourceTest, ARefusedAllocateThrowsBadAllocByDefault) {
  OneBlock block;
  try {
    static_cast<void>(block.allocate(65));
    FAIL() << "served";
  } catch (const BudgetExceeded&) {
    FAIL() << "no limit was involved";
  } catch (const std::bad_alloc&) {
  }
}

TEST(MemoryResourceTest, AnOverriddenRefusalComesOutOfAllocateAndContainers) {
  LimitedBlock block;
  try {
    static_cast<void>(block.allocate(100, 32));
    FAIL() << "served";
  } catch (const BudgetExceeded& refusal) {
    EXPECT_EQ(refusal.scope_path(), "engine/query 17/sort, alignment 32");
    EXPECT_EQ(refusal.asked_bytes(), 100u);
  }
  std::pmr::vector<int> numbers(&block);
  EXPECT_THROW(numbers.resize(17), BudgetExceeded);
  numbers.resize(16);
  EXPECT_EQ(numbers.size(), 16u);
}

TEST(MemoryResourceTest, TheDefaultsDoNothing) {
  OneBlock block;
  void* const p = block.TryAllocate(32, 1);
  EXPECT_FALSE(block.TryResize(p, 32, 31, 1));
  EXPECT_FALSE(block.TryResize(p, 32, 32, 1));
  EXPECT_EQ(block.Trim(), 0u);
  EXPECT_TRUE(block.out());
  EXPECT_FALSE(block.deallocate_is_noop());
  EXPECT_TRUE(OneBlock::Noop().deallocate_is_noop());
  EXPECT_EQ(block.max_alignment(), 64u);
  EXPECT_TRUE(block.is_equal(block));
  OneBlock other;
  EXPECT_FALSE(block.is_equal(other));
}

TEST(MemoryResourceTest, TheDefaultReleaseChainFreesEachBlockWithItsOwnSize) {
  FailingResource upstream;
  // Over FailingResource, which would fail the test for a size that is not the allocation's.
  BlockChain chain;
  for (const size_t bytes : {16u, 100u, 5000u}) {
    void* const p = upstream.TryAllocate(bytes, MemoryResource::kChainAlignment);
    auto* const link = new (p) BlockLink{.next = chain.first, .bytes = bytes};
    if (chain.first == nullptr) chain.last = link;
    chain.first = link;
    ++chain.count;
    chain.bytes += bytes;
  }
  upstream.ReleaseChain(chain);
  EXPECT_EQ(upstream.live_count(), 0u);
  EXPECT_EQ(upstream.deallocation_count(), 3u);
}

TEST(MemoryResourceTest, TheDefaultReleaseChainStopsAtItsCount) {
  FailingResource upstream;
  void* const kept_block = upstream.TryAllocate(32, MemoryResource::kChainAlignment);
  auto* const kept = new (kept_block) BlockLink{.next = nullptr, .bytes = 32};
  void* const block = upstream.TryAllocate(48, MemoryResource::kChainAlignment);
  auto* const link = new (block) BlockLink{.next = kept, .bytes = 48};
  upstream.ReleaseChain({.first = link, .last = link, .count = 1, .bytes = 48});
  EXPECT_EQ(upstream.live_count(), 1u);
  upstream.ReleaseChain({});
  EXPECT_EQ(upstream.live_count(), 1u);
  upstream.deallocate(kept, 32, MemoryResource::kChainAlignment);
}

}  // namespace
}  // namespace granary
