// That every implementation keeps the contract under which it is measured: its memory is aligned as
// the case promises, may be written from end to end, and is nobody else's until it starts over.
#include "bench/arena/implementations.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bench/arena/batch.h"
#include "bench/arena/sizes.h"
#include "gtest/gtest.h"

namespace granary::bench {
namespace {

constexpr size_t kBlockBytes = 64 << 10;

struct Piece {
  unsigned char* data;
  size_t bytes;
  unsigned char mark;
};

// Allocates `sizes`, fills each with a mark of its own, and reads all marks in the end.
template <class Implementation, class Ask>
void CheckPieces(Implementation& implementation, const std::vector<uint32_t>& sizes,
                 size_t alignment) {
  std::vector<Piece> pieces;
  for (const uint32_t bytes : sizes) {
    auto* const p = static_cast<unsigned char*>(Ask::Allocate(implementation, bytes));
    ASSERT_EQ(reinterpret_cast<uintptr_t>(p) % alignment, 0U)
        << Implementation::kName << ", " << bytes << " bytes";
    pieces.push_back({p, bytes, static_cast<unsigned char>(pieces.size() * 7 + 1)});
    std::memset(p, pieces.back().mark, bytes);
  }
  for (const Piece& piece : pieces) {
    for (size_t i = 0; i < piece.bytes; ++i) {
      ASSERT_EQ(piece.data[i], piece.mark) << Implementation::kName;
    }
  }
}

// What fits one block, so that Raw need not go round.
std::vector<uint32_t> HalfABlock() {
  std::vector<uint32_t> sizes;
  size_t sum = 0;
  for (const uint32_t bytes : SmallMix()) {
    sizes.push_back(bytes);
    if ((sum += bytes) > kBlockBytes / 2) break;
  }
  return sizes;
}

template <class Ask, class List>
void CheckList(List list, const std::vector<uint32_t>& sizes, size_t alignment) {
  ForEach<kBlockBytes>(list, [&]<class I>() {
    I implementation;
    for (int round = 0; round < 3; ++round) {
      CheckPieces<I, Ask>(implementation, sizes, alignment);
      implementation.Reset();
    }
  });
}

TEST(ImplementationsTest, AlignedMemoryIsAlignedTo16) {
  CheckList<AskAligned>(AlignedImplementations(), HalfABlock(), 16);
  CheckList<AskAligned>(QueryImplementations(), HalfABlock(), 16);
}

TEST(ImplementationsTest, Aligned8MemoryIsAlignedTo8) {
  CheckList<AskAligned8>(Aligned8Implementations(), HalfABlock(), 8);
}

TEST(ImplementationsTest, ByteStringsAreTheirOwners) {
  CheckList<AskBytes>(BytesImplementations(), HalfABlock(), 1);
}

TEST(ImplementationsTest, ObjectsLargerThanABlockAreServed) {
  const std::vector<uint32_t>& mix = LargeMix();
  CheckList<AskAligned>(LargeImplementations(), {mix.begin(), mix.begin() + 256}, 16);
}

}  // namespace
}  // namespace granary::bench
