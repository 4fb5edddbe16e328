#include "bench/report/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "bench/report/command_line.h"
#include "bench/report/name_filter.h"
#include "bench/report/output_file.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

// Where a report goes: `given` as the person means it, or else `name` at the workspace's root.
OrFailure<fs::path> MakeOutputPath(const std::string& flag, const CLI::Option& option,
                                   const std::string& given, const char* name) {
  if (option.count() == 0) {
    fs::path path = WorkspaceRoot() / name;
    auto checked = CheckWritable(name, path);
    return checked ? OrFailure<fs::path>(std::move(path))
                   : tl::unexpected<Failure>(checked.error());
  }
  return OutputPath(flag, given);
}

}  // namespace

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
  auto help = ParseCommandLine(app, argc, argv);
  if (!help) return tl::unexpected<Failure>(help.error());
  options.help = *std::move(help);
  if (!options.help.empty()) return options;

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
