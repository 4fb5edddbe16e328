// HeapPageSet: a set of numbers that knows its lowest and its highest member. Internal to
// memory/region.
//
// A bit a number, and above each 64 bits one that says whether any is set, up to a single word: at
// most six loads whatever the size, and nothing is touched of what was never a member. The words
// are the owner's, and zeros at first.
#ifndef GRANARY_MEMORY_REGION_HEAP_PAGE_SET_H_
#define GRANARY_MEMORY_REGION_HEAP_PAGE_SET_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace granary::region {

class HeapPageSet {
 public:
  // No number is this.
  static constexpr uint32_t kNone = UINT32_MAX;

  // For numbers below `size`.
  static constexpr uint64_t WordsFor(uint64_t size) noexcept {
    uint64_t words = 0;
    for (uint64_t level = size;; level = WordsOfBits(level)) {
      words += WordsOfBits(level);
      if (level <= 64) return words;
    }
  }

  // `words` are WordsFor(size) and outlive it.
  HeapPageSet(uint64_t* words, uint64_t size) noexcept {
    for (uint64_t level = size;; level = WordsOfBits(level)) {
      levels_[depth_++] = words;
      words += WordsOfBits(level);
      if (level <= 64) return;
    }
  }

  bool Has(uint32_t number) const noexcept {
    return (levels_[0][number / 64] >> (number % 64) & 1) != 0;
  }

  void Insert(uint32_t number) noexcept {
    for (size_t i = 0; i < depth_; ++i, number /= 64) {
      uint64_t& word = levels_[i][number / 64];
      const bool had_any = word != 0;
      word |= uint64_t{1} << (number % 64);
      if (had_any) return;
    }
  }
  void Erase(uint32_t number) noexcept {
    for (size_t i = 0; i < depth_; ++i, number /= 64) {
      uint64_t& word = levels_[i][number / 64];
      word &= ~(uint64_t{1} << (number % 64));
      if (word != 0) return;
    }
  }

  // kNone if it is empty.
  uint32_t Lowest() const noexcept {
    if (levels_[depth_ - 1][0] == 0) return kNone;
    uint32_t number = 0;
    for (size_t i = depth_; i > 0; --i) {
      number = number * 64 + static_cast<uint32_t>(std::countr_zero(levels_[i - 1][number]));
    }
    return number;
  }
  // Of those up to `number`, which is below the size; kNone if there is none.
  uint32_t HighestUpTo(uint32_t number) const noexcept {
    for (size_t i = 0; i < depth_; ++i) {
      const uint64_t word = levels_[i][number / 64] & (~uint64_t{0} >> (63 - number % 64));
      if (word != 0) {
        number = number / 64 * 64 + Highest(word);
        for (; i > 0; --i) number = number * 64 + Highest(levels_[i - 1][number]);
        return number;
      }
      if (number / 64 == 0) return kNone;
      number = number / 64 - 1;
    }
    return kNone;
  }

 private:
  // 2^32 numbers.
  static constexpr size_t kDepthMax = 6;

  static constexpr uint64_t WordsOfBits(uint64_t bits) noexcept { return (bits + 63) / 64; }
  static uint32_t Highest(uint64_t word) noexcept {
    return static_cast<uint32_t>(63 - std::countl_zero(word));
  }

  // From the bits themselves up.
  std::array<uint64_t*, kDepthMax> levels_ = {};
  size_t depth_ = 0;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_HEAP_PAGE_SET_H_
