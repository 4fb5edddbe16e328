// SpinMutex: a mutex for sections of a hundred nanoseconds. Internal to pool/buffer.
//
// Who finds it held looks again for about as long as such a section takes, several times over,
// before it sleeps: a sleep and the wake that ends it cost more than the section, for both. Free, a
// lock and an unlock are an atomic read-modify-write each, and make no system call.
//
// Threading. Any thread; not recursive, not fair.
//
// Source: the third mutex of U. Drepper, "Futexes Are Tricky", 2011.
#ifndef GRANARY_POOL_BUFFER_SPIN_MUTEX_H_
#define GRANARY_POOL_BUFFER_SPIN_MUTEX_H_

#include <atomic>
#include <cstdint>

namespace granary::buffer {

// Works with std::scoped_lock and its like, whose names these are.
class SpinMutex {
 public:
  SpinMutex() noexcept = default;
  SpinMutex(const SpinMutex&) = delete;
  SpinMutex& operator=(const SpinMutex&) = delete;

  void lock() noexcept {
    if (!try_lock()) LockHeld();
  }
  bool try_lock() noexcept {
    uint32_t free = kFree;
    return word_.compare_exchange_strong(free, kHeld, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  void unlock() noexcept {
    if (word_.exchange(kFree, std::memory_order_release) == kAwaited) [[unlikely]]
      word_.notify_one();
  }

 private:
  static constexpr int kSpins = 60;
  static constexpr uint32_t kFree = 0;
  static constexpr uint32_t kHeld = 1;
  // Held, and somebody may be asleep.
  static constexpr uint32_t kAwaited = 2;

  [[gnu::cold, gnu::noinline]] void LockHeld() noexcept {
    for (int i = 0; i < kSpins; ++i) {
      if (word_.load(std::memory_order_relaxed) == kFree && try_lock()) return;
      __builtin_ia32_pause();
    }
    while (word_.exchange(kAwaited, std::memory_order_acquire) != kFree) {
      word_.wait(kAwaited, std::memory_order_relaxed);
    }
  }

  std::atomic<uint32_t> word_ = kFree;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_SPIN_MUTEX_H_
