#include "bench/replay/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/report/statistics.h"
#include "bench/report/table.h"

namespace granary::bench {
namespace {

// Keeps the order in which keys are set, which is the order that a person wants to read.
using OrderedJson = nlohmann::ordered_json;

std::string FormatRate(double per_second) { return fmt::format("{:.2f}", per_second / 1e6); }

template <class T>
std::string OrDash(const std::optional<T>& value, const char* format) {
  return value ? fmt::format(fmt::runtime(format), *value) : "-";
}

template <class T>
OrderedJson OrNull(const std::optional<T>& value) {
  return value ? OrderedJson(*value) : OrderedJson();
}

const char* HighWaterKind(const ReplayResult& result) {
  return result.is_region ? "highest_end" : "resident";
}

std::vector<std::string> Row(const ReplayResult& result) {
  const auto& rates = result.operations_per_second;
  return {result.allocator,
          FormatRate(Median(rates)),
          FormatRate(std::ranges::min(rates)) + "-" + FormatRate(std::ranges::max(rates)),
          fmt::format("{}", result.peak_live_bytes),
          OrDash(result.high_water_bytes, "{}"),
          result.is_region ? "highest end" : "resident",
          OrDash(result.utilization(), "{:.3f}"),
          OrDash(result.free_ranges, "{}"),
          fmt::format("{}", result.failures)};
}

OrderedJson ToJson(const ReplayResult& result) {
  const auto& rates = result.operations_per_second;
  return {{"trace", result.trace},
          {"allocator", result.allocator},
          {"operations", result.operations},
          {"repetitions", rates.size()},
          {"operations_per_second", Median(rates)},
          {"operations_per_second_min", std::ranges::min(rates)},
          {"operations_per_second_max", std::ranges::max(rates)},
          {"peak_live_bytes", result.peak_live_bytes},
          {"high_water_mark_bytes", OrNull(result.high_water_bytes)},
          {"high_water_mark_kind", HighWaterKind(result)},
          {"utilization", OrNull(result.utilization())},
          {"free_ranges_at_peak", OrNull(result.free_ranges)},
          {"failures", result.failures},
          {"verified", result.verified}};
}

}  // namespace

std::optional<double> ReplayResult::utilization() const {
  if (!high_water_bytes || *high_water_bytes == 0) return std::nullopt;
  return static_cast<double>(peak_live_bytes) / static_cast<double>(*high_water_bytes);
}

tl::expected<void, std::string> AddRepetition(std::string_view text, ReplayResult& result) {
  try {
    const auto json = nlohmann::json::parse(text);
    result.operations_per_second.push_back(json.at("operations_per_second").get<double>());
    if (result.operations_per_second.size() > 1) return {};
    result.peak_live_bytes = json.at("peak_live_bytes").get<size_t>();
    result.is_region = json.at("is_region").get<bool>();
    result.failures = json.at("failures").get<size_t>();
    if (json.contains("held_bytes")) result.high_water_bytes = json["held_bytes"].get<size_t>();
    if (json.contains("free_ranges")) result.free_ranges = json["free_ranges"].get<size_t>();
    return {};
  } catch (const nlohmann::json::exception& error) {
    return tl::unexpected<std::string>(error.what());
  }
}

std::string RenderReplayText(const std::vector<ReplayResult>& results) {
  std::string text;
  for (auto first = results.begin(); first != results.end();) {
    const auto last = std::find_if(first, results.end(), [&](const ReplayResult& result) {
      return result.trace != first->trace;
    });
    text += fmt::format("{}: {} operations{}\n", first->trace, first->operations,
                        first->verified ? ", every payload verified" : "");
    std::vector<std::vector<std::string>> rows = {{"allocator", "Mop/s", "spread", "peak live",
                                                   "high-water mark", "which is", "utilisation",
                                                   "free ranges at peak", "failures"}};
    std::transform(first, last, std::back_inserter(rows), Row);
    text += AlignColumns(rows) + "\n";
    first = last;
  }
  return text;
}

std::string RenderReplayJson(const std::vector<ReplayResult>& results) {
  OrderedJson json;
  json["results"] = OrderedJson::array();
  for (const ReplayResult& result : results) json["results"].push_back(ToJson(result));
  // Names come from people: what is not UTF-8 is replaced rather than thrown for.
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace granary::bench
