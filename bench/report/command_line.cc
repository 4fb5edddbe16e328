#include "bench/report/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "bench/report/output_file.h"

namespace granary::bench {
namespace {

namespace fs = std::filesystem;

fs::path FolderFrom(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? fs::path(value) : fs::current_path();
}

}  // namespace

fs::path WhereThePersonStands() { return FolderFrom("BUILD_WORKING_DIRECTORY"); }

fs::path WorkspaceRoot() { return FolderFrom("BUILD_WORKSPACE_DIRECTORY"); }

fs::path AsThePersonMeans(const std::string& given) {
  return (WhereThePersonStands() / given).lexically_normal();
}

std::string OneLine(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

OrFailure<std::string> ParseCommandLine(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return app.help();
  } catch (const CLI::ParseError& error) {
    return Fail(kExitUsage, OneLine(error.what()) + "; --help shows what there is");
  }
  return std::string();
}

OrFailure<fs::path> OutputPath(const std::string& flag, const std::string& given) {
  if (given.empty()) return Fail(kExitUsage, flag + ": the path is empty");
  fs::path path = AsThePersonMeans(given);
  if (auto checked = CheckWritable(flag, path); !checked) {
    return tl::unexpected<Failure>(checked.error());
  }
  return path;
}

}  // namespace granary::bench
