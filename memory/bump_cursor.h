// BumpCursor: the free part of a block, from which memory is cut at both ends.
//
// The two words that bump allocation is about, and the few instructions that it takes. Aligned
// requests move `last` up, byte strings move `high` down. A MemoryResource carries one, so that an
// allocation through the std::pmr interface is served after a single virtual call; it is empty in
// resources that do not bump.
//
// The low end is kept as the address of its last used byte, not of its first free one: setting the
// low bits of that gives the byte before the next aligned address, whatever the alignment, in one
// instruction, and adding the size gives the new last byte. So sizes are not rounded, and each
// cursor depends on the one before through an `or` and an `add` alone.
//
// Each function returns the memory, or what `refused()` returns, and then has changed nothing. It
// refuses what does not fit, sizes whose end would overflow, and, for the caller's slow path to
// judge, a size of zero and an alignment that is no power of two or over kAlignmentMax.
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
  // Take() refuses larger alignments.
  static constexpr size_t kAlignmentMax = 4096;

  // The free bytes are those between the two. Where there is no block they stand as if around one
  // of no bytes at address 0: everything is refused, without a test for it.
  uintptr_t last = ~uintptr_t{0};
  uintptr_t high = 0;

  static BumpCursor Over(std::byte* begin, size_t bytes) noexcept {
    const auto address = reinterpret_cast<uintptr_t>(begin);
    return {address - 1, address + bytes};
  }

  size_t room() const noexcept { return high - last - 1; }

  // `alignment` is any power of two. Size and alignment constant: 8 instructions, 2 loads, 1 store,
  // 1 branch. The size variable: 12, and two branches more, for zero and for an overflow; each of
  // them falls through and fuses with the instruction before it, which arithmetic would not.
  template <class Refused>
  [[gnu::always_inline]] void* TakeAligned(size_t bytes, size_t alignment,
                                           Refused refused) noexcept(noexcept(refused())) {
    const uintptr_t before = last | (alignment - 1);
    if (bytes == 0) [[unlikely]]
      return refused();
    uintptr_t end;
    if (IsSmallConstant(bytes)) {
      end = before + bytes;
    } else if (__builtin_add_overflow(before, bytes, &end)) [[unlikely]] {
      return refused();
    }
    if (end >= high) [[unlikely]]
      return refused();
    last = end;
    return reinterpret_cast<void*>(before + 1);
  }

  // A byte string. Of constant size: 6 instructions, 2 loads, 1 store, 1 branch; otherwise 9, and
  // the same two branches more.
  template <class Refused>
  [[gnu::always_inline]] void* TakeBytes(size_t bytes,
                                         Refused refused) noexcept(noexcept(refused())) {
    if (bytes == 0) [[unlikely]]
      return refused();
    uintptr_t begin;
    if (IsSmallConstant(bytes)) {
      begin = high - bytes;
    } else if (__builtin_sub_overflow(high, bytes, &begin)) [[unlikely]] {
      return refused();
    }
    if (begin <= last) [[unlikely]]
      return refused();
    high = begin;
    return reinterpret_cast<void*>(begin);
  }

  // Whichever of them the alignment calls for, chosen by the compiler where it is a constant.
  template <class Refused>
  [[gnu::always_inline]] void* Take(size_t bytes, size_t alignment,
                                    Refused refused) noexcept(noexcept(refused())) {
    if (alignment == 1) return TakeBytes(bytes, refused);
    // The bits that an acceptable alignment has in common with its predecessor, and those that the
    // predecessor has above the largest: none.
    if (((alignment - 1) & (alignment | ~(kAlignmentMax - 1))) != 0) [[unlikely]]
      return refused();
    return TakeAligned(bytes, alignment, refused);
  }

 private:
  // Sizes that no address can overflow with. Where there is no block, `last` does, and `end` is
  // still not below `high`.
  [[gnu::always_inline]] static bool IsSmallConstant(size_t bytes) noexcept {
    return __builtin_constant_p(bytes) && bytes <= size_t{1} << 30;
  }
};

}  // namespace granary

#endif  // GRANARY_MEMORY_BUMP_CURSOR_H_
