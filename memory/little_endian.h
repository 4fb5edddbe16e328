// Fixed-size numbers in files: little endian, wherever they are written.
#ifndef GRANARY_MEMORY_LITTLE_ENDIAN_H_
#define GRANARY_MEMORY_LITTLE_ENDIAN_H_

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace granary {

// At `at`; compilers make one store of it, and one load of the other.
template <std::unsigned_integral Number>
void PutFixed(std::byte* at, Number number) noexcept {
  for (size_t i = 0; i < sizeof(Number); ++i) at[i] = static_cast<std::byte>(number >> (8 * i));
}

template <std::unsigned_integral Number>
Number GetFixed(const std::byte* at) noexcept {
  Number number = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) {
    number = static_cast<Number>(number | static_cast<Number>(at[i]) << (8 * i));
  }
  return number;
}

}  // namespace granary

#endif  // GRANARY_MEMORY_LITTLE_ENDIAN_H_
