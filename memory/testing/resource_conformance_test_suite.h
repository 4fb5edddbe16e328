// What every MemoryResource has to pass. Include it in the test of a concrete one and instantiate
// it with a factory:
//
//   struct MallocUnderTest final : granary::ResourceUnderTest {
//     granary::MemoryResource& resource() override { return malloc; }
//     granary::MallocResource malloc;
//   };
//   INSTANTIATE_TEST_SUITE_P(
//       Malloc, ResourceConformanceTest,
//       testing::Values(ConformanceTraits{
//           .name = "Plain",
//           .make = [](MemoryResource*) { return std::make_unique<MallocUnderTest>(); }}),
//       ConformanceName);
//
// The suite asks nothing of threads: those are each resource's own matter.
#ifndef GRANARY_MEMORY_TESTING_RESOURCE_CONFORMANCE_TEST_SUITE_H_
#define GRANARY_MEMORY_TESTING_RESOURCE_CONFORMANCE_TEST_SUITE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory_resource.h"
#include "memory/testing/failing_resource.h"
#include "memory/testing/random_seed.h"

namespace granary {

// One resource, and whatever it needs to live.
class ResourceUnderTest {
 public:
  virtual ~ResourceUnderTest() = default;

  virtual MemoryResource& resource() = 0;

  // Takes everything back at once, where deallocate() is a no-op. The suite calls it when it holds
  // nothing any more.
  virtual void ResetAll() {}
};

// How to make a resource, and what may be asked of it.
struct ConformanceTraits {
  // Of letters and digits; a part of the test's name.
  std::string name;
  // Makes a resource that takes its memory from `upstream`, if it takes any.
  std::function<std::unique_ptr<ResourceUnderTest>(MemoryResource* upstream)> make;
  // The resource calls `upstream`: the suite makes that fail and looks for leaks there.
  bool takes_upstream = false;
  // When upstream refuses, allocate() throws upstream's exception.
  bool passes_refusal_on = true;
  // No request of the suite is larger. At least 256.
  size_t largest_request_bytes = size_t{1} << 20;
  // The suite holds at most a quarter of it at a time (between two resets, where deallocate() is a
  // no-op). At least 16 times largest_request_bytes.
  size_t memory_bytes = size_t{64} << 20;
  // Two objects of the class are equal in the sense of is_equal().
  bool equal_across_objects = false;
  // How much used_bytes may differ between two moments at which nothing is out.
  size_t idle_used_slack_bytes = 0;
};

inline std::string ConformanceName(const testing::TestParamInfo<ConformanceTraits>& info) {
  return info.param.name;
}

// gtest prints parameters, and would print the bytes of this one.
inline void PrintTo(const ConformanceTraits& traits, std::ostream* out) { *out << traits.name; }

inline bool operator==(const MemoryStats& a, const MemoryStats& b) {
  return a.asked_bytes == b.asked_bytes && a.used_bytes == b.used_bytes &&
         a.held_bytes == b.held_bytes;
}

inline void PrintTo(const MemoryStats& stats, std::ostream* out) {
  *out << "asked " << stats.asked_bytes << ", used " << stats.used_bytes << ", held "
       << stats.held_bytes;
}

// The fixture: a resource over a strict upstream, and blocks whose content can be checked.
class ResourceConformanceTest : public testing::TestWithParam<ConformanceTraits> {
 protected:
  // An allocation whose bytes are all derived from `tag`.
  struct Block {
    std::byte* p = nullptr;
    size_t bytes = 0;
    size_t alignment = 1;
    uint64_t tag = 0;
  };

  const ConformanceTraits& traits() const { return GetParam(); }
  FailingResource& upstream() { return upstream_; }
  MemoryResource& resource() { return under_test_->resource(); }

  void SetUp() override { Remake(); }

  void Remake() {
    upstream_.RefuseNone();
    under_test_.reset();
    EXPECT_EQ(upstream_.live_count(), 0u) << "the destructor gave not everything back";
    under_test_ = traits().make(&upstream_);
    ASSERT_NE(under_test_, nullptr);
  }

  void TearDown() override {
    upstream_.RefuseNone();
    under_test_.reset();
    // ~FailingResource looks for leaks.
  }

  void ResetAll() { under_test_->ResetAll(); }

  size_t Largest() const { return traits().largest_request_bytes; }
  size_t MostHeldBytes() const { return traits().memory_bytes / 4; }

  // Every alignment that the suite tries on this resource.
  std::vector<size_t> Alignments() {
    std::vector<size_t> alignments;
    const size_t most = std::min<size_t>(resource().max_alignment(), 4096);
    for (size_t alignment = 1; alignment <= most; alignment *= 2) alignments.push_back(alignment);
    return alignments;
  }

  // The eight bytes that stand at offset `at`, or as many of them as there are.
  static uint64_t WordOf(uint64_t tag, size_t at) {
    return (tag * 0x9e3779b97f4a7c15u) ^ (at * 0xff51afd7ed558ccdu);
  }

  static void Fill(const Block& block) {
    for (size_t at = 0; at < block.bytes; at += sizeof(uint64_t)) {
      const uint64_t word = WordOf(block.tag, at);
      std::memcpy(block.p + at, &word, std::min(sizeof(word), block.bytes - at));
    }
  }

  // The first `bytes` of `block` are the ones Fill wrote.
  static testing::AssertionResult Holds(const Block& block, size_t bytes) {
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
      const uint64_t word = WordOf(block.tag, at);
      if (std::memcmp(block.p + at, &word, std::min(sizeof(word), bytes - at)) != 0) {
        return testing::AssertionFailure() << "a byte behind " << at << " of " << block.bytes
                                           << " (alignment " << block.alignment << ") has changed";
      }
    }
    return testing::AssertionSuccess();
  }
  static testing::AssertionResult Holds(const Block& block) { return Holds(block, block.bytes); }

  // A filled block, or one whose `p` is null.
  Block Make(size_t bytes, size_t alignment) {
    Block block{.p = static_cast<std::byte*>(resource().TryAllocate(bytes, alignment)),
                .bytes = bytes,
                .alignment = alignment,
                .tag = ++tags_};
    if (block.p == nullptr) return block;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.p) % alignment, 0u)
        << bytes << " bytes at " << block.p << ", alignment " << alignment;
    Fill(block);
    return block;
  }

  void Free(const Block& block) {
    EXPECT_TRUE(Holds(block));
    resource().deallocate(block.p, block.bytes, block.alignment);
  }

  void ExpectOrderlyStats() {
    const MemoryStats stats = resource().Stats();
    EXPECT_GE(stats.held_bytes, stats.used_bytes);
    EXPECT_GE(stats.used_bytes, stats.asked_bytes);
  }

  // Refused by every road, and nothing has changed.
  void ExpectRefused(size_t bytes, size_t alignment) {
    SCOPED_TRACE("bytes " + std::to_string(bytes) + ", alignment " + std::to_string(alignment));
    const MemoryStats before = resource().Stats();
    const size_t out_before = upstream_.live_bytes();
    EXPECT_EQ(resource().TryAllocate(bytes, alignment), nullptr);
    EXPECT_THROW(static_cast<void>(resource().allocate(bytes, alignment)), std::bad_alloc);
    EXPECT_EQ(resource().Stats(), before);
    EXPECT_EQ(upstream_.live_bytes(), out_before);
  }

  // The stats of a moment at which nothing is out and the resource has been in use before.
  MemoryStats IdleStats() {
    const Block block = Make(std::min<size_t>(64, Largest()), OrdinaryAlignment());
    Free(block);
    ResetAll();
    return resource().Stats();
  }

  size_t OrdinaryAlignment() {
    return std::min<size_t>(kDefaultAlignment, resource().max_alignment());
  }

  void ExpectIdle(const MemoryStats& idle) {
    const MemoryStats now = resource().Stats();
    EXPECT_EQ(now.asked_bytes, idle.asked_bytes);
    const size_t slack = traits().idle_used_slack_bytes;
    EXPECT_LE(now.used_bytes, idle.used_bytes + slack);
    EXPECT_GE(now.used_bytes + slack, idle.used_bytes);
  }

 private:
  FailingResource upstream_;
  std::unique_ptr<ResourceUnderTest> under_test_;
  uint64_t tags_ = 0;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ResourceConformanceTest);

TEST_P(ResourceConformanceTest, EveryAlignmentIsHonoured) {
  const MemoryStats idle = IdleStats();
  std::vector<Block> blocks;
  for (const size_t alignment : Alignments()) {
    for (const size_t bytes :
         {1u, 2u, 3u, 7u, 8u, 9u, 15u, 16u, 17u, 24u, 63u, 64u, 65u, 100u, 255u, 256u}) {
      blocks.push_back(Make(bytes, alignment));
      ASSERT_NE(blocks.back().p, nullptr) << bytes << " bytes, alignment " << alignment;
    }
  }
  for (const Block& block : blocks) Free(block);
  ResetAll();
  ExpectIdle(idle);
}

TEST_P(ResourceConformanceTest, TheLargestAlignmentIsServed) {
  const size_t alignment = resource().max_alignment();
  EXPECT_TRUE(IsPowerOfTwo(alignment));
  if (alignment > MostHeldBytes() / 4) GTEST_SKIP() << "too large to try here";
  const Block block = Make(1, alignment);
  ASSERT_NE(block.p, nullptr);
  Free(block);
}

TEST_P(ResourceConformanceTest, ImpossibleAlignmentsAreRefused) {
  const Block witness = Make(32, 1);
  for (const size_t alignment : {size_t{0}, size_t{3}, size_t{24}, size_t{4095}, SIZE_MAX}) {
    ExpectRefused(16, alignment);
    ExpectRefused(0, alignment);
  }
  // Powers of two above the largest there is.
  for (size_t alignment = resource().max_alignment() << 1; alignment != 0; alignment <<= 1) {
    ExpectRefused(16, alignment);
  }
  Free(witness);
}

TEST_P(ResourceConformanceTest, ZeroBytesAreAnAddressOfTheirOwn) {
  for (const size_t alignment : Alignments()) {
    void* const first = resource().TryAllocate(0, alignment);
    void* const second = resource().TryAllocate(0, alignment);
    void* const third = resource().allocate(0, alignment);
    EXPECT_NE(first, nullptr);
    EXPECT_NE(second, nullptr);
    EXPECT_NE(first, second);
    EXPECT_NE(first, third);
    EXPECT_NE(second, third);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % alignment, 0u);
    resource().deallocate(first, 0, alignment);
    resource().deallocate(second, 0, alignment);
    resource().deallocate(third, 0, alignment);
  }
}

TEST_P(ResourceConformanceTest, SizesThatOverflowAreRefused) {
  const Block witness = Make(200, 1);
  constexpr size_t kMost = PTRDIFF_MAX;
  for (const size_t alignment : Alignments()) {
    for (const size_t bytes : {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 7, SIZE_MAX - 15, SIZE_MAX - 16,
                               SIZE_MAX - 4095, SIZE_MAX - 4096, SIZE_MAX - 65536, SIZE_MAX / 2 + 2,
                               kMost + 1, kMost, kMost - 7, kMost - 4096}) {
      ExpectRefused(bytes, alignment);
    }
  }
  EXPECT_TRUE(Holds(witness));
  const MemoryStats before = resource().Stats();
  for (const size_t bytes : {SIZE_MAX, SIZE_MAX - 7, SIZE_MAX - 4096, kMost}) {
    EXPECT_FALSE(resource().TryResize(witness.p, witness.bytes, bytes, witness.alignment));
  }
  EXPECT_EQ(resource().Stats(), before);
  Free(witness);
}

TEST_P(ResourceConformanceTest, EqualityIsIdentityUnlessStatedOtherwise) {
  EXPECT_TRUE(resource().is_equal(resource()));
  EXPECT_TRUE(resource() == resource());
  FailingResource other_upstream;
  const std::unique_ptr<ResourceUnderTest> other = traits().make(&other_upstream);
  EXPECT_EQ(resource().is_equal(other->resource()), traits().equal_across_objects);
  EXPECT_EQ(other->resource().is_equal(resource()), traits().equal_across_objects);
  EXPECT_FALSE(resource().is_equal(*std::pmr::new_delete_resource()));
}

TEST_P(ResourceConformanceTest, DeallocationDoesWhatTheFlagSays) {
  const MemoryStats before = resource().Stats();
  const Block block = Make(128, 8);
  const MemoryStats during = resource().Stats();
  EXPECT_GE(during.asked_bytes, before.asked_bytes + 128);
  Free(block);
  if (resource().deallocate_is_noop()) {
    EXPECT_EQ(resource().Stats(), during);
  } else {
    EXPECT_EQ(resource().Stats().asked_bytes, before.asked_bytes);
  }
}

TEST_P(ResourceConformanceTest, StandardContainersLiveOnIt) {
  const MemoryStats idle = IdleStats();
  // A container's largest block is a vector's or a bucket array's: 16 bytes an element.
  const size_t count = std::clamp<size_t>(Largest() / 64, 4, 2000);
  {
    std::pmr::vector<uint64_t> numbers(&resource());
    std::pmr::vector<std::pmr::string> strings(&resource());
    std::pmr::map<uint64_t, std::pmr::string> ordered(&resource());
    std::pmr::unordered_map<uint64_t, uint64_t> hashed(&resource());
    std::pmr::list<uint64_t> linked(&resource());
    for (uint64_t i = 0; i < count; ++i) {
      numbers.push_back(i * i);
      if (i < count / 4) strings.emplace_back(i % 100, static_cast<char>('a' + i % 26));
      ordered.emplace(i * 7919 % count, std::to_string(i) + " and text that is long enough");
      hashed.emplace(i, ~i);
      linked.push_front(i);
    }
    for (uint64_t i = 0; i < count; i += 3) {
      hashed.erase(i);
      ordered.erase(i);
    }
    const std::pmr::vector<std::pmr::string> copies(strings, &resource());
    const std::pmr::vector<uint64_t> moved(std::move(numbers));
    ASSERT_EQ(moved.size(), count);
    for (uint64_t i = 0; i < count; ++i) {
      EXPECT_EQ(moved[i], i * i);
      EXPECT_EQ(hashed.contains(i), i % 3 != 0);
      EXPECT_EQ(ordered.contains(i) && i % 3 == 0, false);
    }
    for (const auto& [key, value] : hashed) EXPECT_EQ(value, ~key);
    for (uint64_t i = 0; i < copies.size(); ++i) {
      EXPECT_EQ(std::string_view(copies[i]), std::string(i % 100, static_cast<char>('a' + i % 26)));
    }
    uint64_t next = count;
    for (const uint64_t value : linked) EXPECT_EQ(value, --next);
    ExpectOrderlyStats();
  }
  ResetAll();
  ExpectIdle(idle);
}

TEST_P(ResourceConformanceTest, RandomUseKeepsEveryByteApart) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const auto below = [&random](size_t n) { return static_cast<size_t>(random() % n); };
  // Small sizes are the common ones: every power of two is as likely as any other.
  size_t largest_log2 = 0;
  while ((size_t{2} << largest_log2) <= std::min<size_t>(Largest(), size_t{64} << 10)) {
    ++largest_log2;
  }
  const auto any_size = [&] {
    return std::min(Largest(), below(size_t{2} << below(largest_log2 + 1)) + 1);
  };
  const std::vector<size_t> alignments = Alignments();
  const MemoryStats idle = IdleStats();

  std::map<std::byte*, Block> live;
  size_t live_bytes = 0;
  size_t taken_bytes = 0;  // Since the last reset: what a resource that never frees holds.
  const auto keep = [&](const Block& block) {
    const auto next = live.upper_bound(block.p);
    if (next != live.end()) {
      ASSERT_LE(block.p + block.bytes, next->first) << "allocations overlap";
    }
    if (next != live.begin()) {
      const Block& previous = std::prev(next)->second;
      ASSERT_LE(previous.p + previous.bytes, block.p) << "allocations overlap";
    }
    live.emplace(block.p, block);
    live_bytes += block.bytes;
  };
  const auto drop = [&](std::map<std::byte*, Block>::iterator at) {
    const Block block = at->second;
    live_bytes -= block.bytes;
    live.erase(at);
    Free(block);
  };
  const auto any_live = [&] {
    const auto at = live.lower_bound(
        live.begin()->first +
        below(static_cast<size_t>(live.rbegin()->first - live.begin()->first) + 1));
    return at == live.end() ? live.begin() : at;
  };

  for (size_t step = 0; step < 20000 && !HasFatalFailure() && !HasNonfatalFailure(); ++step) {
    const size_t choice = below(100);
    if (live.empty() || choice < 50) {
      const size_t alignment = alignments[below(alignments.size())];
      const Block block = Make(any_size(), alignment);
      ASSERT_NE(block.p, nullptr) << "step " << step << ": " << block.bytes << " bytes refused";
      taken_bytes += block.bytes + block.alignment;
      ASSERT_NO_FATAL_FAILURE(keep(block));
    } else if (choice < 85) {
      drop(any_live());
    } else if (choice < 99) {
      Block block = any_live()->second;
      const size_t new_bytes = any_size();
      const MemoryStats before = resource().Stats();
      if (resource().TryResize(block.p, block.bytes, new_bytes, block.alignment)) {
        EXPECT_TRUE(Holds(block, std::min(block.bytes, new_bytes)));
        live_bytes -= block.bytes;
        live.erase(block.p);
        taken_bytes += new_bytes;
        block.bytes = new_bytes;
        Fill(block);
        ASSERT_NO_FATAL_FAILURE(keep(block));
      } else {
        EXPECT_EQ(resource().Stats(), before);
        EXPECT_TRUE(Holds(block));
      }
    } else {
      static_cast<void>(resource().Trim());
    }
    if (step % 64 == 0) {
      ExpectOrderlyStats();
      EXPECT_GE(resource().Stats().asked_bytes, live_bytes);
    }
    const size_t held = resource().deallocate_is_noop() ? taken_bytes : live_bytes;
    if (held + 2 * Largest() > MostHeldBytes() || step % 5000 == 4999) {
      while (!live.empty()) drop(live.begin());
      ResetAll();
      taken_bytes = 0;
      ExpectIdle(idle);
    }
  }
  while (!live.empty()) drop(live.begin());
  ResetAll();
  ExpectIdle(idle);
}

TEST_P(ResourceConformanceTest, TrimGivesBackOnlyWhatIsFree) {
  std::vector<Block> blocks;
  const size_t bytes = std::min<size_t>(Largest(), 5000);
  for (size_t i = 0; i < 64; ++i) {
    blocks.push_back(Make(bytes - i % 8, size_t{1} << i % 4));
    ASSERT_NE(blocks.back().p, nullptr);
  }
  const auto trim = [this] {
    const MemoryStats before = resource().Stats();
    const size_t given_back = resource().Trim();
    const MemoryStats after = resource().Stats();
    EXPECT_EQ(before.held_bytes - after.held_bytes, given_back);
    EXPECT_EQ(before.asked_bytes, after.asked_bytes);
    ExpectOrderlyStats();
  };
  trim();
  for (size_t i = 0; i < blocks.size(); i += 2) Free(blocks[i]);
  trim();
  for (size_t i = 1; i < blocks.size(); i += 2) Free(blocks[i]);
  ResetAll();
  trim();
  const Block block = Make(bytes, 8);
  ASSERT_NE(block.p, nullptr) << "still of use after a trim";
  Free(block);
}

TEST_P(ResourceConformanceTest, AChainOfBlocksGoesBackAtOnce) {
  resource().ReleaseChain({});
  if (resource().max_alignment() < MemoryResource::kChainAlignment) GTEST_SKIP();
  const Block witness = Make(100, MemoryResource::kChainAlignment);
  const MemoryStats before = resource().Stats();
  for (const size_t count : {1u, 2u, 7u}) {
    BlockChain chain;
    for (size_t i = 0; i < count; ++i) {
      const size_t bytes = std::min(Largest(), sizeof(BlockLink) + 40 * i);
      void* const p = resource().TryAllocate(bytes, MemoryResource::kChainAlignment);
      ASSERT_NE(p, nullptr);
      std::memset(p, 0x77, bytes);
      // What lies behind the chain's last block is no part of it.
      auto* const behind =
          chain.first != nullptr ? chain.first : reinterpret_cast<BlockLink*>(witness.p);
      chain.first = new (p) BlockLink{.next = behind, .bytes = bytes};
      if (i == 0) chain.last = chain.first;
      ++chain.count;
      chain.bytes += bytes;
    }
    resource().ReleaseChain(chain);
    if (!resource().deallocate_is_noop()) {
      EXPECT_EQ(resource().Stats().asked_bytes, before.asked_bytes);
    }
  }
  Free(witness);
}

// The requests whose every call upstream is made to fail: small ones, and large ones between them.
inline std::vector<std::pair<size_t, size_t>> RequestsThatReachUpstream(size_t largest_bytes,
                                                                        size_t max_alignment) {
  std::vector<std::pair<size_t, size_t>> requests;
  for (size_t i = 0; i < 48; ++i) {
    const size_t sizes[] = {1, 24, 200, 1000, 4096, 20000, 70000, 300000};
    requests.emplace_back(std::min(largest_bytes, sizes[i % 8]),
                          std::min(max_alignment, size_t{1} << i % 13));
  }
  return requests;
}

TEST_P(ResourceConformanceTest, EveryRefusalOfUpstreamLeavesItAsItWas) {
  if (!traits().takes_upstream) GTEST_SKIP() << "takes nothing from upstream";
  const auto requests = RequestsThatReachUpstream(Largest(), resource().max_alignment());
  for (const bool once : {true, false}) {
    bool refused = true;
    for (size_t nth = 1; refused; ++nth) {
      ASSERT_LT(nth, 1000u);
      SCOPED_TRACE("upstream refuses allocation " + std::to_string(nth) + (once ? " once" : " on"));
      ASSERT_NO_FATAL_FAILURE(Remake());
      refused = false;
      if (once) {
        upstream().RefuseNth(nth);
      } else {
        upstream().RefuseFrom(nth);
      }
      std::vector<Block> blocks;
      for (const auto& [bytes, alignment] : requests) {
        const MemoryStats before = resource().Stats();
        const size_t out_before = upstream().live_bytes();
        Block block = Make(bytes, alignment);
        if (block.p == nullptr) {
          refused = true;
          EXPECT_GT(upstream().refusal_count(), 0u) << "refused for no reason";
          EXPECT_EQ(resource().Stats(), before);
          EXPECT_EQ(upstream().live_bytes(), out_before);
          if (!once) {
            try {
              resource().deallocate(resource().allocate(bytes, alignment), bytes, alignment);
              ADD_FAILURE() << "allocate() serves what TryAllocate() refuses";
            } catch (const BudgetExceeded& refusal) {
              EXPECT_EQ(refusal.scope_path(), FailingResource::kScopePath);
            } catch (const std::bad_alloc&) {
              EXPECT_FALSE(traits().passes_refusal_on) << "the exception is not upstream's";
            }
            EXPECT_EQ(resource().Stats(), before);
            EXPECT_EQ(upstream().live_bytes(), out_before);
            for (const Block& kept : blocks) EXPECT_TRUE(Holds(kept));
            upstream().RefuseNone();
          }
          block = Make(bytes, alignment);
          ASSERT_NE(block.p, nullptr) << "of no use after a refusal";
        } else if (upstream().refusal_count() > 0) {
          // It found another way than the refused one.
          refused = true;
        }
        blocks.push_back(block);
      }
      for (const Block& block : blocks) Free(block);
      ResetAll();
      if (HasFailure()) return;
    }
  }
}

}  // namespace granary

#endif  // GRANARY_MEMORY_TESTING_RESOURCE_CONFORMANCE_TEST_SUITE_H_
