// A replay that counts what is live and what is held, and writes and checks every payload if it is
// asked to.
#ifndef GRANARY_BENCH_REPLAY_COUNTED_REPLAY_H_
#define GRANARY_BENCH_REPLAY_COUNTED_REPLAY_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "bench/program.h"
#include "bench/region/held.h"
#include "bench/region/mapping.h"
#include "bench/region/orders.h"
#include "bench/region/trace_run.h"
#include "bench/replay/payload.h"
#include "bench/traces/rep_trace.h"

namespace granary::bench {

enum class Writes {
  kNothing,  // What a malloc holds is not known then.
  kPages,    // One byte of each page of what a malloc gives.
  kPayload,  // Everything, and it is checked.
};

// Dies at the first payload that is damaged.
template <class Implementation>
class CountingObserver {
 public:
  using Handle = typename Implementation::Handle;
  // Whether a handle is an offset, and bytes to be written have to be brought along.
  static constexpr bool kIsOffset = !std::is_pointer_v<Handle>;

  CountingObserver(const Implementation& implementation, size_t id_count, size_t region_bytes,
                   Writes writes)
      : implementation_(implementation), writes_(writes), sizes_(id_count), held_(implementation) {
    if (kIsOffset && writes == Writes::kPayload) memory_.emplace(region_bytes);
  }

  void Allocated(const RepOperation& operation, const Handle& handle) {
    if (writes_ == Writes::kPayload) {
      std::byte* const data = At(handle);
      // What is smaller needs no more than its size has, and mallocs give no more.
      const size_t alignment =
          std::min<size_t>(std::bit_floor(BytesOf(operation)), kDefaultAlignment);
      if (reinterpret_cast<uintptr_t>(data) % alignment != 0) {
        Die("the payload of id " + std::to_string(operation.id) + " is not aligned");
      }
      FillPayload(data, BytesOf(operation), operation.id);
    }
    Grew(operation, handle);
  }

  void Moving(const RepOperation& operation, const Handle& from, const Handle& to) {
    if (writes_ != Writes::kPayload) return;
    std::memcpy(At(to), At(from), std::min(sizes_[operation.id], BytesOf(operation)));
  }

  void Reallocated(const RepOperation& operation, const Handle& handle) {
    if (writes_ == Writes::kPayload) {
      Check(operation.id, handle, std::min(sizes_[operation.id], BytesOf(operation)));
      FillPayload(At(handle), BytesOf(operation), operation.id);
    }
    Grew(operation, handle);
  }

  void Freeing(const RepOperation& operation, const Handle& handle) {
    if (writes_ == Writes::kPayload) Check(operation.id, handle, sizes_[operation.id]);
    Changed(operation.id, 0);
  }

  // What the trace leaves.
  void CheckLive(const std::vector<Handle>& live) {
    if (writes_ != Writes::kPayload) return;
    for (uint32_t id = 0; id < live.size(); ++id) {
      if (!implementation_.IsNull(live[id])) Check(id, live[id], sizes_[id]);
    }
  }

  size_t peak_live_bytes() const { return live_.peak_bytes(); }
  // Of regions that tell: when the peak was reached.
  std::optional<size_t> free_ranges_at_peak() const { return free_ranges_at_peak_; }
  std::optional<size_t> HeldBytes() const {
    if (!kIsRegion<Implementation> && writes_ == Writes::kNothing) return std::nullopt;
    return held_.HeldBytes();
  }

 private:
  std::byte* At(const Handle& handle) {
    if constexpr (kIsOffset) {
      return memory_->data() + handle.offset;
    } else {
      return handle;
    }
  }

  void Check(uint32_t id, const Handle& handle, size_t bytes) {
    const std::optional<size_t> damage = FindDamage(At(handle), bytes, id);
    if (!damage) return;
    Die("the payload of id " + std::to_string(id) + ", " + std::to_string(bytes) +
        " bytes, is damaged at byte " + std::to_string(*damage));
  }

  void Grew(const RepOperation& operation, const Handle& handle) {
    held_.Grew(handle, BytesOf(operation), writes_ == Writes::kPages);
    Changed(operation.id, BytesOf(operation));
  }

  void Changed(uint32_t id, size_t bytes) {
    const size_t peak_before = live_.peak_bytes();
    live_.Changed(sizes_[id], bytes);
    sizes_[id] = bytes;
    if constexpr (requires { implementation_.allocator(); }) {
      if (live_.peak_bytes() > peak_before) {
        free_ranges_at_peak_ = implementation_.allocator().Stats().free_ranges;
      }
    }
  }

  const Implementation& implementation_;
  const Writes writes_;
  std::vector<size_t> sizes_;
  std::optional<Mapping> memory_;
  LiveMeter live_;
  std::optional<size_t> free_ranges_at_peak_;
  HeldMeter<Implementation> held_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPLAY_COUNTED_REPLAY_H_
