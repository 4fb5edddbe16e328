// The few statistics of the report. All of them stand a few wild values: the machines that measure
// change their speed by a factor of two while they do.
#ifndef GRANARY_BENCH_REPORT_STATISTICS_H_
#define GRANARY_BENCH_REPORT_STATISTICS_H_

#include <optional>
#include <vector>

namespace granary::bench {

// One measurement, and the round that it was made in.
struct Sample {
  int round;
  double value;
};

// The value below which the share `q` of the values lies, 0 <= q <= 1, interpolated between
// neighbours. NaN if there are no values.
double Quantile(std::vector<double> values, double q);

inline double Median(std::vector<double> values) { return Quantile(std::move(values), 0.5); }

// Of ratios: NaN if there are none, or one is not positive.
double GeometricMean(const std::vector<double>& values);

// A ratio of two implementations' times, and how far apart the rounds' ratios are.
struct Ratio {
  double median;
  // The quartiles: half of the rounds' ratios lie between them.
  double low;
  double high;
  int rounds_count;
};

// Numerator over denominator, each pair from the same round; rounds that have only one of the two
// do not count. Nothing if there is no pair. What disturbs a round disturbs both of its times, so
// that their ratio stays where the times themselves do not.
std::optional<Ratio> PairedRatio(const std::vector<Sample>& numerator,
                                 const std::vector<Sample>& denominator);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_STATISTICS_H_
