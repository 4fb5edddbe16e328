// What fuzz targets share: numbers from the fuzzer's bytes, and the check that ends a run.
#ifndef GRANARY_MEMORY_TESTING_FUZZ_INPUT_H_
#define GRANARY_MEMORY_TESTING_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace granary {

// Reads numbers from the fuzzer's bytes; zeros when they have run out.
class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  bool empty() const { return left_ == 0; }

  // Of so many bytes, the first the highest.
  uint64_t Number(size_t bytes) {
    uint64_t number = 0;
    for (; bytes != 0; --bytes) number = number << 8 | Byte();
    return number;
  }

  // Of two bytes; `limit` is not 0.
  size_t Below(size_t limit) { return static_cast<size_t>(Number(2)) % limit; }

 private:
  uint8_t Byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }

  const uint8_t* data_;
  size_t left_;
};

// Ends the run if it does not hold.
inline void FuzzCheck(bool holds) {
  if (!holds) std::abort();
}

}  // namespace granary

#endif  // GRANARY_MEMORY_TESTING_FUZZ_INPUT_H_
