// FrameArray: one small value for each frame of a pool, zero until it is written.
//
// The whole array is reserved at once and gets memory page by page as it is touched, so that a pool
// that may have 2^28 frames and fills a thousand of them pays for a thousand.
#ifndef GRANARY_POOL_BUFFER_FRAME_ARRAY_H_
#define GRANARY_POOL_BUFFER_FRAME_ARRAY_H_

#include <cstddef>
#include <type_traits>
#include <utility>

#include "memory/error.h"
#include "memory/system_memory.h"

namespace granary {

// Of a type whose zero bytes are a value, and that needs no destructor. Moves; the values stay
// where they are.
template <class T>
class FrameArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  // `count` values, not 0. `system_calls` is null for the real ones. Errors are those of
  // SystemMemory::Reserve; after one the array is as before.
  Expected<void> Reserve(size_t count, SystemCalls* system_calls) {
    auto memory =
        SystemMemory::Reserve({.reserve_bytes = count * sizeof(T), .system_calls = system_calls});
    if (!memory) return tl::unexpected(std::move(memory.error()));
    memory_ = *std::move(memory);
    values_ = reinterpret_cast<T*>(memory_.data());
    return {};
  }

  T& operator[](size_t index) const noexcept { return values_[index]; }
  T* data() const noexcept { return values_; }
  // What it takes once all of it is touched.
  size_t bytes_max() const noexcept { return memory_.size_bytes(); }

 private:
  SystemMemory memory_;
  T* values_ = nullptr;
};

}  // namespace granary

#endif  // GRANARY_POOL_BUFFER_FRAME_ARRAY_H_
