// OwnerGate: a lock that costs its one owner no atomic read-modify-write, and others a system call.
//
// A thread's magazine is the thread's alone, until the pool runs out and has to look into it. So
// the owner says that it is inside with a plain store and looks whether it has been stopped; who
// stops it says so, forces every other thread's processor to have its stores and loads in order
// (membarrier), and then waits until the owner is out. Between its store and its load the owner has
// only a compiler barrier: either the one who stops sees it inside, or the owner sees that it is
// stopped.
//
//   owner                         another thread, one at a time
//     if (gate.Enter()) {           gate.Stop();   ... of any number of gates
//       ...                         gates_fence.Heavy();
//       gate.Leave();               gate.WaitUntilOut();
//     }                             ... what belongs to the owner is now the other's
//                                   gate.Resume();
//
// Memory order: what the owner did inside happens before what the other does after WaitUntilOut,
// and that before what the owner does after its next Enter.
//
// `Atomic` is std::atomic; a test puts in its own, which delays stores as a processor does.
//
// Source: the asymmetric Dekker synchronisation of D. Dice, H. Huang and M. Yang, 2001; biased
// locks in Java virtual machines; membarrier(2).
#ifndef GRANARY_POOL_OWNER_GATE_H_
#define GRANARY_POOL_OWNER_GATE_H_

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

template <template <class> class Atomic = std::atomic>
class OwnerGate {
 public:
  // The owner's. False if it has been stopped; it is then not inside.
  [[nodiscard, gnu::always_inline]] bool Enter() noexcept {
    inside_.store(1, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (stopped_.load(std::memory_order_acquire) != 0) [[unlikely]] {
      inside_.store(0, std::memory_order_release);
      return false;
    }
    return true;
  }
  [[gnu::always_inline]] void Leave() noexcept { inside_.store(0, std::memory_order_release); }

  void Stop() noexcept { stopped_.store(1, std::memory_order_relaxed); }
  // After a Heavy fence after Stop. The owner is out after a few instructions, or after its system
  // call if it is in one; its thread may have to be run first.
  void WaitUntilOut() const noexcept {
    for (int spins = 0; inside_.load(std::memory_order_acquire) != 0; ++spins) {
      if (spins > 100) sched_yield();
    }
  }
  void Resume() noexcept { stopped_.store(0, std::memory_order_release); }

 private:
  Atomic<uint8_t> inside_{0};
  Atomic<uint8_t> stopped_{0};
};

}  // namespace granary

#endif  // GRANARY_POOL_OWNER_GATE_H_
