// StableArray: an array that grows without moving what is in it. Internal to memory/region.
//
// Address space for as many elements as there may be is set aside once; the system gives memory to
// those that are there, 64 KiB at a time, or refuses it as a value. Elements are never destroyed:
// of those that it is for, destructors do nothing.
#ifndef GRANARY_MEMORY_REGION_STABLE_ARRAY_H_
#define GRANARY_MEMORY_REGION_STABLE_ARRAY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <utility>

#include "memory/error.h"
#include "memory/system_memory.h"

namespace granary::region {

template <class T>
class StableArray {
 public:
  StableArray() noexcept = default;

  // Room for `count_max`, which is not 0. kOutOfMemory where there is no address space for them.
  static Expected<StableArray> Create(uint64_t count_max, SystemCalls* calls) {
    auto memory = SystemMemory::Reserve(
        {.reserve_bytes = static_cast<size_t>(count_max) * sizeof(T), .system_calls = calls});
    if (!memory) return tl::unexpected(std::move(memory.error()));
    return StableArray(std::move(*memory), count_max);
  }

  uint64_t size() const noexcept { return size_; }
  uint64_t capacity() const noexcept { return count_max_; }
  T& operator[](uint64_t i) const noexcept { return data()[i]; }
  uint64_t IndexOf(const T& element) const noexcept {
    return static_cast<uint64_t>(&element - data());
  }

  // Makes it `count` long, at least as long as it is; new elements are as T() is.
  Expected<void> Grow(uint64_t count) {
    if (count > count_max_) {
      return tl::unexpected(Error{
          .code = ErrorCode::kOutOfMemory,
          .message = "all " + std::to_string(count_max_) + " places are taken that were set aside",
          .where = "StableArray::Grow"});
    }
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    if (bytes > committed_bytes_) {
      const size_t wanted =
          std::min((bytes + kStepBytes - 1) / kStepBytes * kStepBytes, memory_.size_bytes());
      if (auto done = memory_.Commit(committed_bytes_, wanted - committed_bytes_); !done) {
        return done;
      }
      committed_bytes_ = wanted;
    }
    for (; size_ < count; ++size_) new (data() + size_) T();
    return {};
  }

 private:
  static constexpr size_t kStepBytes = size_t{64} << 10;

  StableArray(SystemMemory memory, uint64_t count_max) noexcept
      : memory_(std::move(memory)), count_max_(count_max) {}

  T* data() const noexcept { return reinterpret_cast<T*>(memory_.data()); }

  SystemMemory memory_;
  uint64_t count_max_ = 0;
  uint64_t size_ = 0;
  size_t committed_bytes_ = 0;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_STABLE_ARRAY_H_
