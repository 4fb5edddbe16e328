// LaneSource: where the lanes of a ConcurrentArena take their memory from.
//
// Passes every call on to the arena's upstream and counts what is held, for all lanes together. It
// also knows whether the arena is being reset, which only one thread may do while no other calls:
// every slow path comes by here, and a thread that comes during another's reset is reported.
#ifndef GRANARY_ARENA_LANE_SOURCE_H_
#define GRANARY_ARENA_LANE_SOURCE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory/memory_resource.h"

namespace granary {

// Any thread. Cost: upstream's, and a relaxed addition.
class LaneSource final : public MemoryResource {
 public:
  // `upstream` takes calls from any thread and outlives this; so does the name.
  LaneSource(MemoryResource& upstream, const char* arena_name) noexcept
      : MemoryResource(Deallocation::kFrees, upstream.max_alignment()),
        upstream_(upstream),
        arena_name_(arena_name) {}

  // --- MemoryResource ---------------------------------------------------------------------------

  [[nodiscard]] void* TryAllocate(size_t bytes, size_t alignment) noexcept override;
  [[nodiscard]] bool TryResize(void* p, size_t old_bytes, size_t new_bytes,
                               size_t alignment) noexcept override;
  void ReleaseChain(const BlockChain& chain) noexcept override;
  size_t block_bytes() const noexcept override { return upstream_.block_bytes(); }
  // asked, used and held are all held_bytes().
  MemoryStats Stats() const noexcept override;
  [[noreturn]] void ThrowRefusal(size_t bytes, size_t alignment) const override;

  // What upstream has given and not got back: right for a moment of the call.
  size_t held_bytes() const noexcept { return held_bytes_.load(std::memory_order_relaxed); }

  MemoryResource& upstream() const noexcept { return upstream_; }

  // --- Resets -----------------------------------------------------------------------------------

  // From here on only the calling thread may come, until Open(). Misuse if another has closed it.
  void Close(const char* call) noexcept;
  void Open() noexcept { resetting_thread_.store(0, std::memory_order_relaxed); }
  bool closed() const noexcept { return resetting_thread_.load(std::memory_order_relaxed) != 0; }

  // Reports and aborts if another thread is within a reset: the two are not ordered, so that any
  // order may be seen, and the report is likely, not certain.
  void CheckOpen(const char* call) const noexcept;

 private:
  void do_deallocate(void* p, size_t bytes, size_t alignment) override;

  MemoryResource& upstream_;
  const char* arena_name_;
  // Relaxed: a figure, which orders nothing.
  std::atomic<size_t> held_bytes_{0};
  // Relaxed: the caller of a reset has ordered it with all other calls; who has not is to be
  // reported.
  std::atomic<uint64_t> resetting_thread_{0};
};

}  // namespace granary

#endif  // GRANARY_ARENA_LANE_SOURCE_H_
