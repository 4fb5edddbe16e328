#include "bench/report/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace granary::bench {
namespace {

// Below 9.995 two digits after the point still make three digits after rounding.
std::string ThreeDigits(double value) {
  const double size = std::fabs(value);
  if (size >= 99.95) {
    return fmt::format("{:.0f}", value);
  }
  return size >= 9.995 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

}  // namespace

std::string FormatNs(double ns) {
  if (ns < 999.5) {
    return ThreeDigits(ns) + " ns";
  }
  if (ns < 999.5e3) {
    return ThreeDigits(ns / 1e3) + " µs";
  }
  return ns < 999.5e6 ? ThreeDigits(ns / 1e6) + " ms" : ThreeDigits(ns / 1e9) + " s";
}

std::string FormatRatio(double ratio) { return ThreeDigits(ratio) + "x"; }

std::string FormatCount(double count) {
  return std::fabs(count) < 9.9995 ? fmt::format("{:.3f}", count) : ThreeDigits(count);
}

std::string FormatSeconds(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(0.0, std::round(seconds)));
  return whole < 60 ? fmt::format("{} s", whole)
                    : fmt::format("{} min {} s", whole / 60, whole % 60);
}

}  // namespace granary::bench
