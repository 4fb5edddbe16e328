// HeapPin: as long as it is there, a block stays where it is, and cannot be freed.
#ifndef GRANARY_MEMORY_REGION_HEAP_PIN_H_
#define GRANARY_MEMORY_REGION_HEAP_PIN_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace granary {

// Whose blocks are pinned.
class PinOwner {
 protected:
  virtual ~PinOwner() = default;

 private:
  friend class HeapPin;
  virtual void Unpin(uint32_t number) noexcept = 0;
};

// Moves, does not copy; a block may have many. Ends before its heap does. Threading: as its heap.
class HeapPin {
 public:
  HeapPin() noexcept = default;
  // For heaps: block `number` of `owner` is pinned already.
  HeapPin(PinOwner& owner, uint32_t number, std::span<std::byte> bytes) noexcept
      : owner_(&owner), number_(number), bytes_(bytes) {}
  HeapPin(HeapPin&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)),
        number_(other.number_),
        bytes_(std::exchange(other.bytes_, {})) {}
  HeapPin& operator=(HeapPin&& other) noexcept {
    if (this != &other) {
      Release();
      owner_ = std::exchange(other.owner_, nullptr);
      number_ = other.number_;
      bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
  }
  ~HeapPin() { Release(); }

  // Its bytes, if they are contiguous and the heap has memory; otherwise none.
  std::span<std::byte> bytes() const noexcept { return bytes_; }
  bool holds() const noexcept { return owner_ != nullptr; }

  void Release() noexcept {
    if (owner_ != nullptr) std::exchange(owner_, nullptr)->Unpin(number_);
    bytes_ = {};
  }

 private:
  PinOwner* owner_ = nullptr;
  uint32_t number_ = 0;
  std::span<std::byte> bytes_;
};

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_HEAP_PIN_H_
