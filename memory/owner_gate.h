// OwnerGate: the cursor of a stack, which its one owner moves without an atomic read-modify-write,
// and which others can stop with a system call.
//
// A thread's magazine is the thread's alone, until the pool runs out and has to look into it; what
// an account has prepaid is its owner's, until the budget comes to its limit. So the owner says
// that it is inside with a plain store, of the cursor with its lowest bit set, and then looks
// whether it may move: whether the cursor is above the stack's begin, or below its end.
// Who stops it sets both bounds so that it may not, forces every other thread's processor to have
// its stores and loads in order (membarrier), and then waits until the owner is out. Between its
// store and its load the owner has only a compiler barrier: either the one who stops sees it
// inside, or the owner sees that it is stopped.
//
//   owner                                 another thread, which has a lock
//     if (at = gate.EnterAbove()) {         gate.Stop();   ... of any number of gates
//       ...                                 ProcessFence::Heavy();
//       gate.Leave(at - 1);                 gate.WaitUntilOut();
//     }                                     ... what belongs to the owner is now the other's
//
// A gate stays stopped until the owner, which finds that it cannot enter, takes the lock and starts
// it again. So a thread that does nothing is stopped once, however often others want to; and the
// child of a fork waits for no owner that it does not have.
//
// Memory order: what the owner did inside happens before what the other does after WaitUntilOut,
// and that, by the lock, before what the owner does after Start.
//
// `Atomic` is std::atomic; a test puts in its own, which delays stores as a processor does.
//
// Source: the asymmetric Dekker synchronisation of D. Dice, H. Huang and M. Yang, 2001; biased
// locks in Java virtual machines; membarrier(2).
#ifndef GRANARY_MEMORY_OWNER_GATE_H_
#define GRANARY_MEMORY_OWNER_GATE_H_

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace granary {

// The system's fence for all threads of the process.
class ProcessFence {
 public:
  // True if the system has it. The first call registers the process, again after a fork.
  static bool Available() noexcept;
  static void RegisterAgain() noexcept;
  // Every running thread of the process passes a full fence before it returns. Some microseconds.
  static void Heavy() noexcept;
};

// A new gate is stopped.
template <template <class> class Atomic = std::atomic>
class OwnerGate {
 public:
  // A place in the stack; 0 is none, and the lowest bit is the gate's. Less than a quarter of what
  // the type can say, as are distances.
  using Cursor = uintptr_t;

  // The owner's. Each returns the cursor if the owner is inside from now on, otherwise 0.
  // If there is something below the cursor, or so much.
  [[nodiscard, gnu::always_inline]] Cursor EnterAbove() noexcept {
    const Cursor at = Announce();
    if (at > low_.load(std::memory_order_acquire)) [[likely]]
      return at;
    Leave(at);
    return 0;
  }
  [[nodiscard, gnu::always_inline]] Cursor EnterAbove(Cursor distance) noexcept {
    const Cursor at = Announce();
    if (at >= low_.load(std::memory_order_acquire) + distance) [[likely]]
      return at;
    Leave(at);
    return 0;
  }
  // If there is room above it, or so much.
  [[nodiscard, gnu::always_inline]] Cursor EnterBelow() noexcept {
    const Cursor at = Announce();
    if (at < high_.load(std::memory_order_acquire)) [[likely]] {
      // Spares the caller's test: only a gate that was never started has none.
      if (at == 0) __builtin_unreachable();
      return at;
    }
    Leave(at);
    return 0;
  }
  [[nodiscard, gnu::always_inline]] Cursor EnterBelow(Cursor distance) noexcept {
    const Cursor at = Announce();
    if (at + distance <= high_.load(std::memory_order_acquire)) [[likely]]
      return at;
    Leave(at);
    return 0;
  }
  // In any case, if it has not been stopped.
  [[nodiscard]] Cursor Enter() noexcept {
    const Cursor at = Announce();
    if (high_.load(std::memory_order_acquire) != 0) return at;
    Leave(at);
    return 0;
  }
  [[gnu::always_inline]] void Leave(Cursor at) noexcept {
    at_.store(at, std::memory_order_release);
  }

  // The owner's, with the lock. The stack is [low, high), not empty; the cursor is at `low`, or
  // `at`.
  void Start(Cursor low, Cursor high) noexcept { Start(low, high, low); }
  void Start(Cursor low, Cursor high, Cursor at) noexcept {
    at_.store(at, std::memory_order_relaxed);
    low_.store(low, std::memory_order_relaxed);
    high_.store(high, std::memory_order_relaxed);
  }

  // With the lock.
  void Stop() noexcept {
    low_.store(kAboveAll, std::memory_order_relaxed);
    high_.store(0, std::memory_order_relaxed);
  }
  // After Stop, and a Heavy fence after that if the owner is another thread. Returns the cursor.
  // The owner is out after a few instructions, or after its system call if it is in one; its thread
  // may have to be run first.
  Cursor WaitUntilOut() const noexcept {
    for (int spins = 0;; ++spins) {
      const Cursor at = at_.load(std::memory_order_acquire);
      if ((at & 1) == 0) return at;
      if (spins > 100) sched_yield();
    }
  }
  // Of this moment, from any thread.
  Cursor Look() const noexcept { return at_.load(std::memory_order_relaxed) & ~Cursor{1}; }

 private:
  // With any distance added still more than any cursor.
  static constexpr Cursor kAboveAll = ~(UINTPTR_MAX >> 1);

  [[gnu::always_inline]] Cursor Announce() noexcept {
    const Cursor at = at_.load(std::memory_order_relaxed);
    at_.store(at + 1, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return at;
  }

  Atomic<Cursor> at_{0};
  Atomic<Cursor> low_{kAboveAll};
  Atomic<Cursor> high_{0};
};

}  // namespace granary

#endif  // GRANARY_MEMORY_OWNER_GATE_H_
