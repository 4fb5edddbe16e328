// Maps of a region: which state every grain is in. GrainArray has one entry for each, and is
// plainly right; GrainRuns has one for each run of equal ones, for regions that no array could
// hold.
#ifndef GRANARY_MEMORY_REGION_TESTING_GRAIN_MAPS_H_
#define GRANARY_MEMORY_REGION_TESTING_GRAIN_MAPS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

namespace granary::region {

// Free, pending, or the number of a live range, from kFirstLive up.
using GrainState = uint64_t;
inline constexpr GrainState kFreeGrain = 0;
inline constexpr GrainState kPendingGrain = 1;
inline constexpr GrainState kFirstLive = 2;

// Grains side by side in one state, as many as there are.
struct GrainRun {
  uint64_t offset;
  uint64_t length;
  GrainState state;

  uint64_t end() const { return offset + length; }
};

class GrainArray {
 public:
  explicit GrainArray(uint64_t size) : states_(static_cast<size_t>(size), kFreeGrain) {}

  uint64_t size() const { return states_.size(); }
  // New grains are free.
  void Resize(uint64_t size) { states_.resize(static_cast<size_t>(size), kFreeGrain); }

  void Fill(uint64_t offset, uint64_t length, GrainState state) {
    for (uint64_t at = offset; at < offset + length; ++at) states_[static_cast<size_t>(at)] = state;
  }

  std::vector<GrainRun> Runs(uint64_t from, uint64_t to) const {
    std::vector<GrainRun> runs;
    for (uint64_t at = from; at < to; ++at) {
      const GrainState state = states_[static_cast<size_t>(at)];
      if (runs.empty() || runs.back().state != state) runs.push_back({at, 0, state});
      ++runs.back().length;
    }
    return runs;
  }

 private:
  std::vector<GrainState> states_;
};

class GrainRuns {
 public:
  explicit GrainRuns(uint64_t size) : size_(size), states_{{0, kFreeGrain}} {}

  uint64_t size() const { return size_; }
  void Resize(uint64_t size) {
    const uint64_t old_size = size_;
    size_ = size;
    if (size > old_size) {
      Fill(old_size, size - old_size, kFreeGrain);
    } else {
      states_.erase(states_.lower_bound(std::max<uint64_t>(size, 1)), states_.end());
    }
  }

  void Fill(uint64_t offset, uint64_t length, GrainState state) {
    Cut(offset);
    Cut(offset + length);
    states_.erase(states_.lower_bound(offset), states_.lower_bound(offset + length));
    states_[offset] = state;
    // Its neighbours may be in the same state now.
    JoinAt(offset);
    JoinAt(offset + length);
  }

  std::vector<GrainRun> Runs(uint64_t from, uint64_t to) const {
    std::vector<GrainRun> runs;
    auto at = std::prev(states_.upper_bound(from));
    for (; at != states_.end() && at->first < to; ++at) {
      const auto next = std::next(at);
      const uint64_t begin = std::max(from, at->first);
      const uint64_t end = std::min(to, next != states_.end() ? next->first : size_);
      if (begin < end) runs.push_back({begin, end - begin, at->second});
    }
    return runs;
  }

 private:
  void Cut(uint64_t offset) {
    if (offset >= size_) return;
    const auto at = std::prev(states_.upper_bound(offset));
    if (at->first != offset) states_.emplace(offset, at->second);
  }
  void JoinAt(uint64_t offset) {
    const auto at = states_.find(offset);
    if (at == states_.end() || at == states_.begin()) return;
    if (std::prev(at)->second == at->second) states_.erase(at);
  }

  uint64_t size_;
  // Where each run begins. There is one at 0, whatever the size.
  std::map<uint64_t, GrainState> states_;
};

}  // namespace granary::region

#endif  // GRANARY_MEMORY_REGION_TESTING_GRAIN_MAPS_H_
