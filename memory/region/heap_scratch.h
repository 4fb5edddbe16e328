// HeapScratch: where an object waits while its place and its next one overlap. Internal to
// memory/region.
#ifndef GRANARY_MEMORY_REGION_HEAP_SCRATCH_H_
#define GRANARY_MEMORY_REGION_HEAP_SCRATCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

namespace granary::region {

class HeapScratch {
 public:
  HeapScratch() noexcept = default;
  HeapScratch(const HeapScratch&) = delete;
  HeapScratch& operator=(const HeapScratch&) = delete;
  ~HeapScratch() { Release(); }

  std::byte* data() const noexcept { return data_; }

  // Room for `bytes`, aligned so, and for all that there was room for before. False, and nothing
  // has changed, if there is no memory.
  [[nodiscard]] bool MakeRoom(uint64_t bytes, uint64_t alignment) noexcept {
    if (bytes <= bytes_ && alignment <= alignment_) return true;
    const uint64_t new_bytes = std::max(bytes, bytes_);
    const uint64_t new_alignment = std::max(alignment, alignment_);
    void* const made = ::operator new (new_bytes, std::align_val_t{new_alignment}, std::nothrow);
    if (made == nullptr) return false;
    Release();
    data_ = static_cast<std::byte*>(made);
    bytes_ = new_bytes;
    alignment_ = new_alignment;
    return true;
  }

 private:
  void Release() noexcept {
    if (data_ != nullptr) ::operator delete (data_, std::align_val_t{alignment_});
  }

  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t alignment_ = alignof(std::max_align_t);
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_HEAP_SCRATCH_H_
