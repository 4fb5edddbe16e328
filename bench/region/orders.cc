#include "bench/region/orders.h"

#include <cmath>
#include <numeric>
#include <random>
#include <utility>

namespace granary::bench {
namespace {

constexpr uint32_t kLive = 10'000;
constexpr size_t kReplacements = size_t{1} << 16;

// The standard fixes what std::mt19937_64 returns but not what its distributions make of it, so
// that these are our own.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(engine_() % end); }
  uint32_t Between(uint32_t low, uint32_t high) { return low + Below(high - low + 1); }
  uint32_t LogUniform(uint32_t low, uint32_t high) {
    const double u = static_cast<double>(engine_() >> 11) * 0x1p-53;
    return static_cast<uint32_t>(low * std::exp2(u * std::log2(high / low)));
  }

 private:
  std::mt19937_64 engine_;
};

Request LogUniformRequest(Random& random) {
  return {random.LogUniform(64, 256 << 10), kDefaultAlignment};
}

// `make(random)` gives the requests; the slots to be replaced are all, or every second of them.
template <class Make>
ReplacementOrder MakeOrder(uint64_t seed, uint32_t slots, bool frees_every_second,
                           const Make& make) {
  Random random(seed);
  ReplacementOrder order;
  order.frees_every_second = frees_every_second;
  order.first.reserve(slots);
  for (uint32_t i = 0; i < slots; ++i) order.first.push_back(make(random));
  const uint32_t step = frees_every_second ? 2 : 1;
  order.replacements.reserve(kReplacements);
  for (size_t i = 0; i < kReplacements; ++i) {
    const uint32_t slot = random.Below(slots / step) * step;
    order.replacements.push_back({slot, make(random)});
  }
  return order;
}

}  // namespace

const ReplacementOrder& LogUniform() {
  static const ReplacementOrder order = MakeOrder(1, kLive, false, LogUniformRequest);
  return order;
}

const ReplacementOrder& SmallExact() {
  static const ReplacementOrder order = [] {
    ReplacementOrder made = MakeOrder(2, kLive, false, [](Random& random) {
      return Request{16 * random.Between(1, 64), kDefaultAlignment};
    });
    for (Replacement& replacement : made.replacements) {
      replacement.request = made.first[replacement.slot];
    }
    return made;
  }();
  return order;
}

const ReplacementOrder& Aligned() {
  static const ReplacementOrder order = MakeOrder(3, kLive, false, [](Random& random) {
    return Request{random.LogUniform(64, 64 << 10), uint32_t{1} << random.Between(4, 16)};
  });
  return order;
}

const ReplacementOrder& MillionFree() {
  static const ReplacementOrder order = MakeOrder(4, 2'000'000, true, [](Random& random) {
    return Request{random.Between(64, 256), kDefaultAlignment};
  });
  return order;
}

const std::vector<Request>& LifoRequests() {
  static const std::vector<Request> requests = [] {
    Random random(5);
    std::vector<Request> made(100);
    for (Request& request : made) request = LogUniformRequest(random);
    return made;
  }();
  return requests;
}

std::vector<uint32_t> Shuffled(uint32_t count) {
  Random random(6);
  std::vector<uint32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  for (uint32_t i = count; i > 1; --i) std::swap(numbers[i - 1], numbers[random.Below(i)]);
  return numbers;
}

}  // namespace granary::bench
