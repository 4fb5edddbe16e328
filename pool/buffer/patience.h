// Patience: for how long somebody goes on who needs a frame and finds none. Internal to
// pool/buffer.
#ifndef GRANARY_POOL_BUFFER_PATIENCE_H_
#define GRANARY_POOL_BUFFER_PATIENCE_H_

#include <chrono>
#include <cstddef>
#include <optional>

namespace granary::buffer {

// The clock is not looked at before the first rounds were in vain: mostly there is a frame.
class Patience {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Patience(Clock::duration wait) noexcept : wait_(wait) {}

  // A batch of `picked` frames was looked at, and `evicted` of them have gone. True if none of
  // `frames`, and a few more, which others may have in hand, has gone since the last that did.
  bool IsInVain(size_t picked, size_t evicted, size_t frames) noexcept {
    fruitless_ = evicted != 0 ? 0 : fruitless_ + picked + 1;
    return fruitless_ > frames + kInHand;
  }
  // There are others to look at now.
  void LookAgain() noexcept { fruitless_ = 0; }
  // Whether the wait is over; it begins when that is asked for the first time.
  bool IsOver() noexcept {
    const Clock::time_point now = Clock::now();
    if (!deadline_) deadline_ = now + wait_;
    return now >= *deadline_;
  }

 private:
  static constexpr size_t kInHand = 64;

  const Clock::duration wait_;
  std::optional<Clock::time_point> deadline_;
  size_t fruitless_ = 0;
};

}  // namespace granary::buffer

#endif  // GRANARY_POOL_BUFFER_PATIENCE_H_
