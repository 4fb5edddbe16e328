#include "bench/report/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "bench/report/name_filter.h"
#include "bench/report/output_file.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

fs::path FolderFrom(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? fs::path(value) : fs::current_path();
}

std::string OneLine(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

// Where a report goes: `given` as the person means it, or else `name` at the workspace's root.
OrFailure<fs::path> MakeOutputPath(const std::string& flag, const CLI::Option& option,
                                   const std::string& given, const char* name) {
  if (option.count() == 0) {
    fs::path path = WorkspaceRoot() / name;
    auto checked = CheckWritable(name, path);
    return checked ? OrFailure<fs::path>(std::move(path))
                   : tl::unexpected<Failure>(checked.error());
  }
  if (given.empty()) {
    return Fail(kExitUsage, flag + ": the path is empty");
  }
  fs::path path = (WhereThePersonStands() / given).lexically_normal();
  auto checked = CheckWritable(flag, path);
  return checked ? OrFailure<fs::path>(std::move(path)) : tl::unexpected<Failure>(checked.error());
}

}  // namespace

fs::path WhereThePersonStands() { return FolderFrom("BUILD_WORKING_DIRECTORY"); }

fs::path WorkspaceRoot() { return FolderFrom("BUILD_WORKSPACE_DIRECTORY"); }

OrFailure<Options> ParseOptions(int argc, const char* const* argv) {
  Options options;
  std::string pattern;
  std::string json;
  std::string html;
  CLI::App app(
      "Measures granary against its peers, and writes granary-report.html and "
      "granary-report.json.",
      "report");
  app.add_flag("--quick", options.quick, "Take less than a minute; the figures are rougher.");
  app.add_option("--filter", pattern,
                 "Measure only what this regular expression (ECMAScript) finds something in: "
                 "suite/case/implementation.")
      ->type_name("REGEX");
  const CLI::Option* json_option =
      app.add_option("--json", json, "Write the JSON here instead of the workspace's root.")
          ->type_name("PATH");
  const CLI::Option* html_option =
      app.add_option("--html", html, "Write the page here instead of the workspace's root.")
          ->type_name("PATH");
  app.add_flag("--list", options.list, "Print the names of all benchmarks and measure nothing.");
  app.footer(
      "Exit status: 0 all is measured; 1 something failed, the rest is measured; 2 the arguments "
      "make no sense; 3 the programs are not optimised builds.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    options.help = app.help();
    return options;
  } catch (const CLI::ParseError& error) {
    return Fail(kExitUsage, OneLine(error.what()) + "; --help shows what there is");
  }

  auto filter = MakeNameFilter(pattern);
  if (!filter) {
    return tl::unexpected<Failure>(filter.error());
  }
  options.filter = *std::move(filter);
  if (options.list) {
    return options;
  }
  const auto json_path = MakeOutputPath("--json", *json_option, json, "granary-report.json");
  const auto html_path = MakeOutputPath("--html", *html_option, html, "granary-report.html");
  for (const auto* path : {&json_path, &html_path}) {
    if (!*path) {
      return tl::unexpected<Failure>(path->error());
    }
  }
  options.json_path = *json_path;
  options.html_path = *html_path;
  return options;
}

}  // namespace granary::bench
