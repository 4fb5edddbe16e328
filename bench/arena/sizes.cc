#include "bench/arena/sizes.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <random>
#include <utility>

#include "bench/traces/rep_trace.h"

namespace granary::bench {
namespace {

// The standard fixes what std::mt19937_64 returns but not what its distributions make of it, so
// that these are our own.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint32_t Between(uint32_t low, uint32_t high) {
    return low + static_cast<uint32_t>(engine_() % (high - low + 1));
  }
  bool OneIn(uint32_t n) { return engine_() % n == 0; }
  double Normal() {
    // Box and Muller's transformation.
    const double u = (static_cast<double>(engine_() >> 11) + 1) * 0x1p-53;
    const double v = static_cast<double>(engine_() >> 11) * 0x1p-53;
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  }

 private:
  std::mt19937_64 engine_;
};

std::string& TracesDirectory() {
  static std::string directory;
  return directory;
}

Expected<std::vector<uint32_t>> ReadTraceSizes(const std::string& name) {
  return ReadRepTrace(TracesDirectory() + "/" + name + ".rep.gz").and_then(AllocationSizes);
}

}  // namespace

const std::vector<uint32_t>& SmallMix() {
  static const std::vector<uint32_t> sizes = [] {
    Random random(1);
    std::vector<uint32_t> result;
    for (size_t sum = 0; sum < kBatchBytes; sum += result.back()) {
      result.push_back(random.Between(8, 128));
    }
    return result;
  }();
  return sizes;
}

const std::vector<uint32_t>& LargeMix() {
  static const std::vector<uint32_t> sizes = [] {
    constexpr size_t kCount = 4096;
    Random random(2);
    std::vector<uint32_t> result;
    for (size_t i = 0; i < kCount; ++i) {
      result.push_back(i % 64 == 63 ? random.Between((64 << 10) + 1, 256 << 10)
                                    : random.Between(8, 128));
    }
    return result;
  }();
  return sizes;
}

const std::vector<MemtableEntry>& MemtableEntries() {
  static const std::vector<MemtableEntry> entries = [] {
    constexpr size_t kMemtableBytes = 8 * kMiB;
    constexpr uint32_t kLevelsMax = 12;
    constexpr uint32_t kSequenceBytes = 8;
    Random random(3);
    std::vector<MemtableEntry> result;
    for (size_t sum = 0; sum < kMemtableBytes;) {
      uint32_t levels = 1;
      while (levels < kLevelsMax && random.OneIn(4)) ++levels;
      const uint32_t key_bytes = random.Between(16, 24);
      const double value_bytes = std::min(100 * std::exp(random.Normal()), 16384.0);
      result.push_back(
          {.links_bytes = 8 * levels,
           .data_bytes = key_bytes + kSequenceBytes + static_cast<uint32_t>(value_bytes)});
      sum += result.back().links_bytes + result.back().data_bytes;
    }
    return result;
  }();
  return entries;
}

const Expected<std::vector<uint32_t>>& TraceSizes(const std::string& name) {
  static std::map<std::string, Expected<std::vector<uint32_t>>> traces;
  const auto found = traces.find(name);
  if (found != traces.end()) return found->second;
  return traces.emplace(name, ReadTraceSizes(name)).first->second;
}

void SetTracesDirectory(std::string directory) { TracesDirectory() = std::move(directory); }

}  // namespace granary::bench
