// What is timed: a run is prepared once, and then RunBatch() is called again and again. The batches
// are functions of their own: nothing of the benchmark's loop competes for their registers.
#ifndef GRANARY_BENCH_REGION_RUNS_H_
#define GRANARY_BENCH_REGION_RUNS_H_

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/program.h"
#include "bench/region/orders.h"
#include "bench/region/trace_run.h"
#include "bench/traces/rep_trace.h"

namespace granary::bench {

inline constexpr size_t kRegionBytes = size_t{1} << 30;

class Run {
 public:
  virtual ~Run() = default;
  virtual void RunBatch() = 0;
  virtual size_t operations_per_batch() const = 0;
};

// Every case's requests have room.
template <class Implementation>
[[gnu::always_inline]] inline typename Implementation::Handle AllocateSurely(
    Implementation& implementation, size_t bytes, size_t alignment) {
  auto handle = implementation.Allocate(bytes, alignment);
  if (implementation.IsNull(handle)) Die("there is no room for what a case asks for");
  benchmark::DoNotOptimize(handle);
  return handle;
}

template <class Implementation>
[[gnu::always_inline]] inline void Free(Implementation& implementation,
                                        const typename Implementation::Handle& handle) {
  implementation.Free(handle);
  benchmark::ClobberMemory();
}

// Replaces allocations as an order says. With `kAligned` as each request says, otherwise to what
// everybody aligns to.
template <class Implementation, bool kAligned>
class ReplacementRun final : public Run {
 public:
  explicit ReplacementRun(const ReplacementOrder& order)
      : order_(order), implementation_(kRegionBytes) {
    live_.reserve(order.first.size());
    for (const Request& request : order.first) live_.push_back(Allocate(request));
    if (order.frees_every_second) {
      for (size_t slot = 1; slot < live_.size(); slot += 2) {
        implementation_.Free(live_[slot]);
        live_[slot] = {};
      }
    } else {
      // Until what is free no longer looks as it did in the beginning.
      for (size_t i = 0; i < order.replacements.size(); i += kBatch) ReplacementRun::RunBatch();
    }
  }
  ~ReplacementRun() override { FreeAll(implementation_, live_); }

  [[gnu::noinline]] void RunBatch() override {
    const Replacement* replacement = order_.replacements.data() + next_;
    for (const Replacement* const end = replacement + kBatch; replacement != end; ++replacement) {
      auto& handle = live_[replacement->slot];
      Free(implementation_, handle);
      handle = Allocate(replacement->request);
    }
    next_ = (next_ + kBatch) % order_.replacements.size();
  }
  size_t operations_per_batch() const override { return kBatch; }

 private:
  // Divides the number of replacements.
  static constexpr size_t kBatch = 4096;

  [[gnu::always_inline]] typename Implementation::Handle Allocate(const Request& request) {
    return AllocateSurely(implementation_, request.bytes,
                          kAligned ? request.alignment : kDefaultAlignment);
  }

  const ReplacementOrder& order_;
  Implementation implementation_;
  std::vector<typename Implementation::Handle> live_;
  size_t next_ = 0;
};

// A whole recording, which frees all in the end.
template <class Implementation>
class TraceRun final : public Run {
 public:
  explicit TraceRun(const RepTrace& trace)
      : trace_(trace), implementation_(kRegionBytes), live_(trace.id_count) {
    TraceRun::RunBatch();
  }

  void RunBatch() override {
    NoObserver nobody;
    if (Replay(implementation_, trace_.operations, live_, nobody) != 0) {
      Die("there is no room for what a recording asks for");
    }
  }
  size_t operations_per_batch() const override { return trace_.operations.size(); }

 private:
  const RepTrace& trace_;
  Implementation implementation_;
  std::vector<typename Implementation::Handle> live_;
};

// Allocates a hundred, and frees the last first.
template <class Implementation>
class LifoRun final : public Run {
 public:
  LifoRun() : implementation_(kRegionBytes) {}

  [[gnu::noinline]] void RunBatch() override {
    const std::vector<Request>& requests = LifoRequests();
    for (size_t round = 0; round < kRounds; ++round) {
      auto* top = live_.data();
      for (const Request& request : requests) {
        *top++ = AllocateSurely(implementation_, request.bytes, kDefaultAlignment);
      }
      while (top != live_.data()) Free(implementation_, *--top);
    }
  }
  size_t operations_per_batch() const override { return kRounds * live_.size(); }

 private:
  static constexpr size_t kRounds = 10;

  Implementation implementation_;
  std::array<typename Implementation::Handle, 100> live_ = {};
};

// A thousand times three neighbours of 4 KiB, and between any two of these a free range that is too
// small for one, with somebody live on both sides. A round frees the first and the third, then the
// one between these two free ranges, and allocates the three again: for whoever takes the smallest
// range that is large enough, where they were.
template <class Implementation>
class BetweenRun final : public Run {
 public:
  BetweenRun() : implementation_(kRegionBytes), order_(Shuffled(kTriples)) {
    std::vector<Handle> gaps;
    for (uint32_t i = 0; i < kTriples; ++i) {
      for (Handle& handle : triples_.emplace_back()) handle = Allocate(kBytes);
      fences_.push_back(Allocate(kFenceBytes));
      gaps.push_back(Allocate(kGapBytes));
      fences_.push_back(Allocate(kFenceBytes));
    }
    FreeAll(implementation_, gaps);
  }
  ~BetweenRun() override {
    FreeAll(implementation_, fences_);
    for (const std::array<Handle, 3>& triple : triples_) {
      for (const Handle& handle : triple) implementation_.Free(handle);
    }
  }

  [[gnu::noinline]] void RunBatch() override {
    for (const uint32_t i : order_) {
      std::array<Handle, 3>& triple = triples_[i];
      Free(implementation_, triple[0]);
      Free(implementation_, triple[2]);
      Free(implementation_, triple[1]);
      for (Handle& handle : triple) handle = Allocate(kBytes);
    }
  }
  size_t operations_per_batch() const override { return size_t{3} * kTriples; }

 private:
  using Handle = typename Implementation::Handle;

  static constexpr uint32_t kTriples = 1000;
  static constexpr size_t kBytes = 4096;
  static constexpr size_t kGapBytes = 2048;
  static constexpr size_t kFenceBytes = 64;

  [[gnu::always_inline]] Handle Allocate(size_t bytes) {
    return AllocateSurely(implementation_, bytes, kDefaultAlignment);
  }

  Implementation implementation_;
  std::vector<uint32_t> order_;
  std::vector<std::array<Handle, 3>> triples_;
  std::vector<Handle> fences_;
};

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REGION_RUNS_H_
