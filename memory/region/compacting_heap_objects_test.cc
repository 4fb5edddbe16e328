// Objects in a CompactingHeap: how they are made, moved and destroyed.
#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/region/compacting_heap.h"
#include "memory/region/shared_compacting_heap.h"
#include "memory/region/testing/heap_bytes.h"

namespace granary {
namespace {

// Knows where it is, and how many there are.
class Node {
 public:
  explicit Node(int value) : self_(this), value_(value) {
    if (value < 0) throw std::invalid_argument("negative");
    ++count;
  }
  Node(Node&& other) noexcept : self_(this), value_(other.value_) { ++count; }
  ~Node() { --count; }

  bool IsIntact() const { return self_ == this; }
  int value() const { return value_; }

  static inline int count = 0;

 private:
  Node* self_;
  int value_;
  std::array<char, 200> filler_ = {};
};

// Cannot be moved, but for those who know it.
struct Anchor {
  explicit Anchor(int the_value) : value(the_value) {}
  Anchor(const Anchor&) = delete;
  int value;
  int moves = 0;
};

}  // namespace

template <>
struct Relocation<Anchor> {
  static void Move(Anchor* from, Anchor* to) noexcept {
    ::new (static_cast<void*>(to)) Anchor(from->value);
    to->moves = from->moves + 1;
    std::destroy_at(from);
  }
};

namespace {

std::unique_ptr<CompactingHeap> Make() {
  return CompactingHeap::Create({.limit_bytes = 1 << 20}).value();
}

TEST(CompactingHeapObjectsTest, AreMovedByTheirMoveConstructors) {
  {
    const auto heap = Make();
    std::vector<BlockHandle> gaps;
    std::vector<TypedHandle<Node>> nodes;
    for (int i = 0; i < 50; ++i) {
      gaps.push_back(heap->Allocate(i % 2 == 0 ? 16 : 300).value());
      nodes.push_back(heap->Allocate<Node>(i).value());
    }
    for (const BlockHandle gap : gaps) Succeeds(heap->Free(gap));
    const DefragReport report = heap->Defragment();
    EXPECT_EQ(report.stop, DefragStop::kGoalReached);
    // Also onto themselves.
    EXPECT_GT(report.slid_blocks, 0u);
    for (int i = 0; i < 50; ++i) {
      const auto node = heap->Pin(nodes[static_cast<size_t>(i)]).value();
      EXPECT_TRUE(node->IsIntact());
      EXPECT_EQ(node->value(), i);
    }
    EXPECT_EQ(Node::count, 50);
    Succeeds(heap->Free(nodes[0]));
    EXPECT_EQ(Node::count, 49);
  }
  // The heap destroys the rest.
  EXPECT_EQ(Node::count, 0);
}

TEST(CompactingHeapObjectsTest, AreMovedByTheHookOfTheirType) {
  const auto heap = Make();
  const BlockHandle gap = heap->Allocate(64).value();
  const auto anchor = heap->Allocate<Anchor>(7).value();
  Succeeds(heap->Free(gap));
  (void)heap->Defragment();
  const auto pin = heap->Pin(anchor).value();
  EXPECT_EQ(pin->value, 7);
  EXPECT_EQ(pin->moves, 1);
}

TEST(CompactingHeapObjectsTest, AreAligned) {
  struct alignas(256) Wide {
    int value;
  };
  const auto heap = Make();
  const BlockHandle gap = heap->Allocate(16).value();
  const auto first = heap->Allocate<Wide>(Wide{1}).value();
  const auto second = heap->Allocate<Wide>(Wide{2}).value();
  Succeeds(heap->Free(gap));
  (void)heap->Defragment();
  for (const auto& [handle, value] : {std::pair(first, 1), {second, 2}}) {
    const auto pin = heap->Pin(handle).value();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pin.get()) % 256, 0u);
    EXPECT_EQ(pin->value, value);
  }
}

TEST(CompactingHeapObjectsTest, AConstructorThatThrowsLeavesNothing) {
  const auto heap = Make();
  EXPECT_THROW((void)heap->Allocate<Node>(-1), std::invalid_argument);
  EXPECT_EQ(heap->Stats().blocks, 0u);
  EXPECT_EQ(Node::count, 0);
  const auto shared = SharedCompactingHeap::Create({.limit_bytes = 1 << 20}).value();
  EXPECT_THROW((void)shared->Allocate<Node>(-1), std::invalid_argument);
  EXPECT_EQ(shared->Stats().blocks, 0u);
  EXPECT_EQ(Node::count, 0);
}

TEST(CompactingHeapObjectsTest, ADestructorMayFreeOthers) {
  struct Owner {
    CompactingHeap* heap;
    BlockHandle owned;
    Owner(CompactingHeap* a_heap, BlockHandle block) noexcept : heap(a_heap), owned(block) {}
    Owner(Owner&& other) noexcept : heap(std::exchange(other.heap, nullptr)), owned(other.owned) {}
    ~Owner() {
      if (heap != nullptr) Succeeds(heap->Free(owned));
    }
  };
  const auto heap = Make();
  const auto owner = heap->Allocate<Owner>(heap.get(), heap->Allocate(100).value()).value();
  Succeeds(heap->Free(owner));
  EXPECT_EQ(heap->Stats().blocks, 0u);
}

TEST(CompactingHeapObjectsTest, AreNotReadOrWrittenAsBytes) {
  const auto heap = Make();
  const auto node = heap->Allocate<Node>(1).value();
  std::byte byte{};
  EXPECT_FALSE(heap->Read(node.block, 0, {&byte, 1}));
  EXPECT_FALSE(heap->Write(node.block, 0, {&byte, 1}));
  EXPECT_FALSE(heap->Fill(node.block, 0, 1, byte));
  // What is trivially copyable is bytes.
  const auto number = heap->Allocate<int>(1).value();
  EXPECT_TRUE(heap->Read(number.block, 0, {&byte, 1}));
}

TEST(CompactingHeapObjectsTest, StayInPlansAndNeedMemory) {
  const auto heap = Make();
  const BlockHandle gap = heap->Allocate(1000).value();
  const auto node = heap->Allocate<Node>(1).value();
  Succeeds(heap->Free(gap));
  EXPECT_TRUE(heap->Plan().empty());
  EXPECT_TRUE(heap->Pin(node).value()->IsIntact());
  const auto offsets = CompactingHeap::CreateOverOffsets({.limit_bytes = 1 << 20}).value();
  EXPECT_EQ(offsets->Allocate<int>(1).error().code, ErrorCode::kUnsupported);
  std::byte byte{};
  const BlockHandle block = offsets->Allocate(1).value();
  EXPECT_EQ(offsets->Read(block, 0, {&byte, 1}).error().code, ErrorCode::kUnsupported);
}

TEST(CompactingHeapObjectsTest, BlocksOfMoreKindsThanAHeapKnowsAreRefused) {
  static std::array<BlockOperations, 256> operations;
  for (BlockOperations& one : operations) {
    one.move = [](void* from, void* to, size_t bytes) noexcept { std::memcpy(to, from, bytes); };
  }
  const auto heap = Make();
  for (size_t i = 0; i < 255; ++i) EXPECT_TRUE(heap->AllocateWith(operations[i], 16, 16));
  EXPECT_EQ(heap->AllocateWith(operations[255], 16, 16).error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(heap->AllocateWith(operations[7], 16, 16));
  (void)heap->Defragment();
}

}  // namespace
}  // namespace granary
