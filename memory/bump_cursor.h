// BumpCursor: the free part of a block, from which memory is cut at both ends.
//
// The two words that bump allocation is about, and the few instructions that it takes. Aligned
// requests move `low` up, byte strings move `high` down. A MemoryResource carries one, so that an
// allocation through the std::pmr interface is served after a single virtual call; it is empty in
// resources that do not bump.
//
// Each function returns the memory, or what `refused()` returns, and then has changed nothing. It
// refuses what does not fit, and for the caller's slow path to judge also: a size of zero, a size
// that overflows when it is rounded up, and sizes and alignments beyond the k...Max below. None of
// them takes a branch more for that: `bytes - 1` makes a size of zero the largest of all.
#ifndef GRANARY_MEMORY_BUMP_CURSOR_H_
#define GRANARY_MEMORY_BUMP_CURSOR_H_

#include <cstddef>
#include <cstdint>

namespace granary {

// True for 1, 2, 4, ...
constexpr bool IsPowerOfTwo(size_t n) noexcept { return n != 0 && (n & (n - 1)) == 0; }

// `n` rounded up to a multiple of `alignment`, a power of two; wraps around to 0 within `alignment`
// of the end of size_t.
constexpr size_t AlignUp(size_t n, size_t alignment) noexcept {
  return (n + (alignment - 1)) & ~(alignment - 1);
}

struct BumpCursor {
  // Larger requests are refused: the sum of an address and one of these cannot overflow.
  static constexpr size_t kBytesMax = size_t{1} << 30;
  static constexpr size_t kAlignmentMax = 4096;

  // A multiple of 8. Both are null where there is no block.
  std::byte* low = nullptr;
  std::byte* high = nullptr;

  // What a request of that alignment is rounded up to. Alignment 1 is a byte string and is not
  // rounded.
  static constexpr size_t Granule(size_t alignment) noexcept { return alignment < 16 ? 8 : 16; }

  size_t room() const noexcept { return static_cast<size_t>(high - low); }

  // Alignment 8. Of constant size: 9 instructions, 2 loads, 1 store, 1 branch.
  template <class Refused>
  [[gnu::always_inline]] void* Take8(size_t bytes, Refused refused) noexcept(noexcept(refused())) {
    const size_t rounded = AlignUp(bytes, 8);
    std::byte* const p = low;
    if (rounded - 1 >= static_cast<size_t>(high - p)) [[unlikely]]
      return refused();
    low = p + rounded;
    return p;
  }

  // Alignment 16 and a size that is a constant within (0, kBytesMax]: 8 instructions, 2 loads, 1
  // store, 1 branch. Aligns the end of the object instead of its beginning, so that one addition
  // does both.
  template <class Refused>
  [[gnu::always_inline]] void* Take16Constant(size_t bytes,
                                              Refused refused) noexcept(noexcept(refused())) {
    const size_t rounded = AlignUp(bytes, 16);
    const uintptr_t next = (reinterpret_cast<uintptr_t>(low) + (rounded + 8)) & ~uintptr_t{15};
    if (next > reinterpret_cast<uintptr_t>(high)) [[unlikely]]
      return refused();
    low = reinterpret_cast<std::byte*>(next);
    return reinterpret_cast<void*>(next - rounded);
  }

  // Alignment 16. Sizes are rounded to 16, so that in a stream of such requests the first branch
  // always goes one way and each cursor depends on the one before through a single addition.
  template <class Refused>
  [[gnu::always_inline]] void* Take16(size_t bytes, Refused refused) noexcept(noexcept(refused())) {
    const size_t last = (bytes - 1) | 15;
    std::byte* p = low;
    if (reinterpret_cast<uintptr_t>(p) & 8) {
      // An empty asm keeps this a branch: as arithmetic it would lengthen every request's
      // dependency.
      asm("" : "+r"(p));
      p += 8;
      if (p > high) return refused();
    }
    if (last >= static_cast<size_t>(high - p)) [[unlikely]]
      return refused();
    low = p + last + 1;
    return p;
  }

  // Any alignment.
  template <class Refused>
  [[gnu::always_inline]] void* TakeAligned(size_t bytes, size_t alignment,
                                           Refused refused) noexcept(noexcept(refused())) {
    const size_t rounded = AlignUp(bytes, Granule(alignment));
    if (rounded - 1 >= kBytesMax || !IsPowerOfTwo(alignment) || alignment > kAlignmentMax)
        [[unlikely]] {
      return refused();
    }
    const uintptr_t p = AlignUp(reinterpret_cast<uintptr_t>(low), alignment);
    if (p + rounded > reinterpret_cast<uintptr_t>(high)) [[unlikely]]
      return refused();
    low = reinterpret_cast<std::byte*>(p + rounded);
    return reinterpret_cast<void*>(p);
  }

  // A byte string.
  template <class Refused>
  [[gnu::always_inline]] void* TakeBytes(size_t bytes,
                                         Refused refused) noexcept(noexcept(refused())) {
    std::byte* const end = high;
    if (bytes - 1 >= static_cast<size_t>(end - low)) [[unlikely]]
      return refused();
    high = end - bytes;
    return end - bytes;
  }

  // Whichever of them the alignment calls for, chosen by the compiler where it is a constant.
  template <class Refused>
  [[gnu::always_inline]] void* Take(size_t bytes, size_t alignment,
                                    Refused refused) noexcept(noexcept(refused())) {
    if (__builtin_constant_p(alignment)) {
      if (alignment == 1) return TakeBytes(bytes, refused);
      if (alignment == 2 || alignment == 4 || alignment == 8) return Take8(bytes, refused);
      if (alignment == 16 && __builtin_constant_p(bytes) && bytes - 1 < kBytesMax) {
        return Take16Constant(bytes, refused);
      }
      if (alignment == 16) return Take16(bytes, refused);
    } else if (alignment == 1) {
      return TakeBytes(bytes, refused);
    }
    return TakeAligned(bytes, alignment, refused);
  }
};

}  // namespace granary

#endif  // GRANARY_MEMORY_BUMP_CURSOR_H_
