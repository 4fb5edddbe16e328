#include "bench/report/pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "bench/report/process.h"

namespace granary::bench {
namespace {

// For one picture: far above what any takes.
constexpr double kSecondsMax = 60;

}  // namespace

std::vector<PictureSource> PicturesOf(const std::filesystem::path& program,
                                      const std::map<std::string, std::string>& context) {
  std::vector<PictureSource> sources;
  const auto entry = context.find("granary_pictures");
  if (entry == context.end()) {
    return sources;
  }
  std::istringstream names(entry->second);
  for (std::string name; std::getline(names, name, ',');) {
    if (!name.empty()) {
      sources.push_back({program, name});
    }
  }
  return sources;
}

Pictures DrawPictures(const std::vector<PictureSource>& sources,
                      const std::vector<Result>& results) {
  Pictures pictures;
  for (const PictureSource& source : sources) {
    // Not a structured binding, which clang 14's lambdas do not capture.
    const auto& program = source.program;
    const std::string& name = source.name;
    const bool is_measured = std::ranges::any_of(results, [&](const Result& result) {
      return result.name.suite + "/" + result.name.case_name == name;
    });
    if (!is_measured) {
      continue;
    }
    ProcessEnd end = RunProcess({program, "--granary_picture=" + name}, kSecondsMax);
    if (end.kind == ProcessEnd::Kind::kInterrupted) {
      return pictures;
    }
    if (!end.ok()) {
      pictures.problems.push_back(
          fmt::format("{}: no picture: {} {}", name, program.filename().string(), end.Describe()));
    } else if (!IsInlineSvg(end.out)) {
      pictures.problems.push_back(
          fmt::format("{}: no picture: what {} draws is no <svg> that can stand inside the page",
                      name, program.filename().string()));
    } else {
      pictures.svgs[name] = std::move(end.out);
    }
  }
  return pictures;
}

bool IsInlineSvg(std::string_view svg) {
  while (svg.ends_with('\n')) {
    svg.remove_suffix(1);
  }
  if (!svg.starts_with("<svg ") || !svg.ends_with("</svg>")) {
    return false;
  }
  return std::ranges::none_of(
      std::initializer_list<std::string_view>{"<script", "href", "src=", "url(", "@import"},
      [&](std::string_view foreign) { return svg.find(foreign) != std::string_view::npos; });
}

}  // namespace granary::bench
