// Random calls on a CompactingHeap against a model that remembers every byte of every block.
//
// GRANARY_TEST_OPERATIONS sets the number of operations, a hundred thousand unless told, and
// GRANARY_TEST_SEED the sequence.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/testing/heap_bytes.h"
#include "memory/testing/random_seed.h"

namespace granary {
namespace {

constexpr uint64_t kOperationsPerRound = 2000;

uint64_t Operations() {
  const char* const chosen = std::getenv("GRANARY_TEST_OPERATIONS");
  if (chosen != nullptr) return std::strtoull(chosen, nullptr, 10);
  return 100'000;
}

class HeapModel {
 public:
  HeapModel(std::mt19937_64& random, const HeapOptions& options, bool is_over_memory)
      : random_(random), memory_(is_over_memory ? options.limit_bytes : 0) {
    heap_ = is_over_memory ? CompactingHeap::CreateOver(memory_, options).value()
                           : CompactingHeap::Create(options).value();
  }

  void Step() {
    const uint64_t choice = Below(17);
    if (choice < 5) return Allocate();
    if (choice < 8) return FreeOne();
    switch (choice) {
      case 8:
        return WriteSome();
      case 9:
        return ReadSome();
      case 10:
        return PinOne();
      case 11:
        return UnpinOne();
      case 12:
        return TryStale();
      case 13:
        return Gather();
      case 14:
        return Trim();
      default:
        return Defragment();
    }
  }

  void CheckAll() {
    for (const Block& block : blocks_) ASSERT_EQ(Bytes(block), block.bytes);
    for (const Pinned& pinned : pins_) {
      if (pinned.pin.bytes().empty()) continue;
      const auto its = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& block) {
        return block.handle == pinned.block;
      });
      ASSERT_NE(its, blocks_.end());
      ASSERT_EQ(pinned.pin.bytes().data(), pinned.at);
      ASSERT_TRUE(std::equal(its->bytes.begin(), its->bytes.end(), pinned.at));
    }
    const auto valid = heap_->Validate();
    ASSERT_TRUE(valid) << valid.error().message;
    uint64_t asked = 0;
    for (const Block& block : blocks_) asked += block.bytes.size();
    ASSERT_EQ(heap_->Stats().asked_bytes, asked);
    ASSERT_EQ(heap_->Stats().blocks, blocks_.size());
  }

  // Without pins nothing keeps a heap of plain blocks from having no holes.
  void CheckCompacts() {
    pins_.clear();
    const DefragReport report = heap_->Defragment();
    ASSERT_NE(report.stop, DefragStop::kBudget);
    if (!has_aligned_) {
      ASSERT_EQ(heap_->Fragmentation(), 0);
    }
    CheckAll();
  }

 private:
  struct Block {
    BlockHandle handle;
    std::vector<std::byte> bytes;
  };
  struct Pinned {
    BlockHandle block;
    HeapPin pin;
    const std::byte* at;
  };

  uint64_t Below(uint64_t limit) { return random_() % limit; }
  std::vector<std::byte> RandomBytes(uint64_t count) {
    std::vector<std::byte> bytes(count);
    PatternOf(random_(), bytes);
    return bytes;
  }
  std::vector<std::byte> Bytes(const Block& block) {
    std::vector<std::byte> bytes(block.bytes.size());
    Succeeds(heap_->Read(block.handle, 0, bytes));
    return bytes;
  }

  void Allocate() {
    const uint64_t bytes = 1 + Below(Below(8) == 0 ? 5000 : 300);
    const bool may_scatter = Below(2) == 0;
    const uint64_t alignment = Below(8) == 0 && !may_scatter ? uint64_t{1} << Below(8) : 1;
    const HeapStats before = heap_->Stats();
    const auto block = heap_->Allocate(
        bytes, may_scatter ? Placement::kContiguousFirst : Placement::kContiguous, alignment);
    if (!block) {
      ASSERT_EQ(block.error().code, ErrorCode::kOutOfMemory) << block.error().message;
      // What fits into what is free is served, if it may be scattered.
      const uint64_t grain = heap_->options().grain;
      const uint64_t rounded = (bytes + grain - 1) & ~(grain - 1);
      ASSERT_FALSE(may_scatter && rounded <= before.free_bytes);
      return;
    }
    has_aligned_ |= alignment > heap_->options().grain;
    blocks_.push_back({*block, RandomBytes(bytes)});
    Succeeds(heap_->Write(*block, 0, blocks_.back().bytes));
  }

  void FreeOne() {
    if (blocks_.empty()) return;
    std::swap(blocks_[Below(blocks_.size())], blocks_.back());
    const BlockHandle handle = blocks_.back().handle;
    const bool is_pinned = std::any_of(
        pins_.begin(), pins_.end(), [&](const Pinned& pinned) { return pinned.block == handle; });
    const auto freed = heap_->Free(handle);
    ASSERT_EQ(freed.has_value(), !is_pinned);
    if (is_pinned) {
      ASSERT_EQ(freed.error().code, ErrorCode::kBusy);
      return;
    }
    blocks_.pop_back();
    if (stale_.size() < 100) {
      stale_.push_back(handle);
    } else {
      stale_[Below(stale_.size())] = handle;
    }
  }

  void WriteSome() {
    if (blocks_.empty()) return;
    Block& block = blocks_[Below(blocks_.size())];
    const uint64_t offset = Below(block.bytes.size() + 1);
    const uint64_t count = Below(block.bytes.size() - offset + 1);
    const auto at = block.bytes.begin() + static_cast<ptrdiff_t>(offset);
    if (Below(2) == 0) {
      const auto bytes = RandomBytes(count);
      std::copy(bytes.begin(), bytes.end(), at);
      Succeeds(heap_->Write(block.handle, offset, bytes));
    } else {
      std::fill_n(at, count, std::byte{9});
      Succeeds(heap_->Fill(block.handle, offset, count, std::byte{9}));
    }
  }

  void ReadSome() {
    if (blocks_.empty()) return;
    const Block& block = blocks_[Below(blocks_.size())];
    const uint64_t offset = Below(block.bytes.size() + 1);
    std::vector<std::byte> bytes(Below(block.bytes.size() - offset + 1));
    Succeeds(heap_->Read(block.handle, offset, bytes));
    ASSERT_TRUE(std::equal(bytes.begin(), bytes.end(),
                           block.bytes.begin() + static_cast<ptrdiff_t>(offset)));
  }

  void PinOne() {
    if (blocks_.empty() || pins_.size() > 10) return;
    const BlockHandle handle = blocks_[Below(blocks_.size())].handle;
    auto pin = heap_->Pin(handle).value();
    const std::byte* const at = pin.bytes().data();
    pins_.push_back({handle, std::move(pin), at});
  }

  void UnpinOne() {
    if (pins_.empty()) return;
    std::swap(pins_[Below(pins_.size())], pins_.back());
    pins_.pop_back();
  }

  void TryStale() {
    if (stale_.empty()) return;
    const BlockHandle handle = stale_[Below(stale_.size())];
    std::byte byte{};
    ASSERT_FALSE(heap_->IsLive(handle));
    ASSERT_FALSE(heap_->Free(handle));
    ASSERT_FALSE(heap_->Write(handle, 0, {&byte, 1}));
    ASSERT_FALSE(heap_->Pin(handle));
  }

  void Gather() {
    if (blocks_.empty()) return;
    const BlockHandle handle = blocks_[Below(blocks_.size())].handle;
    if (heap_->Gather(handle)) {
      ASSERT_EQ(heap_->PiecesOf(handle).value(), 1u);
    }
  }

  void Trim() {
    const uint64_t before = heap_->Stats().held_bytes;
    const uint64_t given = heap_->Trim();
    ASSERT_EQ(heap_->Stats().held_bytes, before - given);
  }

  void Defragment() {
    const MoveBudget budget = {.bytes = Below(3) == 0 ? MoveBudget::kNoLimit : Below(4000),
                               .moves = Below(3) == 0 ? MoveBudget::kNoLimit : Below(20)};
    const HeapStats before = heap_->Stats();
    const DefragReport report =
        heap_->Defragment(budget, {.max_fragmentation = static_cast<double>(Below(4)) / 10});
    ASSERT_LE(report.moved_bytes(), budget.bytes);
    ASSERT_LE(report.moved_blocks(), budget.moves);
    ASSERT_EQ(before.end_bytes - heap_->Stats().end_bytes, report.reclaimed_bytes);
    ASSERT_LE(report.fragmentation_after, std::max(report.fragmentation_before, 0.0) + 1e-12);
  }

  std::mt19937_64& random_;
  // Aligned to 4096, so that all alignments are possible over it too.
  struct alignas(4096) Page {
    std::byte bytes[4096];
  };
  class Memory {
   public:
    explicit Memory(uint64_t bytes) : pages_((bytes + 4095) / 4096), bytes_(bytes) {}
    operator std::span<std::byte>() {  // NOLINT(google-explicit-constructor)
      return {reinterpret_cast<std::byte*>(pages_.data()), bytes_};
    }

   private:
    std::vector<Page> pages_;
    uint64_t bytes_;
  } memory_;
  std::unique_ptr<CompactingHeap> heap_;
  std::vector<Block> blocks_;
  std::vector<Pinned> pins_;
  std::vector<BlockHandle> stale_;
  bool has_aligned_ = false;
};

TEST(CompactingHeapModelTest, EveryHandleAndByteIsIntact) {
  const uint64_t seed = RandomTestSeed();
  SCOPED_TRACE(HowToReplay(seed));
  std::mt19937_64 random(seed);
  const uint64_t rounds = std::max<uint64_t>(1, Operations() / kOperationsPerRound);
  for (uint64_t round = 0; round < rounds && !testing::Test::HasFatalFailure(); ++round) {
    HeapOptions options = {.limit_bytes = 4096 + random() % 100'000,
                           .grain = uint64_t{1} << (random() % 8),
                           .max_blocks = 100'000,
                           .chunk_bytes = 4096,
                           .automatic = {.enabled = random() % 2 == 0,
                                         .begin_fragmentation = 0.2,
                                         .end_fragmentation = 0.1,
                                         .min_end_bytes = 0,
                                         .step_bytes = 1 + random() % 2000},
                           .allocation_move_bytes = random() % 2 * 3000,
                           .first_generation = random() % 2 == 0 ? 1 : UINT32_MAX - 3};
    HeapModel model(random, options, random() % 2 == 0);
    for (uint64_t i = 0; i < kOperationsPerRound; ++i) {
      model.Step();
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "round " << round << ", operation " << i;
      if (i % 100 == 0) model.CheckAll();
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "round " << round << ", operation " << i;
    }
    model.CheckCompacts();
  }
}

}  // namespace
}  // namespace granary
