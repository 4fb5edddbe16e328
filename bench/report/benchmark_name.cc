#include "bench/report/benchmark_name.h"

#include <algorithm>
#include <array>

namespace granary::bench {
namespace {

std::vector<std::string> SplitAtSlashes(std::string_view text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find('/', begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) {
      return parts;
    }
    begin = end + 1;
  }
}

// What Google Benchmark appends to a name without meaning anything to a reader of the report.
bool IsSetting(std::string_view part) {
  constexpr std::array<std::string_view, 3> kClocks = {"manual_time", "process_time", "real_time"};
  constexpr std::array<std::string_view, 4> kNumbers = {
      "iterations:", "min_time:", "min_warmup_time:", "repeats:"};
  return std::ranges::find(kClocks, part) != kClocks.end() ||
         std::ranges::any_of(kNumbers, [part](auto prefix) { return part.starts_with(prefix); });
}

}  // namespace

std::string BenchmarkName::family() const { return case_name.substr(0, case_name.find('/')); }

std::string BenchmarkName::variant() const {
  const size_t slash = case_name.find('/');
  return slash == std::string::npos ? "" : case_name.substr(slash + 1);
}

std::string BenchmarkName::shown() const { return suite + "/" + case_name + "/" + implementation; }

std::optional<BenchmarkName> ParseBenchmarkName(std::string_view full) {
  std::vector<std::string> parts;
  std::string threads;
  for (std::string& part : SplitAtSlashes(full)) {
    if (part.starts_with("threads:")) {
      threads = std::move(part);
    } else if (!IsSetting(part)) {
      parts.push_back(std::move(part));
    }
  }
  if (parts.size() < 3 ||
      std::ranges::any_of(parts, [](const std::string& part) { return part.empty(); })) {
    return std::nullopt;
  }

  BenchmarkName name;
  name.full = full;
  name.suite = parts.front();
  name.case_name = parts[1];
  for (size_t i = 2; i + 1 < parts.size(); ++i) {
    name.case_name += "/" + parts[i];
  }
  if (!threads.empty()) {
    name.case_name += "/" + threads;
  }
  name.implementation = parts.back();
  return name;
}

std::string ExactFilter(const std::vector<std::string>& full_names) {
  constexpr std::string_view kSpecial = "^.[$()|*+?{\\";
  std::string filter = "^(";
  for (const std::string& name : full_names) {
    if (filter.size() > 2) {
      filter += '|';
    }
    for (const char c : name) {
      if (kSpecial.find(c) != std::string_view::npos) {
        filter += '\\';
      }
      filter += c;
    }
  }
  return filter + ")$";
}

}  // namespace granary::bench
