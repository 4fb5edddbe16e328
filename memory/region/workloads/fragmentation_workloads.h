// The ten workloads W0 to W9 that show how a heap fragments, the same every time.
//
//   FragmentationWorkload workload({.number = 5, .divisor = 500, .seed = 1});
//   if (!workload.Run(target)) ...
//
// Each allocates five times what is live, and frees 200 objects at random whenever more than that
// is; most then change the sizes, so that the holes of the first fit none of the second. Target is
// any allocator:
//
//   std::optional<Object> Allocate(uint64_t bytes);   // Nothing if it is full.
//   void Free(const Object& object);
//   void Remains(const Object& object);   // If there is one: told at the end of each that is live.
//   // If there is one: objects are of [size_min, size_max) bytes from now on, or all of size_min.
//   void PhaseBegins(uint64_t size_min, uint64_t size_max);
//
// A divisor makes them smaller: what is allocated and live, and the objects that are freed at a
// time, but as many as bring the live ones back below their limit; or, in W8 and W9, where they are
// large, the sizes.
//
// Sources: the workloads of "Log-structured Memory for DRAM-based Storage" (Rumble, Kejriwal,
// Ousterhout, FAST '14), with the numbers and fragmentation targets of PMDK's obj_fragmentation2.
#ifndef GRANARY_MEMORY_REGION_WORKLOADS_FRAGMENTATION_WORKLOADS_H_
#define GRANARY_MEMORY_REGION_WORKLOADS_FRAGMENTATION_WORKLOADS_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace granary {

inline constexpr int kFragmentationWorkloads = 10;

// What PMDK's heap ends with at most when it has defragmented.
inline constexpr std::array<double, kFragmentationWorkloads> kPmdkDefragmentedTargets = {
    .01, .01, .01, .01, .01, .05, .09, .13, .01, .16};
// And when it has not.
inline constexpr std::array<double, kFragmentationWorkloads> kPmdkTargets = {
    .01, .01, .01, .9, .8, .7, .3, .8, .73, 3.0};

struct FragmentationWorkloadOptions {
  // 0 to 9.
  int number = 0;
  // 1 is PMDK's size: 5000 MiB are allocated and 1000 MiB live.
  uint64_t divisor = 1;
  uint64_t seed = 1;
};

class FragmentationWorkload {
 public:
  explicit FragmentationWorkload(const FragmentationWorkloadOptions& options) noexcept
      : options_(options), state_(options.seed) {}

  // The most that is live at a time, but for the object that exceeds it; in W9 the heap's limit
  // says.
  uint64_t live_bytes_max() const noexcept { return 1000 * kMiB / options_.divisor; }
  // The size of PMDK's heap.
  uint64_t heap_bytes() const noexcept { return 3072 * kMiB / options_.divisor; }

  // False if the target refused an object; W9 frees some then, and goes on.
  template <class Target>
  [[nodiscard]] bool Run(Target& target);

 private:
  static constexpr uint64_t kMiB = uint64_t{1} << 20;

  template <class Target>
  class Objects;

  static void TellPhase(auto& target, uint64_t size_min, uint64_t size_max) {
    if constexpr (requires { target.PhaseBegins(size_min, size_max); }) {
      target.PhaseBegins(size_min, size_max);
    }
  }

  struct Phase {
    uint64_t size_min;
    uint64_t size_max;
    // Of the objects that are there, so many percent are freed after it.
    uint64_t freed_percent = 0;
  };

  // SplitMix64.
  uint64_t Random() noexcept {
    state_ += 0x9E3779B97F4A7C15;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
  }
  // In [min, max), or min if that is empty.
  uint64_t Between(uint64_t min, uint64_t max) noexcept {
    return max <= min ? min : min + Random() % (max - min);
  }

  std::vector<Phase> Phases() const;

  const FragmentationWorkloadOptions options_;
  uint64_t state_;
};

// Those that are live, in an order that becomes random where they are to be freed.
template <class Target>
class FragmentationWorkload::Objects {
 public:
  Objects(FragmentationWorkload& workload, Target& target) noexcept
      : workload_(workload), target_(target) {}

  uint64_t live_bytes() const noexcept { return live_bytes_; }
  size_t count() const noexcept { return objects_.size(); }

  bool Allocate(uint64_t bytes) {
    auto object = target_.Allocate(bytes);
    if (!object) return false;
    objects_.emplace_back(std::move(*object), bytes);
    live_bytes_ += bytes;
    return true;
  }
  // Exchanges those from `begin` on with others.
  void Shuffle(size_t begin) {
    for (size_t i = begin; i < objects_.size(); ++i) {
      std::swap(objects_[i], objects_[workload_.Between(0, objects_.size() - 1)]);
    }
  }
  void FreeLast(uint64_t count) {
    for (; count > 0 && !objects_.empty(); --count) {
      target_.Free(objects_.back().first);
      live_bytes_ -= objects_.back().second;
      objects_.pop_back();
    }
  }
  void FreePercent(uint64_t percent) {
    Shuffle(0);
    FreeLast(objects_.size() * percent / 100);
  }
  void Leave() {
    if constexpr (requires { target_.Remains(objects_.front().first); }) {
      for (const auto& [object, bytes] : objects_) target_.Remains(object);
    }
  }

 private:
  using Object = typename decltype(std::declval<Target&>().Allocate(0))::value_type;

  FragmentationWorkload& workload_;
  Target& target_;
  std::vector<std::pair<Object, uint64_t>> objects_;
  uint64_t live_bytes_ = 0;
};

inline std::vector<FragmentationWorkload::Phase> FragmentationWorkload::Phases() const {
  const uint64_t large = 2 * kMiB / options_.divisor;
  switch (options_.number) {
    case 0:
      return {{100, 100}};
    case 1:
      return {{100, 100}, {130, 130}};
    case 2:
      return {{100, 100, 90}, {130, 130}};
    case 3:
      return {{100, 150}, {200, 250}};
    case 4:
      return {{100, 150, 90}, {200, 250}};
    case 5:
      return {{100, 200, 50}, {1000, 2000}};
    case 6:
      return {{1000, 2000, 90}, {1500, 2500}};
    case 7:
      return {{50, 150, 90}, {5000, 15000}};
    case 8:
      return {{large, large}};
    default:
      return {};
  }
}

template <class Target>
bool FragmentationWorkload::Run(Target& target) {
  const uint64_t total_max = 5000 * kMiB / options_.divisor;
  const uint64_t frees_at_a_time =
      options_.number == 8 ? 200 : std::max<uint64_t>(1, 200 / options_.divisor);
  Objects<Target> objects(*this, target);
  for (const Phase& phase : Phases()) {
    TellPhase(target, phase.size_min, phase.size_max);
    uint64_t total = 0;
    size_t shuffled = 0;
    while (total < total_max) {
      const uint64_t bytes = Between(phase.size_min, phase.size_max);
      if (!objects.Allocate(bytes)) return false;
      total += bytes;
      if (objects.live_bytes() <= live_bytes_max()) continue;
      objects.Shuffle(shuffled);
      objects.FreeLast(frees_at_a_time);
      while (objects.live_bytes() > live_bytes_max()) objects.FreeLast(1);
      shuffled = objects.count();
    }
    if (phase.freed_percent != 0) objects.FreePercent(phase.freed_percent);
  }
  if (options_.number != 9) {
    objects.Leave();
    return true;
  }
  // Sizes of an exponential distribution, until the heap is full.
  const uint64_t size_max_bytes = 5 * kMiB / options_.divisor;
  const auto size_max = static_cast<double>(size_max_bytes);
  TellPhase(target, 1, size_max_bytes);
  for (uint64_t total = 0; total < total_max;) {
    const double uniform = static_cast<double>(Random() >> 11) / static_cast<double>(1ULL << 53);
    const auto bytes = static_cast<uint64_t>(1 + (size_max - 1) * std::exp(-4 * uniform));
    if (objects.Allocate(bytes)) {
      total += bytes;
    } else if (objects.count() == 0) {
      return false;
    } else {
      objects.FreePercent(Between(10, 90));
    }
  }
  objects.Leave();
  return true;
}

}  // namespace granary

#endif  // GRANARY_MEMORY_REGION_WORKLOADS_FRAGMENTATION_WORKLOADS_H_
