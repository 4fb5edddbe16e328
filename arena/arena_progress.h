// ArenaProgress: how far an arena is, for threads that are not its owner.
#ifndef GRANARY_ARENA_ARENA_PROGRESS_H_
#define GRANARY_ARENA_ARENA_PROGRESS_H_

#include <atomic>
#include <cstddef>

namespace granary {

// Written by the arena's owner when the arena enters a block or takes a large object, so that the
// inlined path stays what it is; read by any thread. What the current block has handed out since is
// not in it.
class ArenaProgress {
 public:
  // Relaxed both: the figures order nothing. Each is one that was right; the two may be of
  // different moments.
  void Set(size_t asked_bytes, size_t used_bytes) noexcept {
    asked_bytes_.store(asked_bytes, std::memory_order_relaxed);
    used_bytes_.store(used_bytes, std::memory_order_relaxed);
  }
  size_t asked_bytes() const noexcept { return asked_bytes_.load(std::memory_order_relaxed); }
  size_t used_bytes() const noexcept { return used_bytes_.load(std::memory_order_relaxed); }

 private:
  std::atomic<size_t> asked_bytes_{0};
  std::atomic<size_t> used_bytes_{0};
};

}  // namespace granary

#endif  // GRANARY_ARENA_ARENA_PROGRESS_H_
