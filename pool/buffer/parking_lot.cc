#include "pool/buffer/parking_lot.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace granary::buffer {

namespace {

void Futex(std::atomic<uint32_t>& word, int operation, uint32_t value,
           const timespec* timeout) noexcept {
  static_assert(sizeof(word) == sizeof(uint32_t));
  // Whatever it says, the caller looks again.
  (void)::syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, timeout, nullptr, 0);
}

}  // namespace

void ParkingLot::Sleep(const void* word, uint32_t seen) noexcept {
  // A second at most: a wake that was lost would be a defect, and not a process that hangs.
  const timespec timeout = {.tv_sec = 1, .tv_nsec = 0};
  Futex(PlaceOf(word).wakes, FUTEX_WAIT, seen, &timeout);
}

void ParkingLot::WakeAll(const void* word) noexcept {
  Place& place = PlaceOf(word);
  place.wakes.fetch_add(1, std::memory_order_release);
  Futex(place.wakes, FUTEX_WAKE, INT_MAX, nullptr);
}

}  // namespace granary::buffer
