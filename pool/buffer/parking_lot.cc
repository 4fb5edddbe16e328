#include "pool/buffer/parking_lot.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
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

bool ParkingLot::Sleep(const void* word, uint32_t seen, Clock::time_point deadline) noexcept {
  // A second at a time: a wake that was lost would be a defect, and not a process that hangs.
  const auto left = std::min<Clock::duration>(deadline - Clock::now(), std::chrono::seconds(1));
  if (left <= Clock::duration::zero()) return false;
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
  const timespec timeout = {.tv_sec = static_cast<time_t>(ns / 1'000'000'000),
                            .tv_nsec = ns % 1'000'000'000};
  Futex(PlaceOf(word).wakes, FUTEX_WAIT, seen, &timeout);
  return true;
}

void ParkingLot::WakeAll(const void* word) noexcept {
  Place& place = PlaceOf(word);
  place.wakes.fetch_add(1, std::memory_order_release);
  Futex(place.wakes, FUTEX_WAKE, INT_MAX, nullptr);
}

}  // namespace granary::buffer
