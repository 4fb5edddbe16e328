// The shortest bump allocation that keeps the contract, written by hand: what no library can be
// faster than.
#ifndef GRANARY_BENCH_ARENA_RAW_H_
#define GRANARY_BENCH_ARENA_RAW_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace granary::bench {

// One block, whose state is in memory as any allocator's is. At the block's end it begins again at
// the block's beginning instead of fetching another one, so that nothing it hands out lives for
// long: it is a limit, not an allocator.
template <size_t kBlockBytes>
class Raw {
 public:
  static constexpr const char* kName = "raw";
  // The largest request; recordings have a few that are larger than a block, which room beside the
  // block makes valid memory too.
  static constexpr size_t kLargestBytes = size_t{4} << 20;

  void* Aligned(size_t bytes) { return Bump((bytes + 15) & ~size_t{15}); }
  void* Aligned8(size_t bytes) { return Bump((bytes + 7) & ~size_t{7}); }
  void* Bytes(size_t bytes) {
    // From the other end, so that aligned requests stay aligned.
    if (end_ - bytes < next_) [[unlikely]]
      Reset();
    return end_ -= bytes;
  }
  void Reset() {
    next_ = memory_.get() + kLargestBytes;
    end_ = next_ + kBlockBytes;
  }

 private:
  void* Bump(size_t rounded) {
    if (next_ + rounded > end_) [[unlikely]]
      Reset();
    std::byte* const p = next_;
    next_ = p + rounded;
    return p;
  }

  // operator new aligns to 16 bytes. The block is in the middle, with room to both sides.
  std::unique_ptr<std::byte[]> memory_{new std::byte[kLargestBytes + kBlockBytes + kLargestBytes]};
  std::byte* next_ = memory_.get() + kLargestBytes;
  std::byte* end_ = next_ + kBlockBytes;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_RAW_H_
