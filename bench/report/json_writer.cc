#include "bench/report/json_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace granary::bench {
namespace {

// Keeps the order in which keys are set, which is the order that a person wants to read.
using Json = nlohmann::ordered_json;

Json MachineJson(const Machine& machine) {
  return {{"cpu", machine.cpu},
          {"cores", machine.cores},
          {"memory_bytes", machine.memory_bytes},
          {"kernel", machine.kernel},
          {"compiler", machine.compiler},
          {"date", machine.date},
          {"build", machine.build},
          {"versions", machine.versions},
          {"load_average", machine.load_average},
          {"transparent_huge_pages", machine.transparent_huge_pages}};
}

Json ResultJson(const Result& result) {
  const std::vector<double> values = result.values();
  Json json = {{"suite", result.name.suite},
               {"case", result.name.case_name},
               {"implementation", result.name.implementation},
               {"unit", result.timed ? "ns/op" : "count"},
               {"repetitions", values.size()},
               {"min", *std::ranges::min_element(values)},
               {"median", Median(values)},
               {"max", *std::ranges::max_element(values)}};
  json["counters"] = Json::object();
  for (const auto& [name, value] : result.counters) {
    json["counters"][name] = value;
  }
  return json;
}

}  // namespace

std::string RenderJson(const Machine& machine, const std::vector<Result>& results) {
  Json json = {{"machine", MachineJson(machine)}};
  json["results"] = Json::array();
  for (const Result& result : results) {
    json["results"].push_back(ResultJson(result));
  }
  // Names come from programs: what is not UTF-8 is replaced rather than thrown for.
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace granary::bench
