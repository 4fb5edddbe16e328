#include "bench/report/results.h"

#include <algorithm>
#include <array>

namespace granary::bench {
namespace {

bool SameCase(const BenchmarkName& a, const BenchmarkName& b) {
  return a.suite == b.suite && a.case_name == b.case_name;
}

std::string MainCounter(const std::map<std::string, double>& counters) {
  for (const char* known : {"held_per_asked", "instructions"}) {
    if (counters.contains(known)) {
      return known;
    }
  }
  return counters.empty() ? "" : counters.begin()->first;
}

}  // namespace

std::vector<double> Result::values() const {
  std::vector<double> values;
  for (const Sample& sample : samples) {
    values.push_back(sample.value);
  }
  return values;
}

void Results::Announce(const BenchmarkName& name) {
  Result announced;
  announced.name = name;
  // Behind the last of its case, else behind the last of its suite, else at the end. A case of a
  // family that another program lists too stays with its family.
  const std::array<bool (*)(const BenchmarkName&, const BenchmarkName&), 3> kinships = {
      SameCase,
      [](const BenchmarkName& a, const BenchmarkName& b) {
        return a.suite == b.suite && a.family() == b.family();
      },
      [](const BenchmarkName& a, const BenchmarkName& b) { return a.suite == b.suite; }};
  for (const auto& kin : kinships) {
    const auto last = std::find_if(results_.rbegin(), results_.rend(),
                                   [&](const Result& result) { return kin(result.name, name); });
    if (last != results_.rend()) {
      results_.insert(last.base(), std::move(announced));
      return;
    }
  }
  results_.push_back(std::move(announced));
}

void Results::Record(int round, const Measurement& measurement) {
  const auto result = std::ranges::find(results_, measurement.name, &Result::name);
  if (result == results_.end()) {
    return;
  }
  result->timed = measurement.timed;
  result->counters = measurement.counters;
  if (measurement.timed) {
    result->samples.push_back({round, measurement.ns_per_op});
    return;
  }
  result->main_counter = MainCounter(measurement.counters);
  if (!result->main_counter.empty()) {
    result->samples.push_back({round, measurement.counters.at(result->main_counter)});
  }
}

std::vector<Result> Results::Measured() const {
  std::vector<Result> measured;
  std::ranges::copy_if(results_, std::back_inserter(measured),
                       [](const Result& result) { return !result.samples.empty(); });
  return measured;
}

const Result* CaseResults::Find(std::string_view implementation) const {
  for (const Result* result : implementations) {
    if (result->name.implementation == implementation) {
      return result;
    }
  }
  return nullptr;
}

std::vector<CaseResults> GroupByCase(const std::vector<Result>& results) {
  std::vector<CaseResults> cases;
  for (const Result& result : results) {
    // A case whose implementations disagree about being timed makes two: times and counts never
    // stand in one line.
    if (cases.empty() || !SameCase(cases.back().name(), result.name) ||
        cases.back().timed() != result.timed) {
      cases.emplace_back();
    }
    cases.back().implementations.push_back(&result);
  }
  return cases;
}

}  // namespace granary::bench
