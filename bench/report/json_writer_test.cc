#include "bench/report/json_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/report/testing/sample_results.h"

namespace granary::bench {
namespace {

using Json = nlohmann::json;

std::vector<std::string> KeysOf(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) {
    keys.push_back(key);
  }
  return keys;
}

TEST(JsonWriter, HasTheMachineAndTheResultsAndNothingElse) {
  const Json json = Json::parse(RenderJson(Machine{}, SampleResults()));
  EXPECT_EQ(KeysOf(json), (std::vector<std::string>{"machine", "results"}));
  EXPECT_EQ(json["results"].size(), SampleResults().size());
}

TEST(JsonWriter, EveryResultHasTheSameKeys) {
  const Json json = Json::parse(RenderJson(Machine{}, SampleResults()));
  for (const Json& result : json["results"]) {
    EXPECT_EQ(KeysOf(result),
              (std::vector<std::string>{"case", "counters", "implementation", "max", "median",
                                        "min", "repetitions", "suite", "unit"}));
  }
}

TEST(JsonWriter, TimesAreNanosecondsAnOperation) {
  const Json json = Json::parse(RenderJson(Machine{}, {Timed("a/b/1/granary", {4, 2, 3})}));
  EXPECT_EQ(json["results"][0], Json({{"suite", "a"},
                                      {"case", "b/1"},
                                      {"implementation", "granary"},
                                      {"unit", "ns/op"},
                                      {"repetitions", 3},
                                      {"min", 2.0},
                                      {"median", 3.0},
                                      {"max", 4.0},
                                      {"counters", Json::object()}}));
}

TEST(JsonWriter, CountsHaveTheirCounters) {
  const Json json =
      Json::parse(RenderJson(Machine{}, {Counted("a/b/granary", "held_per_asked", 1.5)}));
  const Json& result = json["results"][0];
  EXPECT_EQ(result["unit"], "count");
  EXPECT_EQ(result["median"], 1.5);
  EXPECT_EQ(result["counters"], Json({{"held_per_asked", 1.5}}));
}

TEST(JsonWriter, NothingMeasuredIsAnEmptyList) {
  EXPECT_EQ(Json::parse(RenderJson(Machine{}, {}))["results"], Json::array());
}

TEST(Machine, ReadsVersionsFromTheContext) {
  const Machine machine =
      DescribeMachine({{"granary_build", "opt"}, {"rocksdb_version", "7.8.3"}, {"num_cpus", "2"}});
  EXPECT_EQ(machine.build, "opt");
  EXPECT_EQ(machine.versions, (std::map<std::string, std::string>{{"rocksdb", "7.8.3"}}));
  EXPECT_GE(machine.cores, 1);
  EXPECT_GT(machine.memory_bytes, 0u);
  EXPECT_EQ(machine.date.size(), 20u);
}

}  // namespace
}  // namespace granary::bench
