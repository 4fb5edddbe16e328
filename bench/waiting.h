// How threads wait for each other: awake for a moment, then they let others run, as there may be
// more threads than processors.
#ifndef GRANARY_BENCH_WAITING_H_
#define GRANARY_BENCH_WAITING_H_

#include <sched.h>

namespace granary::bench {

class Waiting {
 public:
  void Pause() {
    if (++pauses_ < kPausesBeforeYield) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    } else {
      sched_yield();
      pauses_ = 0;
    }
  }

 private:
  static constexpr int kPausesBeforeYield = 100;
  int pauses_ = 0;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_WAITING_H_
