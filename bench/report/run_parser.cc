#include "bench/report/run_parser.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

namespace granary::bench {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSkipped = "skipped: ";

// The numbers that Google Benchmark itself writes for every run. The other numbers are the
// benchmark's own counters, which stand beside them.
bool IsOwnField(std::string_view key) {
  constexpr std::array<std::string_view, 11> kFields = {
      "bytes_per_second", "cpu_time",         "family_index",
      "items_per_second", "iterations",       "per_family_instance_index",
      "real_time",        "repetition_index", "repetitions",
      "threads",          "allocs_per_iter"};
  return std::ranges::find(kFields, key) != kFields.end();
}

std::optional<Measurement> ParseMeasurement(const Json& run) {
  const auto name = ParseBenchmarkName(run.at("name").get<std::string>());
  if (!name) {
    return std::nullopt;
  }
  Measurement measurement;
  measurement.name = *name;
  if (const auto rate = run.find("items_per_second"); rate != run.end()) {
    measurement.timed = true;
    measurement.ns_per_op = 1e9 / rate->get<double>();
  }
  for (const auto& [key, value] : run.items()) {
    if (value.is_number() && !IsOwnField(key)) {
      measurement.counters[key] = value.get<double>();
    }
  }
  return measurement;
}

ProgramRun ParseFields(const Json& json) {
  ProgramRun run;
  for (const auto& [key, value] : json.at("context").items()) {
    run.context[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  for (const Json& entry : json.at("benchmarks")) {
    if (entry.value("run_type", "iteration") != "iteration") {
      continue;
    }
    const auto name = entry.at("name").get<std::string>();
    if (entry.value("error_occurred", false)) {
      const auto message = entry.value("error_message", "");
      const auto parsed = ParseBenchmarkName(name);
      if (parsed && message.starts_with(kSkipped)) {
        run.skipped.emplace_back(*parsed, message.substr(kSkipped.size()));
      } else {
        run.errors.push_back((name + ": ").append(message));
      }
    } else if (auto measurement = ParseMeasurement(entry)) {
      run.measurements.push_back(*std::move(measurement));
    } else {
      run.errors.push_back(name + ": the name is not SUITE/CASE[/VARIANT...]/IMPLEMENTATION");
    }
  }
  return run;
}

}  // namespace

tl::expected<ProgramRun, std::string> ParseRun(std::string_view json) {
  try {
    return ParseFields(Json::parse(json));
  } catch (const Json::exception& error) {
    return tl::unexpected<std::string>(error.what());
  }
}

}  // namespace granary::bench
