#include "bench/report/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace granary::bench {

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::ranges::sort(values);
  const double position = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], position - static_cast<double>(below));
}

double GeometricMean(const std::vector<double>& values) {
  if (values.empty() || std::ranges::any_of(values, [](double v) { return !(v > 0); })) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  double logarithms = 0;
  for (const double value : values) {
    logarithms += std::log(value);
  }
  return std::exp(logarithms / static_cast<double>(values.size()));
}

std::optional<Ratio> PairedRatio(const std::vector<Sample>& numerator,
                                 const std::vector<Sample>& denominator) {
  std::vector<double> ratios;
  for (const Sample& upper : numerator) {
    const auto lower = std::ranges::find(denominator, upper.round, &Sample::round);
    if (lower != denominator.end() && lower->value > 0) {
      ratios.push_back(upper.value / lower->value);
    }
  }
  if (ratios.empty()) {
    return std::nullopt;
  }
  return Ratio{.median = Median(ratios),
               .low = Quantile(ratios, 0.25),
               .high = Quantile(ratios, 0.75),
               .rounds_count = static_cast<int>(ratios.size())};
}

}  // namespace granary::bench
