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
// long: it is a limit, not an allocator. Requests must not be larger than the block.
template <size_t kBlockBytes>
class Raw {
 public:
  static constexpr const char* kName = "raw";

  Raw() : block_(new std::byte[kBlockBytes]), next_(block_.get()), end_(next_ + kBlockBytes) {}

  void* Aligned(size_t bytes) { return Bump((bytes + 15) & ~size_t{15}); }
  void* Aligned8(size_t bytes) { return Bump((bytes + 7) & ~size_t{7}); }
  void* Bytes(size_t bytes) {
    // From the other end, so that aligned requests stay aligned.
    if (bytes > static_cast<size_t>(end_ - next_)) [[unlikely]]
      Reset();
    return end_ -= bytes;
  }
  void Reset() {
    next_ = block_.get();
    end_ = next_ + kBlockBytes;
  }

 private:
  void* Bump(size_t rounded) {
    if (rounded > static_cast<size_t>(end_ - next_)) [[unlikely]]
      Reset();
    std::byte* const p = next_;
    next_ = p + rounded;
    return p;
  }

  // operator new gives 16-byte alignment.
  std::unique_ptr<std::byte[]> block_;
  std::byte* next_;
  std::byte* end_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_ARENA_RAW_H_
