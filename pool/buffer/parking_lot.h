// ParkingLot: where threads sleep until somebody says that a word has changed. Internal to
// pool/buffer.
//
//   sleeper                                      waker
//     const uint32_t seen = lot.Prepare(&word);    changes the word, and finds the sleeper's mark
//     puts its mark in the word                    lot.WakeAll(&word);
//     looks at the word once more
//     lot.Sleep(&word, seen);
//
// Words share 64 places to sleep at by their addresses; who is woken looks at its word again.
//
// Threading. Any thread. Memory order is that of the word; the lot adds none that anybody needs.
//
// Source: the parking lot of WebKit (F. Pizlo, 2016); futex(2).
#ifndef GRANARY_POOL_BUFFER_PARKING_LOT_H_
#define GRANARY_POOL_BUFFER_PARKING_LOT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace granary::buffer {

class ParkingLot {
 public:
  uint32_t Prepare(const void* word) noexcept {
    return PlaceOf(word).wakes.load(std::memory_order_acquire);
  }
  // Returns when somebody wakes who came after Prepare, or for no reason.
  void Sleep(const void* word, uint32_t seen) noexcept;
  void WakeAll(const void* word) noexcept;

 private:
  struct alignas(64) Place {
    std::atomic<uint32_t> wakes = 0;
  };

  Place& PlaceOf(const void* word) noexcept {
    const uint64_t mixed = (reinterpret_cast<uintptr_t>(word) >> 3) * 0x9E3779B97F4A7C15u;
    return places_[mixed >> 58];
  }

  std::array<Place, 64> places_;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_PARKING_LOT_H_
