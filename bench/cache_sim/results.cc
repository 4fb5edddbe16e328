#include "bench/cache_sim/results.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace granary::bench {
namespace {

void AddCounts(const std::string& prefix, const HitCounts& counts, nlohmann::ordered_json& json) {
  json[prefix + "hits"] = counts.hits;
  json[prefix + "misses"] = counts.misses();
  json[prefix + "hit_ratio"] = counts.hit_ratio();
}

std::string Percent(const HitCounts& counts) {
  return fmt::format("{:.2f}", 100 * counts.hit_ratio());
}

}  // namespace

std::string RenderCacheText(const CacheResults& results) {
  if (results.results.empty()) return "";
  const bool has_scan = !results.scan.empty();
  std::string text =
      fmt::format("{}: {} requests", results.trace, results.results.front().counts.trace.requests);
  if (has_scan) {
    text += fmt::format(", {} more of a scan ({}{}) that are counted apart",
                        results.results.front().counts.scan.requests, results.scan,
                        results.scan_hints ? ", which says so" : "");
  }
  text += fmt::format("\n{:>10}  {:<8}{:>12}{:>12}{:>8}{:>9}{:>8}\n", "pages", "policy", "hits",
                      "misses", "hit %", has_scan ? "scan %" : "", "model %");
  for (const CacheResult& result : results.results) {
    text += fmt::format("{:>10}  {:<8}{:>12}{:>12}{:>8}{:>9}{:>8}\n", result.pages, result.policy,
                        result.counts.trace.hits, result.counts.trace.misses(),
                        Percent(result.counts.trace), has_scan ? Percent(result.counts.scan) : "",
                        result.model ? Percent(result.model->trace) : "-");
  }
  return text;
}

std::string RenderCacheJson(const CacheResults& results) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const CacheResult& result : results.results) {
    nlohmann::ordered_json row;
    row["policy"] = result.policy;
    row["pages"] = result.pages;
    row["requests"] = result.counts.trace.requests;
    AddCounts("", result.counts.trace, row);
    row["threads"] = result.threads;
    row["trace"] = results.trace;
    row["format"] = results.format;
    if (!results.scan.empty()) {
      row["scan"] = results.scan;
      row["scan_hints"] = results.scan_hints;
      row["scan_requests"] = result.counts.scan.requests;
      AddCounts("scan_", result.counts.scan, row);
    }
    if (result.model) {
      AddCounts("model_", result.model->trace, row);
      if (!results.scan.empty()) AddCounts("model_scan_", result.model->scan, row);
    }
    rows.push_back(std::move(row));
  }
  return nlohmann::ordered_json({{"results", std::move(rows)}}).dump(2) + "\n";
}

}  // namespace granary::bench
